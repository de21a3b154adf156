"""Particle Lenia against its equations, and against what was measured of the defaults of its authors."""

import math

import pytest
import torch

from sims import STATUSES, Plan
from sims._bells import LOWEST, bells, company, dense, power
from sims._torch import ALIVE, EXPLODED, FROZEN
from sims.particle_lenia import VIEW, ParticleLenia, W, slope

DOUBLE = {"dtype": torch.float64}
PAPER = {"ring": 4.0, "width": 1.0, "mu": 0.6, "tolerance": 0.25, "repulsion": 1.0}
SIM = ParticleLenia()


def rule_of(batch=1, dtype=torch.float64, **changes):
    numbers = {"spread": 6.0, "clumps": 0.0, "pattern": 0.5, **PAPER, **changes}
    crowd = 2 * math.pi**1.5 * W * numbers["ring"] * numbers["width"]
    numbers["appetite"] = numbers.pop("mu") / crowd
    return SIM.rule({name: torch.full((batch,), value, dtype=dtype) for name, value in numbers.items()})


def state_of(place, rule):
    return {"place": place, **{name: rule[name] for name in ("ring", "width", "mu", "sigma")}}


def square(seed, batch=1, n=200, side=12.0):
    return (torch.rand(batch, 2, n, generator=torch.Generator().manual_seed(seed), **DOUBLE) - 0.5) * side


def company_and_energy(point, place, rule):
    """U (B, P) and E (B, P) at points (B, 2, P), straight from the paper."""
    far = (point[..., None] - place[:, :, None]).square().sum(1).add(1e-20).sqrt()
    field = W * (-(((far - rule["ring"]) / rule["width"]) ** 2)).exp().sum(2)
    liked = (-(((field[:, None] - rule["mu"]) / rule["sigma"]) ** 2)).exp()[:, 0]
    return field, rule["repulsion"][:, 0] / 2 * (1 - far).clamp(min=0).square().sum(2) - liked


def run(place, rule, steps):
    state = state_of(place, rule)
    for _ in range(steps):
        state = SIM.step(state, rule)
    return state["place"]


def test_the_numbers_of_the_paper_are_within_reach():
    rule = rule_of()
    assert rule["mu"].item() == pytest.approx(0.6)
    assert rule["sigma"].item() == pytest.approx(0.15)
    assert rule["step"].item() == pytest.approx(0.1)
    space = {param.name: param for param in SIM.space.params}
    for name, value in {**PAPER, "appetite": 0.6 / (8 * math.pi**1.5 * W)}.items():
        assert name == "mu" or space[name].low < value < space[name].high


def test_particles_step_down_the_gradient_of_their_own_energy():
    rule, place = rule_of(repulsion=0.7, width=0.8, ring=3.0), square(0, n=50, side=8)
    point = place.clone().requires_grad_()
    _, energy = company_and_energy(point, place, rule)
    (gradient,) = torch.autograd.grad(energy.sum(), point)
    torch.testing.assert_close(slope(place, rule), gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(run(place, rule, 1), place - 0.1 * gradient, rtol=1e-9, atol=1e-12)


def test_energy_falls_and_company_settles_as_with_the_published_numbers():
    # The energies of one world after so many steps, and their standard deviation between worlds (of 32).
    measured = {0: (0.514, 0.052), 400: (-0.062, 0.032), 800: (-0.149, 0.075)}
    rule, place, before = rule_of(8, torch.float32), square(1, 8).float(), math.inf
    for steps, (energy, spread) in measured.items():
        place = run(place, rule, 400) if steps else place
        field, found = company_and_energy(place, place, rule)
        assert found.mean().item() == pytest.approx(energy, abs=3 * spread * math.sqrt(1 + 1 / 8)), steps
        assert found.mean() < before - 0.01
        before = found.mean()
    assert field.mean().item() == pytest.approx(0.6, abs=0.1)
    assert found.min() >= 1 / 2 - 1 - 1e-5  # Everybody crowds itself a little, and nothing is liked more than fully.


@pytest.mark.parametrize("move", ["shift", "rotate", "mirror"])
def test_moving_the_start_moves_the_world(move):
    turn, place = torch.tensor(0.7, **DOUBLE), square(2, n=60, side=8)
    matrix = torch.tensor([[turn.cos(), -turn.sin()], [turn.sin(), turn.cos()]], **DOUBLE)
    moves = {
        "shift": lambda one: one + torch.tensor([[3.1], [-1.7]], **DOUBLE),
        "rotate": lambda one: matrix @ one,
        "mirror": lambda one: one * torch.tensor([[1.0], [-1.0]], **DOUBLE),
    }
    rule = rule_of()
    later = run(place, rule, 100)
    assert (later - place).norm(dim=1).mean() > 0.3
    torch.testing.assert_close(run(moves[move](place), rule, 100), moves[move](later), rtol=0, atol=1e-8)


def test_two_that_are_too_near_part_to_where_the_push_ends():
    rule = rule_of(mu=100.0)  # Nobody can offer that much company: only crowding acts.
    place = torch.tensor([[[0.0, 0.3], [0.0, 0.4]]], **DOUBLE)
    later = run(place, rule, 400)
    assert (later[0, :, 1] - later[0, :, 0]).tolist() == pytest.approx([0.6, 0.8], abs=1e-6)
    assert later.sum(2).tolist() == [pytest.approx([0.3, 0.4])]


def test_two_that_like_company_meet_at_the_ring():
    rule = rule_of(mu=2 * W, ring=3.0, tolerance=0.4)  # More than the one other can give, best at the ring's middle.
    place = torch.tensor([[[0.0, 2.5], [0.0, 0.0]]], **DOUBLE)
    far = run(place, rule, 8000)[0].diff(dim=1).norm().item()
    assert far == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2, 17, 200])
