"""Lenia against its equations, its symmetries, and creatures measured by others."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.species import middle, read, replay
from sims import STATUSES, Plan, check_simulation
from sims.lenia import BELLS, CORES, Lenia, grow, kernels
from tests.sims.turns import each_turn

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


def law(sim, *, mu=0.15, sigma=0.015, time=10.0, reach=13.0, heights=(1.0,)):
    """The rule of one creature."""
    numbers = {"mu": mu, "sigma": sigma, "time": time, "reach": reach, "rings": len(heights)}
    columns = {name: torch.tensor([value], **DOUBLE) for name, value in numbers.items()}
    return sim.law(**columns, height=torch.tensor([heights], **DOUBLE))


def kernel(reach, rings, heights, size, core="polynomial"):
    return kernels(*(torch.tensor([value], **DOUBLE) for value in (reach, rings, heights)), size, core)[0]


def run(sim, cells, rule, steps):
    state = {"cells": cells, "trail": cells}
    for _ in range(steps):
        state = sim.step(state, rule)
    return state["cells"]


def some_world(seed=1):
    sim = Lenia()
    rule = sim.rule({name: torch.tensor([value], **DOUBLE) for name, value in (START | {"pattern": 0.5}).items()})
    return sim.start(rule, torch.tensor([seed]))["cells"]


@pytest.mark.parametrize(
    ("growth", "known"),
    [
        ("polynomial", {0: 1, 1.5: 2 * 0.75**4 - 1, 3: -1, 21: -1}),
        ("gaussian", {0: 1, 1: 2 * math.exp(-1 / 2) - 1, 2: 2 * math.exp(-2) - 1, 21: -1}),
        ("step", {0: 1, 0.99: 1, 1.01: -1, 21: -1}),
    ],
)
def test_growth_at_known_points(growth, known):
    for sigmas, value in known.items():
        both = 2 * BELLS[growth](torch.tensor([sigmas / 3, -sigmas / 3], **DOUBLE)) - 1
        assert both.tolist() == pytest.approx([value, value], abs=1e-12)


@pytest.mark.parametrize(
    ("core", "known"),
    [
        ("polynomial", {0: 0, 0.25: 0.75**4, 0.5: 1, 0.9: 0.36**4}),
        ("exponential", {0: 0, 0.25: math.exp(-4 / 3), 0.5: 1, 0.8: math.exp(-9 / 4)}),
        ("step", {0: 0, 0.24: 0, 0.25: 1, 0.75: 1, 0.76: 0}),
        ("life", {0: 0.5, 0.24: 0.5, 0.25: 1, 0.75: 1, 0.76: 0}),
    ],
)
def test_cores_at_known_points(core, known):
    at = torch.tensor(list(known), **DOUBLE)
    assert CORES[core](at).tolist() == pytest.approx(list(known.values()), abs=1e-12)


@pytest.mark.parametrize(
    ("core", "growth"), [("polynomial", "polynomial"), ("exponential", "gaussian"), ("step", "step"), ("life", "step")]
)
@pytest.mark.parametrize("size", [32, 27])
def test_a_step_is_the_equation(core, growth, size):
    mu, sigma, height = 0.15, 0.03, torch.tensor([0.5, 1], **DOUBLE)
    sim = Lenia(size=size, core=core, growth=growth)
    cells = torch.rand(1, size, size, generator=torch.Generator().manual_seed(0), **DOUBLE) * 0.3
    axis = (torch.arange(size) + size // 2) % size - size // 2
    r = 2 * torch.hypot(axis[:, None].double(), axis.double()) / 7.5
    kernel = torch.where(r < 2, height[r.long().clamp(max=1)] * CORES[core](r % 1), 0)
    seen = sum(cells.roll((i, j), (1, 2)) * kernel[i, j] for i in range(size) for j in range(size)) / kernel.sum()
    answer = 2 * BELLS[growth]((seen - mu) / (3 * sigma)) - 1
    assert answer.amax() > 0.9
    after = run(sim, cells, law(sim, mu=mu, sigma=sigma, time=9.0, reach=7.5, heights=height.tolist()), 1)
    assert (after - (cells + answer / 9).clamp(0, 1)).abs().max() < 1e-12


def test_the_compiled_pass_is_the_plain_one():
    cells, trail, seen = torch.rand(3, 4, 19, 24, generator=torch.Generator().manual_seed(0)).unbind()
    numbers = torch.rand(3, 4, 1, 1, generator=torch.Generator().manual_seed(1)).unbind()
    rule, state = dict(zip(("center", "gain", "loss"), numbers, strict=True)), {"cells": cells, "trail": trail}
    fast = grow(state, seen.clone(), rule, "polynomial")
    plain = grow(
        {k: v.double() for k, v in state.items()}, seen.double(), {k: v.double() for k, v in rule.items()}, "polynomial"
    )
    for name in state:
        assert (fast[name] - plain[name]).abs().max() < 1e-6


def test_kernel_sums_to_one_and_has_its_rings_where_they_belong():
    heights = [0.5, 1, 0.25, 0, 0.8]
    one = kernel(50.0, 5.0, heights, 128)
    assert one.sum().item() == pytest.approx(1, abs=1e-12)
    peaks = one[0, 5:50:10]  # Five rings of thickness 10, each loudest in its middle,
    assert (peaks / peaks[1]).tolist() == pytest.approx(heights, abs=1e-12)
    assert one[0, :60:10].abs().max() == 0  # silent where they meet, and from R on.


def test_a_kernel_of_one_ring_is_the_classical_one():
    one = kernel(13.0, 1.0, [0.3, 0.9, 0.9], 64)
    q = torch.arange(13, **DOUBLE) / 13
    core = (4 * q * (1 - q)) ** 4
    torch.testing.assert_close(one[0, :13] / one[0, 6], core / core[6], rtol=1e-12, atol=0)


def test_rings_fade_in_without_a_jump():
    for rings in (2.0, 3.0):
        more, fewer = (kernel(15.0, count, [0.7, 1.0, 0.4], 64) for count in (rings, rings - 1e-6))
        assert (more - fewer).abs().max() < 1e-6


@each_turn
def test_moving_the_start_moves_the_world(turn):
    sim = Lenia()
    rule = law(sim, mu=0.2, sigma=0.025, heights=(1, 0.5), reach=15.0)
    start = some_world()
    later = run(sim, start, rule, 60)
    assert 20 < later.sum() < 3000  # It lives, so that there is something to compare.
    assert (run(sim, turn(start), rule, 60) - turn(later)).abs().max() < 1e-10


def test_cells_stay_in_range_and_change_by_at_most_one_over_t():
    sim = Lenia()
    rule = law(sim, mu=0.2, sigma=0.03, time=8.0)
    before = some_world()
    for _ in range(50):
        after = run(sim, before, rule, 1)
        assert after.min() >= 0
        assert after.max() <= 1
        assert (after - before).abs().max() <= 1 / 8 + 1e-12
        before = after


def test_twice_the_cells_is_the_same_world():
    small, large = Lenia(size=64), Lenia(size=128)
    rule = law(small, reach=12.0, sigma=0.03)
    smooth = some_world()
    smooth = torch.fft.irfft2(torch.fft.rfft2(smooth) * (torch.fft.fftfreq(64).abs()[:, None] < 0.1), s=(64, 64))
    zoomed = smooth.clamp(0, 1).repeat_interleave(2, 1).repeat_interleave(2, 2)
    one = run(small, smooth.clamp(0, 1), rule, 5)
    two = run(large, zoomed, law(large, reach=24.0, sigma=0.03), 5)
    assert two.sum() / one.sum() == pytest.approx(4, rel=0.03)
    assert (torch.nn.functional.avg_pool2d(two, 2) - one).abs().mean() < 0.02 * one.mean().clamp(min=0.1)


def test_shorter_steps_approach_one_world():
    """Euler's method: half the step, half the error."""
    sim = Lenia()
    start = some_world()
    runs = {time: run(sim, start, law(sim, time=time, sigma=0.03), int(time)) for time in (10.0, 20.0, 40.0, 640.0)}
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


