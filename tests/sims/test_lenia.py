"""Lenia against its equations, its symmetries, and creatures measured by others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sims import STATUSES, Plan
from sims.lenia import Lenia, bell, kernels

SPECIES = Path(__file__).parents[2].parent / "shared" / "data" / "lenia_species.json"
DOUBLE = {"dtype": torch.float64}
START = {
    "mu": 0.15,
    "tolerance": 0.25,
    "time": 10.0,
    "radius": 10.0,
    "rings": 1.0,
    "patch": 0.4,
    "cover": 0.5,
    "grain": 0.3,
}


def rule_of(sim, *, mu=0.15, sigma=0.015, time=10.0, reach=13.0, heights=(1.0,), rows=1):
    """The rule of a creature as the literature gives it: R is where its last ring ends."""
    rings = len(heights)
    params = {
        "mu": mu,
        "tolerance": sigma / mu**1.5,
        "time": time,
        "radius": reach * 2 / (rings + 1),
        "rings": rings,
        "patch": 0.3,
        "cover": 0.5,
        "pattern": 0.5,
        "grain": 0.3,
    }
    decoded = {name: torch.full((rows,), float(value), **DOUBLE) for name, value in params.items()}
    decoded["height"] = torch.tensor([*heights, 0, 0][:3], **DOUBLE).expand(rows, 3)
    return sim.rule(decoded)


def run(sim, cells, rule, steps):
    state = {"cells": cells, "trail": cells}
    for _ in range(steps):
        state = sim.step(state, rule)
    return state["cells"]


def some_world(sim, rule, seed=1):
    return sim.start(rule, torch.tensor([seed]))["cells"]


def test_growth_at_known_points():
    x = torch.tensor([0, 0.5, -0.5, 1, -1, 7, -50], **DOUBLE)
    growth = 2 * bell(x) - 1
    halfway = 2 * 0.75**4 - 1
    assert growth.tolist() == [1, halfway, halfway, -1, -1, -1, -1]


def test_a_step_is_the_equation():
    sim, mu, sigma = Lenia(size=32), 0.15, 0.03
    rule = rule_of(sim, mu=mu, sigma=sigma, time=9.0, reach=7.0)
    cells = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0), **DOUBLE) * 0.3
    axis = (torch.arange(32) + 16) % 32 - 16
    r = torch.hypot(axis[:, None].double(), axis.double()) / 7
    kernel = torch.where(r < 1, (4 * r * (1 - r)) ** 4, 0)
    seen = sum(cells.roll((i, j), (1, 2)) * kernel[i, j] for i in range(32) for j in range(32)) / kernel.sum()
    growth = 2 * (1 - (seen - mu) ** 2 / (9 * sigma**2)).clamp(min=0) ** 4 - 1
    assert growth.amax() > 0.9
    assert (run(sim, cells, rule, 1) - (cells + growth / 9).clamp(0, 1)).abs().max() < 1e-12


def test_kernel_sums_to_one_and_has_its_rings_where_they_belong():
    heights = torch.tensor([[0.5, 1.0, 0.25]], **DOUBLE)
    kernel = kernels(torch.tensor([15.0], **DOUBLE), torch.tensor([3.0], **DOUBLE), heights, 128)[0]
    assert kernel.sum().item() == pytest.approx(1, abs=1e-12)
    peaks = kernel[0, [5, 15, 25]]  # Three rings of thickness 10, each loudest in its middle,
    torch.testing.assert_close(peaks / peaks[1], heights[0], rtol=1e-12, atol=0)
    assert kernel[0, [0, 10, 20, 30, 40]].abs().max() == 0  # silent where they meet, and from R on.


def test_a_kernel_of_one_ring_is_the_classical_one():
    kernel = kernels(*(torch.tensor(value, **DOUBLE) for value in ([13.0], [1.0], [[0.3, 0.9, 0.9]])), 64)[0]
    q = torch.arange(13, **DOUBLE) / 13
    core = (4 * q * (1 - q)) ** 4
    torch.testing.assert_close(kernel[0, :13] / kernel[0, 6], core / core[6], rtol=1e-12, atol=0)


def test_rings_fade_in_without_a_jump():
    def kernel(rings):
        return kernels(*(torch.tensor(value, **DOUBLE) for value in ([10.0], [rings], [[0.7, 1.0, 0.4]])), 64)

    for rings in (2.0, 3.0):
        assert (kernel(rings) - kernel(rings - 1e-6)).abs().max() < 1e-6
    assert (kernel(1.0) - kernel(1 + 1e-6)).abs().max() < 1e-6


@pytest.mark.parametrize(
    "turn",
    [
        lambda a: a.roll((5, -11), (1, 2)),
        lambda a: a.rot90(1, (1, 2)).roll(1, 1),  # The middle of an even world is a corner: turn about cell (0, 0).
        lambda a: a.flip(2).roll(1, 2),
        lambda a: a.transpose(1, 2),
    ],
    ids=["shift", "rotate", "flip", "transpose"],
)
def test_moving_the_start_moves_the_world(turn):
    sim = Lenia()
    rule = rule_of(sim, mu=0.2, sigma=0.025, heights=(1, 0.5), reach=15.0)
    start = some_world(sim, rule)
    later = run(sim, start, rule, 60)
    assert 20 < later.sum() < 3000  # It lives, so that there is something to compare.
    assert (run(sim, turn(start), rule, 60) - turn(later)).abs().max() < 1e-10


def test_cells_stay_in_range_and_change_by_at_most_one_over_t():
    sim = Lenia()
    rule = rule_of(sim, mu=0.2, sigma=0.03, time=8.0)
    before = some_world(sim, rule)
    for _ in range(50):
        after = run(sim, before, rule, 1)
        assert after.min() >= 0
        assert after.max() <= 1
        assert (after - before).abs().max() <= 1 / 8 + 1e-12
        before = after


def test_twice_the_cells_is_the_same_world():
    small, large = Lenia(size=64), Lenia(size=128)
    rule = rule_of(small, reach=12.0, sigma=0.03)
    smooth = some_world(small, rule)
    smooth = torch.fft.irfft2(torch.fft.rfft2(smooth) * (torch.fft.fftfreq(64).abs()[:, None] < 0.1), s=(64, 64))
    zoomed = smooth.clamp(0, 1).repeat_interleave(2, 1).repeat_interleave(2, 2)
    one = run(small, smooth.clamp(0, 1), rule, 5)
    two = run(large, zoomed, rule_of(large, reach=24.0, sigma=0.03), 5)
    assert two.sum() / one.sum() == pytest.approx(4, rel=0.03)
    assert (torch.nn.functional.avg_pool2d(two, 2) - one).abs().mean() < 0.02 * one.mean().clamp(min=0.1)


def test_shorter_steps_approach_one_world():
    """Euler's method: half the step, half the error."""
    sim = Lenia()
    start = some_world(sim, rule_of(sim, sigma=0.03))
    runs = {time: run(sim, start, rule_of(sim, time=time, sigma=0.03), int(time)) for time in (10.0, 20.0, 40.0, 640.0)}
    error = {time: float((world - runs[640.0]).abs().mean()) for time, world in runs.items()}
    assert error[20.0] < 0.65 * error[10.0]
    assert error[40.0] < 0.65 * error[20.0]


