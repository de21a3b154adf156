"""Neural boids: the network by hand, and what must hold whatever its weights are."""

import math

import pytest
import torch

from sims import Plan
from sims._flock import dense_nearest, gas, nearest
from sims._torch import ALIVE, DEAD
from sims.neural_boids import DT, SPEED, NeuralBoids, turns

DOUBLE = {"dtype": torch.float64}
QUIET = {"elbow": 0.3, "reach": 0.2, "rate": 20.0, "bias": 0.0, "order": 0.0, "spread": 0.3, "pattern": 0.4}
SIM = NeuralBoids(boids=60)


def rule_of(sim=SIM, *, when=None, steer=0.0, follow=0.0, **changes):
    params = {name: torch.tensor([value], **DOUBLE) for name, value in {**QUIET, **changes}.items()}
    weights = torch.zeros(1, 4, 4, **DOUBLE) if when is None else when
    react = {"steer": torch.full((1, 4), steer, **DOUBLE), "follow": torch.full((1, 4), follow, **DOUBLE)}
    return sim.rule({**params, **react, "when": weights})


def random_rule(sim=SIM, seed=0, **changes):
    unit = torch.rand(1, sim.space.dim, generator=torch.Generator().manual_seed(seed), **DOUBLE)
    params = sim.space.decode(unit)
    return sim.rule({**params, **{name: torch.tensor([value], **DOUBLE) for name, value in changes.items()}})


def boids(*rows):
    """Boids by place and heading (degrees)."""
    place = torch.tensor([[one[0] for one in rows], [one[1] for one in rows]], **DOUBLE)
    angle = torch.tensor([one[2] for one in rows], **DOUBLE).deg2rad()
    heading = torch.stack([angle.cos(), angle.sin()])
    return {"place": place[None], "heading": heading[None], "age": torch.zeros(1, 1, 1, **DOUBLE)}


def crowd(n=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    place = torch.rand(1, 2, n, generator=generator, **DOUBLE)
    angle = torch.rand(1, n, generator=generator, **DOUBLE) * 2 * math.pi
    heading = torch.stack([angle.cos(), angle.sin()], 1)
    return {"place": place, "heading": heading, "age": torch.zeros(1, 1, 1, **DOUBLE)}


def run(sim, state, rule, steps):
    for _ in range(steps):
        state = sim.step(state, rule)
    return state


def test_a_boid_sees_its_neighbors_in_its_own_frame_nearest_first():
    # A boid flies along +y: one ahead flies to its left; one to its left, across the edge, flies as it does.
    state = boids((0.05, 0.5, 90), (0.05, 0.6, 180), (0.99, 0.5, 90), (0.5, 0.5, 0))
    seen = nearest(state["place"], state["heading"], torch.tensor([0.2], **DOUBLE), 3)[0, :, 0]
    assert seen[:, 0].tolist() == pytest.approx([0, 0.3, 1, 0, 1], abs=1e-9)
    assert seen[:, 1].tolist() == pytest.approx([0.5, 0, 0, 1, 1], abs=1e-9)
    assert seen[:, 2].tolist() == [0, 0, 0, 0, 0]


def test_the_network_is_what_the_text_says():
    when = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(1), **DOUBLE) * 2 - 1
    rule = rule_of(when=when, steer=0.5, follow=-0.4, bias=0.1, elbow=0.6)
    others = [(0.4, 0.7, 1.1), (0.8, -2.0, -0.3)]  # distance in reaches, bearing, angle
    rows = [[d * math.cos(b), d * math.sin(b), math.cos(a), math.sin(a), 1.0] for d, b, a in others] + [[0.0] * 5]
    pull = 0.0
    for d, b, a in others:
        for w in when[0].tolist():
            heeded = 1 / (1 + math.exp(-4 * (w[0] * math.cos(b) + w[1] * (2 * d - 1) + w[2] * math.cos(a) + w[3])))
            pull += heeded * (0.5 * math.sin(b) - 0.4 * math.sin(a))
        pull -= 3 * max(0, 1 - d / 0.6) * math.sin(b)
    turn = turns(torch.tensor(rows, **DOUBLE).T[None, :, None], rule)
    assert turn.item() == pytest.approx(math.tanh(0.1 + 3 * pull / 2))


def test_all_fly_at_the_same_speed_and_turn_as_much_as_they_may():
    rule, state = random_rule(rate=30.0), crowd()
    for _ in range(50):
        later = SIM.step(state, rule)
        way = later["place"] - state["place"]
        assert ((way - way.round()).norm(dim=1) - SPEED * DT).abs().max() < 1e-12
        assert (later["heading"].norm(dim=1) - 1).abs().max() < 1e-12
        assert (later["heading"] * state["heading"]).sum(1).min() >= math.cos(math.atan(30.0 * DT)) - 1e-12
        state = later