def test_conways_game_of_life_is_a_lenia():
    sim = Lenia(size=32, core="life", growth="step")
    rule = law(sim, mu=0.35, sigma=0.07, time=1.0, reach=2.0)
    cells = (torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    for _ in range(60):
        around = sum(cells.roll((i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)) - cells
        expected = ((around == 3) | ((around == 2) & (cells == 1))).double()
        cells = run(sim, cells, rule, 1)
        assert (cells - expected).abs().max() < 1e-9
        cells = cells.round()
    assert cells.sum() > 20  # There is still something to compare.


@pytest.mark.skipif(not SPECIES.exists(), reason="no ../shared/data/lenia_species.json")
class TestOrbium:
    """The best-known creature of Lenia, against measurements of others."""

    @pytest.fixture
    def orbium(self):
        (one,) = [one for one in read(SPECIES) if one.code == "O2u"]
        return replace(one, world=64)

    def test_its_mass_at_some_moments(self, orbium):
        sim = Lenia(size=64)
        masses = {}
        state = {name: middle(orbium.cells, 64)[None] for name in ("cells", "trail")}
        for now in range(1, 101):
            state = sim.step(state, law(sim))
            masses[now] = state["cells"].sum().item()
        assert [masses[now] for now in (1, 10, 100)] == pytest.approx([74.943, 73.854, 73.519], abs=0.002)

    @pytest.mark.parametrize(
        ("change", "mass", "speed"),
        [
            ({}, 73.65, 0.6233),
            ({"gn": 2}, 73.9, 0.614),
            ({"kn": 2}, 70.9, 0.623),
            ({"kn": 2, "gn": 2}, 71.1, 0.615),
            ({"T": 20.0}, None, 0.334),
            ({"T": 5.0}, None, 1.131),
        ],
    )
    def test_its_mass_and_speed_under_changed_laws(self, orbium, change, mass, speed):
        (life,) = replay([replace(orbium, params=replace(orbium.params, **change))])
        assert life.speed == pytest.approx(speed, abs=0.01)
        assert mass is None or life.mass == pytest.approx(mass, abs=0.1)

    def test_twice_as_large_it_is_twice_as_fast(self, orbium):
        cells = torch.tensor(orbium.cells).repeat_interleave(2, 0).repeat_interleave(2, 1)
        (life,) = replay([replace(orbium, cells=cells.tolist(), params=replace(orbium.params, R=26.0), world=128)])
        assert life.speed == pytest.approx(1.247, abs=0.005)
        assert life.mass == pytest.approx(294.7, abs=0.5)

    def test_steps_too_long_kill_it_at_the_seventh(self, orbium):
        sim = Lenia(size=64)
        cells = middle(orbium.cells, 64)[None]
        assert run(sim, cells, law(sim, time=2.0), 6).sum() > 1
        assert run(sim, cells, law(sim, time=2.0), 7).sum() < 1


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


@pytest.mark.parametrize(("rings", "size", "numbers"), [(1, 64, 8), (3, 64, 12), (5, 64, 14), (5, 32, 14)])
def test_kernels_of_a_space_fit_into_its_world(rings, size, numbers):
    sim = Lenia(rings=rings, size=size)
    assert sim.space.dim == numbers
    widest = sim.rule(sim.space.decode(torch.ones(1, numbers)))
    reach = widest["radius"].item() * (rings + 1) / 2
    assert reach < size / 2 + 0.001


@pytest.mark.parametrize(
    "options",
    [
        {"rings": 1, "core": "step", "growth": "step"},
        {"rings": 3, "core": "exponential", "growth": "step"},
        {"rings": 5, "core": "life", "growth": "gaussian"},
    ],
)
def test_other_rings_cores_and_growths_are_worth_sampling(options):
    sim = Lenia(**options)
    assert check_simulation(sim) == []
    unit = torch.rand(64, sim.space.dim, generator=torch.Generator().manual_seed(5))
    made = sim.simulate(unit, torch.arange(64), Plan(clip_frames=8))
    assert (made.status == STATUSES.index("alive")).float().mean() > 0.3
