"""Flow Lenia against its equations, its symmetries, and the conservation of mass."""

import pytest
import torch

from sims import STATUSES, Plan
from sims._matter import carry, drift, plain_carry, plain_drift, slope
from sims._torch import ALIVE, DEAD, FROZEN
from sims.flow_lenia import FlowLenia, kernels
from tests.sims.turns import each_turn

DOUBLE = {"dtype": torch.float64}


def params_of(rows=1, seed=0, dtype=torch.float64):
    sim = FlowLenia()
    unit = torch.rand(rows, sim.space.dim, generator=torch.Generator().manual_seed(seed))
    return {name: value.to(dtype) for name, value in sim.space.decode(unit).items()}


def run(sim, cells, rule, steps):
    state = {"cells": cells, "trail": cells}
    for _ in range(steps):
        state = sim.step(state, rule)
    return state["cells"]


def crowd(*shape, seed=0):
    """Matter in some cells, and none in others."""
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **DOUBLE) - 0.4).clamp(min=0)


def drifts(*shape, most=4.35, seed=1):
    return most * (2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **DOUBLE) - 1)


def by_rolling(matter, moves, spread, reach=5):
    """Reintegration tracking as published: all pairs of cells that are at most `reach` apart."""
    total = torch.zeros_like(matter)
    for i in range(-reach, reach + 1):
        for j in range(-reach, reach + 1):
            down, right = (
                (0.5 - (offset - moves[:, :, axis]).abs() + spread).clamp(0, min(1, 2 * spread))
                for axis, offset in ((0, i), (1, j))
            )
            total += (matter * down * right / (4 * spread**2)).roll((i, j), (2, 3))
    return total


@pytest.mark.parametrize("spread", [0.3, 0.5, 0.65, 1.0])
def test_matter_is_carried_as_published(spread):
    matter, moves = crowd(2, 2, 20, 28), drifts(2, 2, 2, 20, 28, most=5 - spread)
    moves[0, 0, :, 3, :] = torch.tensor([0.5, -0.5, 1.5, 0, 4, -4, 0.15] * 4, **DOUBLE)  # where squares meet cells
    exact = by_rolling(matter, moves, spread)
    assert (plain_carry(matter, moves, spread) - exact).abs().max() < 1e-11
    assert (carry(matter.float(), moves.float(), spread).double() - exact).abs().max() < 2e-6


def test_matter_at_rest_spreads_by_the_known_weights():
    matter = torch.zeros(1, 1, 9, 9, **DOUBLE)
    matter[0, 0, 4, 4] = 1
    axis = torch.tensor([0.15, 1, 0.15], **DOUBLE) / 1.3  # .115, .769, .115
    for one, bound in ((matter, 1e-12), (matter.float(), 1e-7)):
        after = carry(one, torch.zeros(1, 1, 2, 9, 9).to(one), 0.65)[0, 0].double()
        assert (after[3:6, 3:6] - axis[:, None] * axis).abs().max() < bound
        assert after.sum().item() == pytest.approx(1, abs=1e-7)


def test_matter_moves_by_its_drift_around_the_torus():
    """The center of mass moves by the drift: exactly where it is whole or half, as cells know no finer place."""
    matter = torch.zeros(1, 1, 12, 12, **DOUBLE)
    matter[0, 0, 10, 1] = 2
    moves = torch.zeros(1, 1, 2, 12, 12, **DOUBLE)
    moves[:, :, 0], moves[:, :, 1] = 3.5, -3
    after = carry(matter, moves, 0.65).roll((-10 + 2, -1 + 6), (2, 3))[0, 0]  # back to (2, 6), away from the edges
    axis = torch.arange(12, **DOUBLE)
    assert (after.sum(1) @ axis / 2).item() == pytest.approx(2 + 3.5)
    assert (after.sum(0) @ axis / 2).item() == pytest.approx(6 - 3)