def test_a_lone_boid_flies_straight():
    state, rule = boids((0.5, 0.5, 37)), random_rule(bias=0.2)
    later = run(NeuralBoids(boids=1), state, rule, 50)
    torch.testing.assert_close(later["heading"], state["heading"])
    torch.testing.assert_close(later["place"], (state["place"] + 50 * DT * SPEED * state["heading"]) % 1)


def test_reflexes_do_what_they_are_called():
    sim = NeuralBoids(boids=2)
    pair = boids((0.5, 0.5, 90), (0.4, 0.5, 0))  # The second is to the left of the first, and flies to its right.
    for changes, sign in (({"steer": 0.5}, 1), ({"steer": -0.5}, -1), ({"follow": 0.5}, -1), ({"follow": -0.5}, 1)):
        turned = sim.step(pair, rule_of(sim, elbow=0.1, **changes))["heading"][0, 0, 0]  # to the left is -x
        assert turned * sign < -0.01
    touching = boids((0.5, 0.5, 90), (0.49, 0.5, 0))
    assert sim.step(touching, rule_of(sim, steer=0.5, elbow=0.6))["heading"][0, 0, 0] > 0.01


def test_who_only_follows_ends_up_flying_the_same_way():
    sim = NeuralBoids()
    later = run(sim, crowd(128), rule_of(sim, follow=1.0, elbow=0.1), 400)
    assert later["heading"].mean(2).norm() > 0.85


MOVES = {
    "shift": (lambda place: (place + torch.tensor([[0.7], [0.45]], **DOUBLE)) % 1, lambda heading: heading),
    "rotate": (
        lambda place: torch.stack([place[:, 1], 1 - place[:, 0]], 1) % 1,
        lambda heading: torch.stack([heading[:, 1], -heading[:, 0]], 1),
    ),
    "mirror": (
        lambda place: torch.stack([1 - place[:, 0], place[:, 1]], 1) % 1,
        lambda heading: torch.stack([-heading[:, 0], heading[:, 1]], 1),
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_moving_the_start_moves_the_world(name):
    move, turn = MOVES[name]
    state, rule = crowd(), random_rule(bias=0.0 if name == "mirror" else 0.2)
    later = run(SIM, state, rule, 40)
    moved = run(SIM, {**state, "place": move(state["place"]), "heading": turn(state["heading"])}, rule, 40)
    off = moved["place"] - move(later["place"])
    assert (off - off.round()).abs().max() < 1e-9
    assert (moved["heading"] - turn(later["heading"])).abs().max() < 1e-7
    assert (later["heading"] - state["heading"]).abs().max() > 0.1


@pytest.mark.parametrize("n", [2, 17, 128])
@pytest.mark.parametrize("side", [1.0, 0.1], ids=["even", "crowded"])
def test_the_compiled_neighbors_are_the_dense_ones(n, side):
    generator = torch.Generator().manual_seed(n)
    place, heading = side * torch.rand(3, 2, n, generator=generator), torch.randn(3, 2, n, generator=generator)
    heading, reach = heading / heading.norm(dim=1, keepdim=True), torch.tensor([0.08, 0.15, 0.25])
    count = min(16, n - 1)
    exact = dense_nearest(place.double(), heading.double(), reach.double(), count)
    torch.testing.assert_close(nearest(place, heading, reach, count).double(), exact, rtol=1e-4, atol=1e-5)


def test_boids_in_one_place_do_not_break_the_world():
    sim = NeuralBoids(boids=3)
    state = {name: one.float() for name, one in boids(*[(0.5, 0.5, 90)] * 3).items()}
    rule = {name: one.float() for name, one in random_rule(sim).items()}
    assert all(bool(one.isfinite().all()) for one in run(sim, state, rule, 5).values())


def test_a_gas_is_dead_and_flocks_are_not():
    sim, rule = NeuralBoids(), rule_of()
    lost = {**crowd(128), "age": torch.full((1, 1, 1), 400.0, **DOUBLE)}
    stream = {**lost, "heading": torch.ones_like(lost["heading"]) / 2**0.5}
    swarm = {**lost, "place": 0.5 + 0.3 * (lost["place"] - 0.5)}
    assert gas(lost["place"], lost["heading"]).tolist() == [True]
    assert sim.status(lost, rule).tolist() == [DEAD]
    for living in (stream, swarm, crowd(128)):  # The last one has not had the time to gather.
        assert sim.status(living, rule).tolist() == [ALIVE]


def test_most_worlds_of_the_prior_live_and_luck_decides_little():
    sim = NeuralBoids()
    unit = torch.rand(8, sim.space.dim, generator=torch.Generator().manual_seed(6))
    status = sim.simulate(unit.repeat(2, 1), torch.arange(16), Plan()).status
    assert (status == ALIVE).float().mean() >= 0.5
    assert (status[:8] == status[8:]).float().mean() >= 0.7
