"""Gray-Scott against its equations and the regimes of the literature."""

import math

import pytest
import torch

from sims import STATUSES, Plan
from sims._reaction import dense, react
from sims.gray_scott import GrayScott, fold

DOUBLE = {"dtype": torch.float64}

REGIMES = {  # feed, kill, and what is seen at time 6000: share of cells with v > 0.15, mean |dv| per unit of time
    "alpha": (0.010, 0.047, 0.09, 4.5e-4),
    "beta": (0.026, 0.051, 1.00, 5.7e-4),
    "delta": (0.030, 0.055, 0.76, 4e-6),
    "epsilon": (0.018, 0.055, 0.25, 5.1e-4),
    "eta": (0.034, 0.063, 0.31, 3.5e-5),
    "gamma": (0.022, 0.051, 0.54, 4.9e-4),
    "iota": (0.046, 0.0594, 0.95, 2e-6),
    "kappa": (0.050, 0.063, 0.49, 3e-5),
    "lambda": (0.034, 0.065, 0.12, 7e-5),
    "mu": (0.058, 0.065, 0.12, 2e-6),
    "theta": (0.030, 0.057, 0.56, 2e-5),
    "R": (0.060, 0.050, 1.00, 0),
    "B": (0.050, 0.070, 0, 0),
}


def rates(*pairs, **kind):
    return torch.tensor([[0.2, 0.1, feed, feed + kill] for feed, kill in pairs], **kind)


def pearson(size=96, **kind):
    """Pearson's start: a square of 20 x 20 cells of (1/2, 1/4) in (1, 0), with a little noise."""
    u, v = torch.ones(1, size, size, **kind), torch.zeros(1, size, size, **kind)
    square = slice(size // 2 - 10, size // 2 + 10)
    u[:, square, square], v[:, square, square] = 0.5, 0.25
    generator = torch.Generator().manual_seed(1)
    u, v = (field + 0.01 * torch.randn(u.shape, generator=generator) for field in (u, v))
    return u, v.clamp_(min=0)


@pytest.fixture(scope="module")
def late():
    """u, v and v one unit of time later, (regimes, 96, 96), at time 6000."""
    rule = rates(*[row[:2] for row in REGIMES.values()])
    u, v = react(*(field.expand(len(rule), -1, -1) for field in pearson()), rule, 6000)
    return u, v, react(u, v, rule, 1)[1]


@pytest.mark.parametrize("regime", REGIMES)
def test_a_regime_looks_as_in_the_literature(regime, late):
    _, v, later = (one[list(REGIMES).index(regime)] for one in late)
    _, _, cover, activity = REGIMES[regime]
    assert (v > 0.15).float().mean().item() == pytest.approx(cover, abs=0.1)
    moved = (later - v).abs().mean().item()
    assert activity / 8 - 1e-8 < moved < activity * 8 + 1e-8


def test_a_uniform_world_rests_where_the_formula_says(late):
    feed, kill = REGIMES["R"][:2]
    rest = feed * (1 + math.sqrt(1 - 4 * (feed + kill) ** 2 / feed)) / (2 * (feed + kill))
    assert rest == pytest.approx(0.3926446, abs=1e-7)
    assert (late[1][list(REGIMES).index("R")] - rest).abs().max() < 1e-5


def test_a_spot_divides_until_spots_fill_the_world():
    rule, (u, v), seen = rates(REGIMES["lambda"][:2]), pearson(), []
    for _ in range(4):
        u, v = react(u, v, rule, 2000)
        seen.append((v > 0.15).float().mean().item())
    assert seen == sorted(seen)
    assert seen[-1] > 1.8 * seen[0]


def test_a_uniform_world_keeps_its_eaters_up_to_the_fold():
    feed = torch.tensor([0.05, 0.07], **DOUBLE)
    for below, lives in ((1e-4, True), (-1e-4, False)):
        rule = rates(*zip(feed.tolist(), (fold(feed) - below).tolist(), strict=True), **DOUBLE)
        v = feed.sqrt()[:, None, None].expand(2, 3, 3)  # where the two uniform states meet
        assert (dense(v * 0 + 0.5, v, rule, 5000)[1].amax() > 0.05) == lives


def test_an_empty_world_stays_empty():
    u, v = torch.ones(1, 8, 8), torch.zeros(1, 8, 8)
    assert all(torch.equal(*pair) for pair in zip(react(u, v, rates((0.03, 0.06)), 1000), (u, v), strict=True))


def test_a_step_is_the_equation():
    u, v = pearson(size=24, **DOUBLE)
    u, v = u[0], v[0]
    new_u, new_v = torch.empty_like(u), torch.empty_like(v)
    for y in range(24):
        for x in range(24):
            around = [((y + dy) % 24, (x + dx) % 24) for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1))]
            eaten = u[y, x] * v[y, x] ** 2
            new_u[y, x] = u[y, x] + 0.2 * sum(u[at] - u[y, x] for at in around) - eaten + 0.03 * (1 - u[y, x])
            new_v[y, x] = v[y, x] + 0.1 * sum(v[at] - v[y, x] for at in around) + eaten - 0.09 * v[y, x]
    step_u, step_v = dense(u[None], v[None], rates((0.03, 0.06), **DOUBLE), 1)
    assert max((step_u - new_u).abs().max(), (step_v - new_v).abs().max()) < 1e-15


def test_without_feed_and_loss_matter_is_conserved():
    u, v = pearson(**DOUBLE)
    later = dense(u, v, rates((0.0, 0.0), **DOUBLE), 500)
    assert sum(later).sum().item() == pytest.approx((u + v).sum().item(), rel=1e-12)
    assert (later[1].sum() - v.sum()).abs() > 1


@pytest.mark.parametrize(
    "move",
    [lambda field: field.roll((7, -3), (1, 2)), lambda field: field.rot90(1, (1, 2)), lambda field: field.flip(1)],
    ids=["shift", "rotate", "mirror"],
)
def test_moving_the_start_moves_the_world(move):
    rule, start = rates((0.03, 0.057), **DOUBLE), pearson(size=40, **DOUBLE)
    plain = dense(*start, rule, 500)[1]
    moved = dense(*map(move, start), rule, 500)[1]
    assert (moved - move(plain)).abs().max() < 1e-12
    assert (plain - move(plain)).abs().max() > 0.01


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (16, 16), (64, 33)])
def test_the_compiled_loop_is_the_dense_one(shape):
    u, v = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1)), torch.full((3, *shape), 0.2)
    rule = rates((0.02, 0.05), (0.03, 0.06), (0.05, 0.06))
    exact = dense(u.double(), v.double(), rule.double(), 30)
    before = u.clone(), v.clone()
    for got, want in zip(react(u, v, rule, 30), exact, strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=1e-5)
    assert torch.equal(u, before[0])
    assert torch.equal(v, before[1])


def test_statuses():
    sim = GrayScott(size=16)
    level = torch.tensor([0.0, 0.3, 0.0])[:, None, None].expand(3, 16, 16).clone()
    level[2, :8] = 0.3
    found = sim.status({"u": 1 - level, "v": level, "trail": level}, {})
    assert [STATUSES[i] for i in found.tolist()] == ["dead", "exploded", "alive"]


def test_most_worlds_of_the_prior_live():
    sim = GrayScott()
    unit = torch.rand(48, sim.space.dim, generator=torch.Generator().manual_seed(3))
    status = sim.simulate(unit, torch.arange(48), Plan()).status
    assert (status == STATUSES.index("alive")).float().mean() > 0.6
