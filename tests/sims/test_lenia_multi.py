"""Lenia with several channels and kernels against its equations, its symmetries, and Lenia."""

import pytest
import torch

from sims import STATUSES, Plan
from sims._affinity import affinity, plain
from sims._fourier import convolve, prepare
from sims._torch import DEAD, EXPLODED
from sims.lenia_multi import CHANNELS, HEIGHTS, KERNELS, SHARE, SOURCE, TARGET, LeniaMulti, kernel
from tests.sims.turns import each_turn

DOUBLE = {"dtype": torch.float64}


def params_of(rows=1, seed=0, **fixed):
    """Numbers of worlds that live, in double precision."""
    sim = LeniaMulti()
    unit = torch.rand(rows, sim.space.dim, generator=torch.Generator().manual_seed(seed))
    params = {name: value.double() for name, value in sim.space.decode(unit).items()}
    return params | {name: torch.full_like(params[name], value) for name, value in fixed.items()}


def run(sim, cells, rule, steps):
    for _ in range(steps):
        cells = sim.step(cells, rule)
    return cells


def ring_kernel(radius, heights, size):
    """The kernel of the data sheet, cell by cell."""
    result = torch.zeros(size, size, **DOUBLE)
    for i in range(size):
        for j in range(size):
            y, x = (i + size // 2) % size - size // 2, (j + size // 2) % size - size // 2
            place = (y * y + x * x) ** 0.5 * len(heights) / radius
            if place < len(heights):
                height, q = torch.tensor(heights[int(place)], **DOUBLE), torch.tensor(place % 1, **DOUBLE)
                result[i, j] = height * torch.exp(-(((q - 0.5) / 0.15) ** 2) / 2)
    return result / result.sum()


@pytest.mark.parametrize("heights", [(1,), (0.6, 1), (0.5, 1, 0.25)])
@pytest.mark.parametrize("radius", [5.0, 8.4, 12.0])
def test_a_kernel_is_what_the_data_sheet_says(heights, radius):
    made = kernel(torch.tensor([radius], **DOUBLE), heights, 32)[0]
    assert made.sum().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(made, ring_kernel(radius, heights, 32), rtol=1e-10, atol=1e-15)


def test_a_step_is_the_equation():
    """By sums over all pairs of cells, for all three channels and fifteen kernels."""
    sim, params = LeniaMulti(size=24, radius=7.0, time=3.0), params_of()
    rule = sim.rule(params)
    cells = torch.rand(1, CHANNELS, 24, 24, generator=torch.Generator().manual_seed(0), **DOUBLE) * 0.6
    growth = torch.zeros_like(cells[0])
    for k, (source, target) in enumerate(zip(SOURCE, TARGET, strict=True)):
        reach = 7.0 * SHARE[k] * params["reach"][0, source].item()
        weights = ring_kernel(reach, HEIGHTS[k], 24)
        seen = sum(cells[0, source].roll((i, j), (0, 1)) * weights[i, j] for i in range(24) for j in range(24))
        mu = params["mu"][0, k]
        sigma = mu * params["tolerance"][0, target]
        growth[target] += params["weight"][0, k] * (2 * torch.exp(-(((seen - mu) / sigma) ** 2) / 2) - 1)
    assert growth.amax() > 0
    assert (sim.step(cells, rule)[0] - (cells[0] + growth / 3).clamp(0, 1)).abs().max() < 1e-12


def test_the_wiring_is_canonical():
    pairs = list(zip(SOURCE, TARGET, strict=True))
    assert KERNELS == 15
    for a in range(CHANNELS):
        for b in range(CHANNELS):
            assert pairs.count((a, b)) == (3 if a == b else 1)


def test_time_divides_the_sum_of_all_growth():
    params = params_of()
    slow, fast = LeniaMulti(time=200.0), LeniaMulti(time=100.0)
    cells = 0.3 + 0.1 * fast.start(fast.rule(params), torch.tensor([1]))  # Far from both ends: nothing is clipped.
    change = [sim.step(cells, sim.rule(params)) - cells for sim in (slow, fast)]
    torch.testing.assert_close(2 * change[0], change[1], rtol=1e-9, atol=1e-12)
    assert change[1].abs().max() <= params["weight"].sum() / 100


def test_one_channel_and_one_kernel_are_lenia_with_gaussian_growth():
    from sims import lenia

    shell = lenia.kernels(*(torch.tensor(value, **DOUBLE) for value in ([9.0], [1.0], [[1.0, 0.0, 0.0]])), 32)
    cells = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0), **DOUBLE) * 0.4
    seen = convolve(cells, prepare(shell[:, None]))
    mu, sigma, weight = (torch.tensor([[value]], **DOUBLE) for value in (0.15, 0.03, 1.0))
    growth = affinity(seen, mu, sigma, weight, (0,))
    direct = sum(cells[0, 0].roll((i, j), (0, 1)) * shell[0, i, j] for i in range(32) for j in range(32))
    torch.testing.assert_close(growth[0, 0], 2 * torch.exp(-((direct - 0.15) ** 2) / (2 * 0.03**2)) - 1)