def test_the_slope_is_sobels_undivided():
    axis = torch.arange(16, **DOUBLE)
    wave = torch.sin(2 * torch.pi * axis / 16)
    rise = torch.sin(2 * torch.pi * (axis + 1) / 16) - torch.sin(2 * torch.pi * (axis - 1) / 16)
    down, right = slope(wave[:, None].expand(1, 1, 16, 16))[0, 0]
    torch.testing.assert_close(down, 4 * rise[:, None].expand(16, 16))
    assert right.abs().max() < 1e-12
    image, weights = crowd(1, 1, 8, 8), torch.tensor([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], **DOUBLE)
    down, right = slope(image)[0, 0]
    patch = image[0, 0, 2:5, 4:7]
    assert down[3, 5].item() == pytest.approx((patch * weights).sum().item())
    assert right[3, 5].item() == pytest.approx((patch * weights.T).sum().item())


def test_matter_flows_to_what_it_likes_and_away_from_crowds():
    matter, liked, theta = crowd(1, 2, 8, 8), crowd(1, 2, 8, 8, seed=5), torch.tensor([0.5], **DOUBLE)
    strives = drift(matter, liked, theta, 1.0, 100.0)
    crowded = (matter / 0.5).clamp(0, 1) ** 2
    both = slope(matter.sum(1, keepdim=True))[:, 0]
    for c in range(2):
        for axis in range(2):
            expected = (1 - crowded[:, c]) * slope(liked)[:, c, axis] - crowded[:, c] * both[:, axis]
            torch.testing.assert_close(strives[:, c, axis], expected)


def test_the_compiled_drift_is_the_plain_one():
    matter, liked = crowd(2, 3, 12, 17), 3 * crowd(2, 3, 12, 17, seed=5)
    theta = torch.tensor([0.4, 2.0], **DOUBLE)
    exact = plain_drift(matter, liked, theta, 0.3, 1.5)
    assert exact.abs().max() == 1.5
    quick = drift(matter.float(), liked.float(), theta.float(), 0.3, 1.5)
    torch.testing.assert_close(quick.double(), exact, rtol=0, atol=2e-6)


def test_a_step_is_the_equation():
    sim, params = FlowLenia(size=24, limit=2, dt=0.25), params_of(seed=4)
    params["radius"] = torch.tensor([5.0], **DOUBLE)
    rule = sim.rule(params)
    cells = sim.start(rule, torch.tensor([1]))["cells"]
    shells = kernels(
        params["radius"],
        params["ring"],
        torch.stack([1 - params["outer"], params["outer"]], 2),
        params["width"],
        24,
    )[0]
    liked = torch.zeros(24, 24, **DOUBLE)
    for k, shell in enumerate(shells):
        seen = sum(cells[0].roll((i, j), (0, 1)) * shell[i, j] for i in range(24) for j in range(24))
        mu = params["mu"][0, k]
        sigma = mu * params["tolerance"][0, k]
        liked += params["weight"][0, k] * (2 * torch.exp(-(((seen - mu) / sigma) ** 2) / 2) - 1)
    moves = drift(cells[:, None], liked[None, None], params["theta"], 0.25, 100.0)
    assert moves.abs().max() > 2 - 0.65  # The limit is reached.
    expected = by_rolling(cells[:, None], moves.clamp(0.65 - 2, 2 - 0.65), 0.65, 2)
    assert (run(sim, cells, rule, 1) - expected[:, 0]).abs().max() < 1e-10


def test_kernels_are_what_the_data_sheet_says():
    radius, ring, loud, width = (
        torch.tensor(value, **DOUBLE) for value in ([8.0], [[[0.25, 0.75]]], [[[0.4, 0.6]]], [[0.05]])
    )
    shell = kernels(radius, ring, loud, width, 32)[0, 0]
    assert shell.sum().item() == pytest.approx(1)
    d = torch.arange(16, **DOUBLE) / 8
    bumps = 0.4 * torch.exp(-((d - 0.25) ** 2) / 0.05) + 0.6 * torch.exp(-((d - 0.75) ** 2) / 0.05)
    expected = bumps / (1 + torch.exp(10 * (d - 1)))
    torch.testing.assert_close(shell[0, :16] / shell[0, 0], expected / expected[0])
    torch.testing.assert_close(shell, shell.T)