def test_the_prior_is_worth_sampling():
    sim = Lenia()
    unit = torch.rand(160, sim.space.dim, generator=torch.Generator().manual_seed(3))
    made = sim.simulate(unit, torch.arange(160), Plan())
    alive = made.status == STATUSES.index("alive")
    assert alive.float().mean() > 0.25
    bright = (made.clip[alive, -1].amax(-1) > 60).float()[:, None]
    covered = torch.nn.functional.max_pool2d(bright, 8).mean((1, 2, 3))
    assert (covered < 0.6).sum() >= 3  # creatures in empty space,
    assert (covered > 0.9).sum() >= 3  # and worlds that are full


def test_importing_a_simulation_loads_no_compiler():
    code = "import sys, sims.lenia, sims.particle_life; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


@pytest.mark.skipif(not SPECIES.exists(), reason="no ../shared/data/lenia_species.json")
@pytest.mark.parametrize(("code", "pace"), [("O2u", 0.6235), ("O2b", 0.603), ("S1s", 0.3557), ("2S1v", 0.271)])
def test_known_creatures_have_their_known_weight_and_speed(code, pace):
    creature = next(one for one in json.loads(SPECIES.read_text())["species"] if one["code"] == code)
    given, sim = creature["params"], Lenia(size=64)
    heights = [_fraction(part) for part in given["b"].split(",")]
    rule = rule_of(sim, mu=given["m"], sigma=given["s"], time=given["T"], reach=given["R"], heights=heights)
    cells = torch.tensor(creature["cells"], **DOUBLE)
    cells = torch.nn.functional.pad(cells, (20, 44 - cells.shape[1], 20, 44 - cells.shape[0]))[None]
    masses, centers = [], [_center(cells)]
    for _ in range(1000):
        cells = run(sim, cells, rule, 1)
        masses.append(cells.sum().item())
        step = (_center(cells) - centers[-1] + 32) % 64 - 32
        centers.append(centers[-1] + step)
    mass = sum(masses[500:]) / 500
    speed = (centers[-1] - centers[0]).norm().item() / 1000
    assert mass == pytest.approx(creature["mass_mean"], abs=0.5)
    assert speed == pytest.approx(pace, abs=0.01)


def _fraction(text):
    over, _, under = text.partition("/")
    return float(over) / float(under or 1)


def _center(cells):
    """Center of mass on the torus, in cells: the angle of the first Fourier component of each axis."""
    wave = torch.exp(2j * torch.pi * torch.arange(64) / 64)
    angles = torch.stack([(cells[0].sum(axis) * wave).sum().angle() for axis in (1, 0)])
    return angles * 64 / (2 * torch.pi)


def test_near_patterns_start_alike_and_the_seed_only_varies_them():
    sim = Lenia()
    params = {name: torch.full((3,), value) for name, value in START.items()}
    params["pattern"] = torch.tensor([0.40, 0.41, 0.70])
    params["height"] = torch.tensor([1.0, 0.5, 0.0]).expand(3, 3)
    rule = sim.rule(params)
    one, near, far = sim.start(rule, torch.tensor([1, 1, 1]))["cells"].flatten(1)
    reseeded = sim.start(rule, torch.tensor([2, 2, 2]))["cells"].flatten(1)[0]

    def alike(a, b):
        return float(torch.corrcoef(torch.stack([a, b]))[0, 1])

    assert alike(one, near) > 0.9
    assert 0.8 < alike(one, reseeded) < 1
    assert alike(one, far) < alike(one, reseeded) - 0.2