@each_turn
def test_moving_the_start_moves_the_world(turn):
    sim = LeniaMulti()
    rule = sim.rule(params_of(seed=3, tolerance=0.4))
    start = sim.start(rule, torch.tensor([1]))
    later = run(sim, start, rule, 8)
    assert 20 < later.sum() < 9000  # It lives, so that there is something to compare.
    assert (run(sim, turn(start), rule, 8) - turn(later)).abs().max() < 1e-8


def test_channels_are_interchangeable():
    """Renaming channels 0 -> 1 -> 2 -> 0, with their kernels, renames them in the next state."""
    sim, params = LeniaMulti(), params_of(seed=3)
    turn = [2, 0, 1]
    pairs, order = list(zip(SOURCE, TARGET, strict=True)), []
    for k, (a, b) in enumerate(pairs):
        same = [i for i, pair in enumerate(pairs) if pair == (turn[a], turn[b])]
        order.append(same[k % 3 if a == b else 0])
    moved = {name: value[:, order] if name in ("mu", "weight") else value for name, value in params.items()}
    moved |= {name: params[name][:, turn] for name in ("tolerance", "reach")}
    cells = sim.start(sim.rule(params), torch.tensor([1]))
    one, two = run(sim, cells, sim.rule(params), 3), run(sim, cells[:, turn], sim.rule(moved), 3)
    assert (one[:, turn] - two).abs().max() < 1e-10


def test_an_empty_world_stays_empty_and_cells_stay_in_range():
    sim = LeniaMulti()
    rule = sim.rule(params_of(rows=8))
    empty = torch.zeros(8, CHANNELS, 64, 64, **DOUBLE)
    assert run(sim, empty, rule, 3).abs().max() == 0
    cells = run(sim, sim.start(rule, torch.arange(8)), rule, 20)
    assert cells.min() >= 0
    assert cells.max() <= 1


def test_status_tells_the_empty_from_the_full():
    sim = LeniaMulti()
    worlds = torch.stack([torch.zeros(CHANNELS, 64, 64), torch.full((CHANNELS, 64, 64), 0.5)])
    assert sim.status(worlds, {}).tolist() == [DEAD, EXPLODED]


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 7, 33)])
def test_the_compiled_growth_is_the_plain_one(shape):
    rows, *size = shape
    seen = torch.rand(rows, KERNELS, *size, generator=torch.Generator().manual_seed(1))
    mu, sigma, weight = torch.rand(3, rows, KERNELS, generator=torch.Generator().manual_seed(2)) / 2 + 0.01
    sigma = sigma / 20  # Many values are so far away that nothing of a bell is left.
    exact = plain(seen.double(), mu.double(), sigma.double(), weight.double(), TARGET)
    torch.testing.assert_close(affinity(seen, mu, sigma, weight, TARGET).double(), exact, rtol=0, atol=5e-6)


def test_single_precision_stays_close():
    sim = LeniaMulti()
    rule = sim.rule(params_of(rows=4, seed=5))
    single = {name: value.float() for name, value in rule.items() if name != "kernel"}
    params = {name: value.float() for name, value in params_of(rows=4, seed=5).items()}
    single["kernel"] = sim.rule(params)["kernel"]
    start = sim.start(rule, torch.arange(4))
    apart = run(sim, start.float(), single, 3).double() - run(sim, start, rule, 3)
    assert apart.abs().max() < 1e-3


def test_the_same_parameters_make_the_same_world_whatever_the_seed():
    sim = LeniaMulti()
    unit = torch.rand(12, sim.space.dim, generator=torch.Generator().manual_seed(6)).repeat_interleave(2, 0)
    status = sim.simulate(unit, torch.arange(24), Plan()).status.view(12, 2)
    assert (status[:, 0] == status[:, 1]).float().mean() >= 0.75


def test_pictures_show_channels_in_colors_of_their_own():
    worlds = torch.eye(CHANNELS)[:, :, None, None].expand(-1, -1, 16, 16)
    colors = LeniaMulti().draw(worlds, 16)[:, 0, 0].float()
    assert colors.argmax(1).tolist() == [0, 1, 2]
    assert colors.amax(1).min() > 180
    assert LeniaMulti().draw(torch.ones(1, CHANNELS, 16, 16), 16).min() > 220
    assert LeniaMulti().draw(torch.zeros(1, CHANNELS, 16, 16), 16).max() < 12


def test_the_prior_is_worth_sampling_and_a_world_is_the_same_in_any_company():
    sim = LeniaMulti()
    unit = torch.rand(40, sim.space.dim, generator=torch.Generator().manual_seed(3))
    made = sim.simulate(unit, torch.arange(40), Plan())
    alive = made.status == STATUSES.index("alive")
    assert alive.float().mean() > 0.35
    moving = made.clip[alive, -4:].float().diff(dim=1).abs().mean((1, 2, 3, 4))
    assert (moving > 3).float().mean() > 0.4
    order = torch.randperm(40, generator=torch.Generator().manual_seed(4))[:19]
    again = sim.simulate(unit[order], order, Plan())
    assert torch.equal(again.clip, made.clip[order])
    assert torch.equal(again.status, made.status[order])
