"""The peer's side of speed.py where CAX has no such substrate: the same equations in plain numpy, single precision.

Every function makes `steps` steps of `batch` worlds, in the ways that people write it; the fastest counts.
"""

import numpy as np
from speed_serve import serve

rng = np.random.default_rng(0)


def gray_scott(size, batch, steps, substeps):
    """Five-point Laplacian on a torus, by np.roll or by slices of a bordered array."""
    u, v = 1 - rng.random((batch, size, size), np.float32) / 2, rng.random((batch, size, size), np.float32) / 4
    spread_u, spread_v, feed, loss = (np.float32(x) for x in (0.16, 0.08, 0.03, 0.09))

    def rolled(x):
        return np.roll(x, 1, 1) + np.roll(x, -1, 1) + np.roll(x, 1, 2) + np.roll(x, -1, 2) - 4 * x

    def sliced(x):
        x = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="wrap")
        return x[:, 2:, 1:-1] + x[:, :-2, 1:-1] + x[:, 1:-1, 2:] + x[:, 1:-1, :-2] - 4 * x[:, 1:-1, 1:-1]

    def run(laplacian, us, vs):
        for _ in range(steps * substeps):
            eaten = us * vs * vs
            us, vs = (
                us + spread_u * laplacian(us) - eaten + feed * (1 - us),
                vs + spread_v * laplacian(vs) + eaten - loss * vs,
            )
        return us, vs

    return {
        "roll": lambda: run(rolled, u, v),
        "slices": lambda: run(sliced, u, v),
        "slices, one by one": lambda: [run(sliced, u[b : b + 1], v[b : b + 1]) for b in range(batch)],
    }


if __name__ == "__main__":
    serve({f.__name__: f for f in (gray_scott,)})