def test_mass_is_conserved_in_double_precision():
    sim = FlowLenia(size=32)
    rule = sim.rule(params_of(rows=3))
    start = sim.start(rule, torch.arange(3))["cells"]
    end = run(sim, start, rule, 150)
    assert ((end.sum((1, 2)) - start.sum((1, 2))) / start.sum((1, 2))).abs().max() < 1e-12
    assert end.min() >= 0
    assert (end - start).abs().max() > 0.1


def test_mass_is_conserved_in_single_precision():
    sim = FlowLenia(size=32)
    rule = sim.rule(params_of(rows=16, dtype=torch.float32))
    start = sim.start(rule, torch.arange(16))["cells"]
    mass, now = start.double().sum((1, 2)), start
    for _ in range(4):
        now = run(sim, now, rule, 250)
        assert ((now.double().sum((1, 2)) - mass) / mass).abs().max() < 1e-6
        assert now.min() >= 0


def test_mass_is_conserved_in_each_channel():
    matter, moves = crowd(2, 3, 16, 16), drifts(2, 3, 2, 16, 16)
    for kind, bound in ((torch.float64, 1e-13), (torch.float32, 1e-7)):
        after = carry(matter.to(kind), moves.to(kind), 0.65).double()
        before = matter.to(kind).double().sum((2, 3))
        assert ((after.sum((2, 3)) - before) / before).abs().max() < bound


@each_turn
def test_moving_the_start_moves_the_world(turn):
    sim = FlowLenia(size=48)
    rule = sim.rule(params_of(seed=2))
    start = sim.start(rule, torch.tensor([1]))["cells"]
    later = run(sim, start, rule, 12)
    assert (later - start).abs().max() > 0.1
    assert (run(sim, turn(start), rule, 12) - turn(later)).abs().max() < 1e-7


def test_a_lone_world_of_even_matter_stays_so():
    sim = FlowLenia(size=32)
    rule = sim.rule(params_of())
    even = torch.full((1, 32, 32), 0.37, **DOUBLE)
    assert (run(sim, even, rule, 20) - 0.37).abs().max() < 1e-9


def test_status_tells_the_dissolved_and_the_frozen_from_the_living():
    dissolved, body = torch.full((32, 32), 0.3), torch.zeros(32, 32)
    body[10:15, 10:15] = 1
    cells = torch.stack([dissolved, body, body])
    trail = torch.stack([dissolved, body, body.roll(3, 0)])
    assert FlowLenia().status({"cells": cells, "trail": trail}, {}).tolist() == [DEAD, FROZEN, ALIVE]


def test_the_same_parameters_make_the_same_world_whatever_the_seed():
    sim = FlowLenia()
    unit = torch.rand(8, sim.space.dim, generator=torch.Generator().manual_seed(6)).repeat_interleave(2, 0)
    made = sim.simulate(unit, torch.arange(16), Plan())
    status, look = made.status.view(8, 2), made.clip[:, -1].float().mean(3).view(8, 2, 8, 8, 8, 8).mean((3, 5))
    assert (status[:, 0] == status[:, 1]).float().mean() >= 0.75
    same = (look[:, 0] - look[:, 1]).abs().mean((1, 2))
    other = (look[:, 0] - look.roll(1, 0)[:, 0]).abs().mean((1, 2))
    assert same.median() < other.median()


def test_the_prior_is_worth_sampling_and_a_world_is_the_same_in_any_company():
    sim = FlowLenia()
    unit = torch.rand(24, sim.space.dim, generator=torch.Generator().manual_seed(3))
    made = sim.simulate(unit, torch.arange(24), Plan())
    alive = made.status == STATUSES.index("alive")
    assert alive.float().mean() > 0.6
    assert made.clip[alive, -1].amax((1, 2, 3)).float().median() > 150
    order = torch.randperm(24, generator=torch.Generator().manual_seed(4))[:11]
    again = sim.simulate(unit[order], order, Plan())
    assert torch.equal(again.clip, made.clip[order])
    assert torch.equal(again.status, made.status[order])
