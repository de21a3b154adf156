"""Particle Life with turning colors against what follows from its equations."""

import math

import pytest
import torch

from sims import STATUSES, Plan
from sims._clocks import mingle, mixture
from sims.particle_life import DT, ParticleLife
from sims.particle_life_plus import ParticleLifePlus

DOUBLE = {"dtype": torch.float64}


def params_of(attraction, *, drift=0.0, follow=0.0, lag=0.0, reach=0.2, core=0.3):
    numbers = {"reach": reach, "core": core, "force": 5.0, "glide": 0.05, "spread": 0.3, "pattern": 0.4}
    numbers |= {"drift": drift, "follow": follow, "lag": lag}
    return {**{name: torch.tensor([value], **DOUBLE) for name, value in numbers.items()}, "attraction": attraction}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **DOUBLE)


def run(sim, state, rule, steps):
    for _ in range(steps):
        state = sim.step(state, rule)
    return state


def clocks(sim, kinds, distance=0.06, **numbers):
    """Two that are at rest, as near as the core allows (0.3 * 0.2), and not drawn to each other."""
    rule = sim.rule(params_of(torch.zeros(1, 3, 3, **DOUBLE), **numbers))
    place = torch.tensor([[[0.5, 0.5 + distance], [0.5, 0.5]]], **DOUBLE)
    return {"place": place, "motion": torch.zeros_like(place), "kind": torch.tensor([kinds], **DOUBLE)}, rule


def test_without_drift_and_follow_it_is_particle_life():
    plus, life = ParticleLifePlus(particles=90), ParticleLife(particles=90)
    params = params_of(random(1, 3, 3) * 2 - 1)
    rule, seeds = plus.rule(params), torch.tensor([0])
    state, plain = plus.start(rule, seeds), life.start(rule, seeds)
    assert torch.equal(plus.draw(state, 64), life.draw(plain, 64))
    state, plain = run(plus, state, rule, 60), run(life, plain, rule, 60)
    assert (state["place"] - plain["place"]).abs().max() < 1e-10
    assert (state["motion"] - plain["motion"]).abs().max() < 1e-10
    assert torch.equal(plus.draw(state, 64), life.draw(plain, 64))


def test_two_clocks_agree_as_the_formula_says():
    sim, follow, steps = ParticleLifePlus(particles=2), 0.3, 60
    state, rule = clocks(sim, [0.0, 1.2], follow=follow)
    state = run(sim, state, rule, steps)
    weight = 1 - 0.3  # of the other: at 0.3 reaches
    pace = 2 * follow * weight / (1 + weight)  # Of two halves of a difference d: d' = -pace sin(2 pi d).
    expected = math.atan(math.tan(math.pi * 1.2 / 3) * math.exp(-2 * math.pi * pace * steps * DT)) / math.pi
    apart = (state["kind"][0, 1] - state["kind"][0, 0]).item() / 3
    assert apart == pytest.approx(expected, rel=0.02)
    assert state["kind"].sum().item() == pytest.approx(1.2)  # They meet in the middle.


@pytest.mark.parametrize("lag", [0.0, 0.2])
def test_those_who_agree_only_drift(lag):
    sim = ParticleLifePlus(particles=2)
    state, rule = clocks(sim, [2.5, 2.5], drift=0.25, follow=1.0, lag=lag)
    expected = (2.5 + 3 * 0.25 * DT * 100) % 3
    assert run(sim, state, rule, 100)["kind"][0].tolist() == pytest.approx([expected] * 2)


def test_bodies_at_rest_live_while_their_colors_turn():
    sim = ParticleLifePlus(particles=2)
    state, rule = clocks(sim, [0.5, 0.5], drift=0.25)
    assert STATUSES[sim.status(state, rule).item()] == "alive"


def test_with_a_lag_of_a_quarter_both_hurry():
    sim = ParticleLifePlus(particles=2)
    state, rule = clocks(sim, [0.0, 0.75], follow=1.0, lag=0.25)
    ahead = sim.step(state, rule)["kind"] - state["kind"]
    share = 0.7 / 1.7  # sin(+-90 - 90 degrees) + 1: 1 for who is behind, 1 for who is ahead
    assert ahead[0].tolist() == pytest.approx([3 * DT * share * (math.sin(math.pi / 2 - math.pi / 2) + 1)] * 2)


def test_a_mixture_is_between_its_neighbors_on_the_circle():
    weight = mixture(torch.tensor([[0.0, 2.0, 0.25, 2.75]], **DOUBLE), 3)[0]
    assert weight.T.tolist() == [[1, 0, 0], [0, 0, 1], [0.75, 0.25, 0], [0.75, 0, 0.25]]
    assert mixture(random(1, 50) * 5, 5).sum(1) == pytest.approx(1)


def test_mutual_forces_cancel_between_mixtures():
    place, kind, attraction = random(1, 2, 90, seed=1), random(1, 90, seed=2) * 3, random(1, 3, 3, seed=3) * 2 - 1
    reach, core = torch.tensor([0.2], **DOUBLE), torch.tensor([0.3], **DOUBLE)
    assert mingle(place, kind, attraction + attraction.mT, reach, core)[0].sum(2).abs().max() < 1e-12
    assert mingle(place, kind, attraction, reach, core)[0].sum(2).abs().max() > 0.1


@pytest.mark.parametrize("n", [1, 2, 300])
@pytest.mark.parametrize("count", [1, 3, 6])
def test_the_compiled_loops_are_the_dense_ones(n, count):
    place, kind, attraction = random(3, 2, n), random(3, n, seed=1) * count, random(3, count, count, seed=2) * 2 - 1
    numbers = place, kind, attraction, torch.tensor([0.04, 0.15, 0.5]), torch.tensor([0.2, 0.4, 0.6])
    compiled = mingle(*(one.float() for one in numbers))
    for here, exact in zip(compiled, mingle(*(one.double() for one in numbers)), strict=True):
        torch.testing.assert_close(here.double(), exact, rtol=1e-4, atol=5e-5)


def test_agreement_spreads_and_a_lag_keeps_it_from_ending():
    sim = ParticleLifePlus()

    def unity(lag):
        params = {name: value.float() for name, value in params_of(torch.ones(1, 3, 3), follow=0.6, lag=lag).items()}
        rule = sim.rule(params)
        kind = run(sim, sim.start(rule, torch.tensor([0])), rule, 200)["kind"] * 2 * math.pi / 3
        return math.hypot(kind.cos().mean().item(), kind.sin().mean().item())

    assert unity(0.0) > 0.95
    assert unity(0.25) < 0.8


def test_worlds_of_the_prior_live_in_any_company():
    sim = ParticleLifePlus()
    unit, seeds = torch.rand(12, sim.space.dim, generator=torch.Generator().manual_seed(0)), torch.arange(12)
    made = sim.simulate(unit, seeds, Plan())
    assert (made.status == STATUSES.index("alive")).float().mean() > 0.5
    alone = sim.simulate(unit[9:], seeds[9:], Plan())
    assert torch.equal(alone.clip, made.clip[9:])
    assert torch.equal(alone.status, made.status[9:])
