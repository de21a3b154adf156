"""The peer's side of speed.py where CAX has no such substrate: the same equations in plain numpy, single precision.

Every function makes the work of one simulation: `steps` steps of `batch` worlds, all at once or world by world, which
may fit the cache; the faster way counts.
"""

import numpy as np
from speed_serve import serve

rng = np.random.default_rng(0)
f32 = np.float32


def random(*shape):
    return rng.random(shape, f32)


def ways(step, state, rule, steps):
    """A batch at once, or world after world; state and rule are tuples of arrays, whose first axis is B."""

    def run(now, law):
        for _ in range(steps):
            now = step(now, law)
        return now

    def one_by_one():
        parts = [[tuple(x[b : b + 1] for x in part) for part in (state, rule)] for b in range(len(state[0]))]
        return [run(*part) for part in parts]

    return {"at once": lambda: run(state, rule), "one by one": one_by_one}


def gray_scott(size, batch, steps, substeps):
    """The Laplacian of five points, by np.roll or by slices of a field with borders."""

    def rolled(x):
        return np.roll(x, 1, 1) + np.roll(x, -1, 1) + np.roll(x, 1, 2) + np.roll(x, -1, 2) - 4 * x

    def sliced(x):
        x = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="wrap")
        return x[:, 2:, 1:-1] + x[:, :-2, 1:-1] + x[:, 1:-1, 2:] + x[:, 1:-1, :-2] - 4 * x[:, 1:-1, 1:-1]

    def step(laplacian, state, rule):
        (u, v), (spread_u, spread_v, feed, loss) = state, rule
        for _ in range(substeps):
            eaten = u * v * v
            u, v = (
                u + spread_u * laplacian(u) - eaten + feed * (1 - u),
                v + spread_v * laplacian(v) + eaten - loss * v,
            )
        return u, v

    state = 1 - random(batch, size, size) / 2, random(batch, size, size) / 4
    rule = tuple(np.full((batch, 1, 1), x, f32) for x in (0.16, 0.08, 0.03, 0.09))
    found = {}
    for name, laplacian in (("rolls", rolled), ("slices", sliced)):
        made = ways(lambda s, r, laplacian=laplacian: step(laplacian, s, r), state, rule, steps)
        found |= {f"{name}, {way}": work for way, work in made.items()}
    return found


def nca(size, batch, steps, channels, neurons):
    """Filters by np.roll, the network by matrix products."""

    def squash(x):
        x = np.clip(x, -3, 3)
        square = x * x
        return x * (27 + square) / (27 + 9 * square)

    def perceive(s):
        above, below = np.roll(s, 1, 2), np.roll(s, -1, 2)
        down, fall = above + 2 * s + below, below - above
        left, right = np.roll(down, 1, 3), np.roll(down, -1, 3)
        fall = np.roll(fall, 1, 3) + 2 * fall + np.roll(fall, -1, 3)
        return np.stack([s, (right - left) / 8, fall / 8, (left + 2 * down + right) / 16 - s], 2)

    def step(state, rule):
        (s,), (see, bias, act, mix, spread) = state, rule
        seen = perceive(s)
        heard = squash(see @ seen.reshape(len(s), 4 * channels, -1) + bias)
        wish = squash(act @ heard + mix @ s.reshape(len(s), channels, -1)).reshape(s.shape)
        return (s + f32(0.1) * (wish - s) + spread * seen[:, :, 3],)

    shapes = (neurons, 4 * channels), (neurons, 1), (channels, neurons), (channels, channels)
    rule = *(2 * random(batch, *shape) - 1 for shape in shapes), np.full((batch, 1, 1, 1), 0.1, f32)
    return ways(step, (2 * random(batch, channels, size, size) - 1,), rule, steps)