def test_the_compiled_sums_are_the_dense_ones(n):
    place, at = square(n, 3, n).float(), square(n + 1, 3, 40).float()
    ring, width = torch.tensor([1.5, 4.0, 6.0]), torch.tensor([0.35, 1.0, 1.4])
    exact = dense(at.double(), place.double(), ring.double(), width.double())
    torch.testing.assert_close(bells(at, place, ring, width).double(), exact, rtol=1e-4, atol=3e-5)
    torch.testing.assert_close(company(at, place, ring, width).double(), exact[:, 0], rtol=1e-4, atol=3e-5)


def test_powers_are_those_of_the_library():
    for t in torch.linspace(float(LOWEST), 20, 3001).tolist():
        assert power(torch.tensor(t).numpy()[()]) == pytest.approx(2 ** torch.tensor(t).item(), rel=2e-7)


def test_the_start_fills_a_disc_evenly_and_gathers_in_heaps():
    even = SIM.start(rule_of(clumps=0.0), torch.tensor([0]))["place"][0]
    assert even.norm(dim=0).max() <= 6
    assert (even.norm(dim=0) < 6 / math.sqrt(2)).double().mean().item() == pytest.approx(0.5, abs=0.15)
    heaps = SIM.start(rule_of(clumps=0.8), torch.tensor([0]))["place"][0]
    for first in range(5):
        assert heaps[:, first::5].var(1).sum() < even[:, first::5].var(1).sum() / 10


def test_near_parameters_start_alike_and_seeds_change_little():
    start = SIM.start(rule_of(pattern=0.5), torch.tensor([0]))["place"]
    for rule, seed in ((rule_of(pattern=0.5), 1), (rule_of(pattern=0.503), 0)):
        assert (SIM.start(rule, torch.tensor([seed]))["place"] - start).norm(dim=1).mean() < 1
    assert (SIM.start(rule_of(pattern=0.8), torch.tensor([0]))["place"] - start).norm(dim=1).mean() > 3


def test_statuses_tell_motion_from_rest_and_from_flight():
    rule = rule_of(mu=100.0)
    apart = torch.stack(torch.meshgrid(torch.arange(5), torch.arange(5), indexing="ij")).flatten(1)[None].double()
    cases = {FROZEN: 1.5 * apart, ALIVE: 0.5 * apart, EXPLODED: 0.5 * apart + 2 * VIEW}
    for verdict, place in cases.items():
        assert SIM.status(state_of(place, rule), rule).tolist() == [verdict], STATUSES[verdict]


@pytest.mark.parametrize("size", [64, 256])
def test_a_picture_shows_each_particle_where_it_is_and_nothing_wraps(size):
    place = torch.tensor([[[0.0, -7.5, VIEW + 1], [0.0, 2.5, 0.0]]])
    rule = rule_of(dtype=torch.float32, mu=100.0)
    picture = SIM.draw(state_of(place, rule), size)[0].float().amax(2)
    for down, along in ((0.5, 0.5), (0.125, 0.625)):
        row, column = round(down * size), round(along * size)
        assert picture[row - 1 : row + 1, column - 1 : column + 1].amax() > 80
    assert picture[: size // 20].max() < 40  # The third one is below the picture, not above it.


def test_pictures_are_the_same_at_any_size():
    unit = torch.rand(4, SIM.space.dim, generator=torch.Generator().manual_seed(3))
    state = SIM.start(SIM.rule(SIM.space.decode(unit)), torch.arange(4))
    small, large = SIM.draw(state, 64).float(), SIM.draw(state, 256).float()
    large = large.view(4, 64, 4, 64, 4, 3).mean((2, 4))
    assert (small - large).abs().mean() < 6


def test_most_worlds_of_the_prior_live_and_luck_decides_little():
    unit = torch.rand(8, SIM.space.dim, generator=torch.Generator().manual_seed(5))
    status = SIM.simulate(unit.repeat(2, 1), torch.arange(16), Plan()).status
    assert (status == ALIVE).float().mean() >= 0.5
    assert (status[:8] == status[8:]).float().mean() >= 0.7
