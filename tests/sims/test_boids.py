"""Boids against what Reynolds promised of them, and against symmetry."""

import math

import pytest
import torch

from sims import Plan
from sims._darts import TIP, darts, hue
from sims._flock import dense_neighbors, neighbors
from sims._torch import ALIVE, DEAD
from sims.boids import DT, FASTEST, SLOWEST, Boids

DOUBLE = {"dtype": torch.float64}
CALM = {"separation": 0.0, "alignment": 0.0, "cohesion": 0.0, "fear": 0.0}
REST = {"reach": 0.2, "elbow": 0.3, "view": 360.0, "speed": 0.25, "turn": 8.0, "fright": 0.2, "hawk": 1.2}
START = {"order": 0.0, "spread": 0.3, "pattern": 0.4}


def rule_of(sim, **changes):
    numbers = {**CALM, **REST, **START, **changes}
    return sim.rule({name: torch.tensor([value], **DOUBLE) for name, value in numbers.items()})


def flock(n=100, hawks=0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    way = torch.randn(1, 2, n + hawks, generator=generator, **DOUBLE)
    place = torch.rand(1, 2, n + hawks, generator=generator, **DOUBLE)
    return {"place": place, "motion": 0.25 * way / way.norm(dim=1, keepdim=True), "age": torch.zeros(1, 1, 1, **DOUBLE)}


def birds(*rows):
    """Birds by place and heading (degrees)."""
    place = torch.tensor([[one[0] for one in rows], [one[1] for one in rows]], **DOUBLE)
    angle = torch.tensor([one[2] for one in rows], **DOUBLE).deg2rad()
    motion = 0.25 * torch.stack([angle.cos(), angle.sin()])
    return {"place": place[None], "motion": motion[None], "age": torch.zeros(1, 1, 1, **DOUBLE)}


def run(sim, state, rule, steps):
    for _ in range(steps):
        state = sim.step(state, rule)
    return state


def polarization(state):
    motion = state["motion"]
    return (motion / motion.norm(dim=1, keepdim=True)).mean(2).norm(dim=1)


def apart(state, i=0, j=1):
    offset = state["place"][0, :, i] - state["place"][0, :, j]
    return (offset - offset.round()).norm().item()


ALL = {"separation": 6.0, "alignment": 3.0, "cohesion": 2.0, "fear": 10.0}


def test_who_only_aligns_ends_up_flying_the_same_way():
    sim = Boids(birds=150, hawks=0)
    state, rule = flock(150), rule_of(sim, alignment=5.0)
    assert polarization(state) < 0.2
    assert polarization(run(sim, state, rule, 400)) > 0.85


def test_a_lone_bird_flies_straight_at_its_speed():
    sim, state = Boids(birds=1, hawks=0), birds((0.5, 0.5, 37))
    later = run(sim, state, rule_of(sim, **ALL), 50)
    torch.testing.assert_close(later["motion"], state["motion"])
    torch.testing.assert_close(later["place"], (state["place"] + 50 * DT * state["motion"]) % 1)


def test_two_that_are_too_near_part_and_two_that_are_far_do_not_care():
    sim = Boids(birds=2, hawks=0)
    rule = rule_of(sim, separation=8.0)
    near, far = birds((0.5, 0.5, 90), (0.52, 0.5, 90)), birds((0.5, 0.5, 90), (0.57, 0.5, 90))
    assert apart(run(sim, near, rule, 20)) > 0.03
    assert apart(run(sim, far, rule, 20)) == pytest.approx(0.07)


def test_cohesion_draws_two_together_across_the_edge():
    sim = Boids(birds=2, hawks=0)
    later = run(sim, birds((0.95, 0.5, 90), (0.08, 0.5, 90)), rule_of(sim, cohesion=4.0), 15)
    assert apart(later) < 0.12


def test_birds_flee_from_a_hawk_and_the_hawk_hunts_them():
    sim = Boids(birds=1, hawks=1)
    state = birds((0.6, 0.5, 90), (0.5, 0.5, -90))
    later = run(sim, state, rule_of(sim, fear=20.0), 10)
    assert later["motion"][0, 0, 0] > 0.1  # It flies away from the hawk,
    assert later["motion"][0, 0, 1] > 0.1  # and the hawk behind it.


def test_two_hawks_keep_apart():
    sim = Boids(birds=1, hawks=2)
    later = run(sim, birds((0.0, 0.0, 0), (0.5, 0.5, 0), (0.51, 0.52, 0)), rule_of(sim, turn=15.0), 30)
    assert apart(later, 1, 2) > 0.15


def test_speeds_and_turns_keep_their_limits():
    sim = Boids(birds=100, hawks=2)
    state, rule = flock(100, 2), rule_of(sim, separation=25.0, alignment=12.0, cohesion=12.0, fear=30.0, turn=3.0)
    for _ in range(100):
        later = sim.step(state, rule)
        speed, before = later["motion"].norm(dim=1), state["motion"].norm(dim=1)
        cos = (later["motion"] * state["motion"]).sum(1) / speed / before
        assert cos.min() >= math.cos(3.0 * DT) - 1e-12
        usual = torch.tensor([0.25] * 100 + [0.25 * 1.2] * 2, **DOUBLE)
        assert bool(((speed >= SLOWEST * usual - 1e-12) & (speed <= FASTEST * usual + 1e-12)).all())
        state = later


MOVES = {
    "shift": (lambda place: (place + torch.tensor([[0.7], [0.45]], **DOUBLE)) % 1, lambda motion: motion),
    "rotate": (
        lambda place: torch.stack([place[:, 1], 1 - place[:, 0]], 1) % 1,
        lambda motion: torch.stack([motion[:, 1], -motion[:, 0]], 1),
    ),
    "mirror": (
        lambda place: torch.stack([1 - place[:, 0], place[:, 1]], 1) % 1,
        lambda motion: torch.stack([-motion[:, 0], motion[:, 1]], 1),
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_moving_the_start_moves_the_world(name):
    sim, (move, turn) = Boids(birds=60), MOVES[name]
    state, rule = flock(60, 2), rule_of(sim, **ALL, view=250.0)
    later = run(sim, state, rule, 40)
    moved = run(sim, {**state, "place": move(state["place"]), "motion": turn(state["motion"])}, rule, 40)
    off = moved["place"] - move(later["place"])
    assert (off - off.round()).abs().max() < 1e-9
    assert (moved["motion"] - turn(later["motion"])).abs().max() < 1e-9
    assert (later["motion"] - state["motion"]).abs().max() > 0.1


def test_order_among_birds_does_not_matter():
    sim, order = Boids(birds=60, hawks=0), torch.randperm(60, generator=torch.Generator().manual_seed(1))
    state, rule = flock(60), rule_of(sim, **ALL)
    shuffled = {**state, "place": state["place"][..., order], "motion": state["motion"][..., order]}
    later = run(sim, state, rule, 20)["place"][..., order]
    torch.testing.assert_close(run(sim, shuffled, rule, 20)["place"], later, rtol=0, atol=1e-9)


def test_what_a_bird_sees_is_what_it_should():
    # A bird flies along +y; one neighbor ahead, one beside it and too near, one behind, one out of reach.
    state = birds((0.5, 0.5, 90), (0.5, 0.6, 90), (0.52, 0.5, 0), (0.5, 0.42, 90), (0.5, 0.75, 90))
    reach, elbow = torch.tensor([0.2], **DOUBLE), torch.tensor([0.05], **DOUBLE)
    for view, count in ((360, 3), (220, 2), (90, 1)):
        cosine = torch.tensor([math.cos(math.radians(view / 2))], **DOUBLE)
        seen = neighbors(state["place"], state["motion"], reach, elbow, cosine)[0, :, 0]
        assert seen[0] == count
        push = [-(1 - 0.02 / 0.05), 0] if count > 1 else [0, 0]
        assert seen[5:].tolist() == pytest.approx(push, abs=1e-9)
    assert seen.tolist() == pytest.approx([1, 0, 0.25, 0, 0.1, 0, 0], abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 40, 200])
def test_the_compiled_sums_are_the_dense_ones(n):
    generator = torch.Generator().manual_seed(n)
    place, motion = torch.rand(3, 2, n, generator=generator), torch.randn(3, 2, n, generator=generator)
    numbers = torch.tensor([0.07, 0.15, 0.25]), torch.tensor([0.01, 0.1, 0.2]), torch.tensor([-1.0, -0.4, 0.5])
    exact = dense_neighbors(place.double(), motion.double(), *(one.double() for one in numbers))
    torch.testing.assert_close(neighbors(place, motion, *numbers).double(), exact, rtol=1e-4, atol=2e-5)


def test_birds_in_one_place_do_not_break_the_world():
    sim = Boids(birds=3, hawks=1)
    state = birds(*[(0.5, 0.5, 90)] * 4)
    state = {name: one.float() for name, one in state.items()}
    rule = {name: one.float() for name, one in rule_of(sim, **ALL).items()}
    later = run(sim, state, rule, 5)
    assert all(bool(one.isfinite().all()) for one in later.values())


def test_a_gas_is_dead_and_flocks_are_not():
    sim = Boids()
    rule, old = rule_of(sim), torch.full((1, 1, 1), 400.0, **DOUBLE)
    gas = {**flock(200, 2), "age": old}
    stream = {**gas, "motion": torch.ones_like(gas["motion"])}
    swarm = {**gas, "place": 0.5 + 0.3 * (gas["place"] - 0.5)}
    assert sim.status(gas, rule).tolist() == [DEAD]
    for living in (stream, swarm, flock(200, 2)):  # The last one has not had the time to gather.
        assert sim.status(living, rule).tolist() == [ALIVE]


@pytest.mark.parametrize("size", [64, 256])
def test_a_picture_shows_where_birds_are_and_where_they_fly(size):
    angle = torch.tensor([[0.0, math.pi / 2, math.pi]])
    heading = torch.stack([angle.sin(), angle.cos()], 1)  # down, along
    place = torch.tensor([[[0.25, 0.5, 0.75], [0.25, 0.5, 0.0157]]])
    color = hue(angle)
    picture = darts(place, heading, color, size)[0].float() / 255
    for i in range(3):
        row, column = (place[0, :, i] * size).round().int().tolist()
        around = picture[row - 1 : row + 1, column - 1 : column + 1].flatten(0, 1)  # It stands where four pixels meet.
        seen = around[around.norm(dim=1).argmax()]
        assert seen.norm() > 0.4
        assert torch.nn.functional.cosine_similarity(seen, color[0, i], dim=0) > 0.98
    assert picture[int(0.75 * size), int((0.0157 - 0.8 * TIP) * size) % size].sum() > 0.1  # Its tip wraps around.
    assert picture[: int(0.2 * size)].sum() == 0


def test_pictures_are_about_as_bright_at_any_size_and_place():
    heading = torch.tensor([[[0.6], [0.8]]])
    light = [
        darts(torch.full((1, 2, 1), 0.4 + shift), heading, torch.ones(1, 1, 3), size).float().mean().item()
        for shift in (0.0, 0.003, 0.01)
        for size in (64, 128, 256)
    ]
    assert max(light) / min(light) < 1.5


def test_most_worlds_of_the_prior_live_and_luck_decides_little():
    sim = Boids()
    unit = torch.rand(8, sim.space.dim, generator=torch.Generator().manual_seed(6))
    status = sim.simulate(unit.repeat(2, 1), torch.arange(16), Plan()).status
    assert (status == ALIVE).float().mean() >= 0.5
    assert (status[:8] == status[8:]).float().mean() >= 0.7