def nca_discrete(size, batch, steps, states, reach):
    """Sums over neighborhoods by np.roll, rows first; then a table is looked up."""
    side = (2 * reach + 1) ** 2
    code = np.array([0, *(side**i for i in range(states - 1))], np.int32)
    colors = random(3, states)

    def step(state, rule):
        (cells, light), (table,) = state, rule
        value = code[cells]
        rows = sum(np.roll(value, shift, 2) for shift in range(-reach, reach + 1))
        around = sum(np.roll(rows, shift, 1) for shift in range(-reach, reach + 1)) - value
        place = cells * np.int32(table.shape[1] // states) + around
        later = np.take_along_axis(table, place.reshape(len(cells), -1), 1).reshape(cells.shape)
        return later, light + f32(0.4) * (np.moveaxis(colors[:, later], 0, 1) - light)

    table = rng.integers(0, states, (batch, states * side ** (states - 1)), np.uint8)
    state = rng.integers(0, states, (batch, size, size), np.uint8), random(batch, 3, size, size)
    return ways(step, state, (table,), steps)


def apart(place):
    """Ways (B, 2, N, N) from each particle to each other on the torus, and their lengths (B, N, N)."""
    offset = place[:, :, None, :] - place[:, :, :, None]
    offset -= np.rint(offset)
    return offset, np.sqrt((offset * offset).sum(1) + f32(1e-18))


def particle_life_plus(particles, batch, steps, kinds):
    """All pairs at once, without np.hypot and other slow ways."""
    core, force, dt = f32(0.4), f32(8 * 0.14), f32(0.02)
    reach, friction, drift, follow, lag = f32(0.14), f32(0.85), f32(0.1), f32(0.4), f32(0.1)

    def step(state, rule):
        (place, motion, kind), (attraction,) = state, rule
        offset, distance = apart(place)
        rho = distance / reach
        whole = kind.astype(np.int32)
        weight = np.zeros((*kind.shape, kinds), f32)
        part = kind - whole
        np.put_along_axis(weight, (whole % kinds)[..., None], (1 - part)[..., None], 2)
        np.put_along_axis(weight, ((whole + 1) % kinds)[..., None], part[..., None], 2)
        drawn = weight @ attraction @ weight.swapaxes(1, 2)
        tent = np.maximum(0, 1 - np.abs(2 * rho - 1 - core) / (1 - core))
        pull = (np.minimum(0, rho / core - 1) + drawn * tent) / distance
        motion = motion * friction + dt * force * (offset * pull[:, None]).sum(3)
        angle = f32(2 * np.pi / kinds) * kind
        close = np.maximum(0, 1 - rho)
        hands = np.stack([np.cos(angle), np.sin(angle)], 2)
        mean = close @ hands / close.sum(2, keepdims=True)
        late = angle + 2 * np.pi * lag
        pulled = mean[..., 1] * np.cos(late) - mean[..., 0] * np.sin(late) + np.sin(2 * np.pi * lag)
        turned = kind / kinds + dt * (drift + follow * pulled)
        place = place + dt * motion
        return place - np.floor(place), motion, (kinds * (turned - np.floor(turned))).astype(f32)

    place = random(batch, 2, particles)
    state = place, np.zeros_like(place), kinds * random(batch, particles)
    return ways(step, state, (2 * random(batch, kinds, kinds) - 1,), steps)


def neural_boids(particles, batch, steps, neighbors, reflexes):
    """The nearest by np.argpartition of all distances, the network on those alone."""
    reach, elbow, rate, bias, dt = f32(0.15), f32(0.3), f32(15), f32(0.05), f32(0.01)

    def step(state, rule):
        (place, heading), (when, level, react) = state, rule
        offset, distance = apart(place)
        distance[:, range(particles), range(particles)] = 9
        near = np.argpartition(distance, neighbors, 2)[..., :neighbors]
        far = np.take_along_axis(distance, near, 2) / reach
        there = far < 1
        dx, dy = (np.take_along_axis(offset[:, axis], near, 2) / reach for axis in range(2))
        hx, hy = heading[:, 0, :, None], heading[:, 1, :, None]
        theirs = [np.take_along_axis(np.broadcast_to(heading[:, a, None], distance.shape), near, 2) for a in range(2)]
        ahead, left = (hx * dx + hy * dy) / far, (hx * dy - hy * dx) / far
        alike, across = hx * theirs[0] + hy * theirs[1], hx * theirs[1] - hy * theirs[0]
        sight = np.stack([ahead, 2 * far - 1, alike], 1).reshape(len(place), 3, -1)
        heed = 1 / (1 + np.exp(-(when @ sight + level)))
        steer, turn = (react @ heed).reshape(len(place), 2, particles, neighbors).swapaxes(0, 1)
        pull = (steer - 3 * np.maximum(0, 1 - far / elbow)) * left + turn * across
        number = there.sum(2)
        veer = dt * rate * np.tanh(bias * (number > 0) + 3 * (pull * there).sum(2) / np.maximum(number, 1))
        x, y = heading[:, 0], heading[:, 1]
        heading = np.stack([x - veer * y, y + veer * x], 1) / np.sqrt(1 + veer * veer)[:, None]
        place = place + dt * f32(0.5) * heading.astype(f32)
        return place - np.floor(place), heading.astype(f32)

    angle = 2 * np.pi * random(batch, particles)
    heading = np.stack([np.cos(angle), np.sin(angle)], 1).astype(f32)
    shapes = (reflexes, 3), (reflexes, 1), (2, reflexes)
    return ways(step, (random(batch, 2, particles), heading), tuple(2 * random(batch, *s) - 1 for s in shapes), steps)


if __name__ == "__main__":
    serve({f.__name__: f for f in (gray_scott, nca, nca_discrete, particle_life_plus, neural_boids)})
