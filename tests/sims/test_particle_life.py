"""Particle Life against what follows from its equations."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sims import STATUSES, Plan
from sims._discs import discs, tinted
from sims._pairs import dense, kinds, pull
from sims.particle_life import DT, PAIRS, ParticleLife

ROOT = Path(__file__).parents[2]
DOUBLE = {"dtype": torch.float64}


def rule_of(sim, attraction, *, reach=0.2, core=0.3, force=5.0, glide=0.05):
    numbers = {"reach": reach, "core": core, "force": force, "glide": glide, "spread": 0.3, "pattern": 0.4}
    params = {name: torch.tensor([value], **DOUBLE) for name, value in numbers.items()}
    return sim.rule({**params, "attraction": torch.tensor([attraction], **DOUBLE)})


def pair_at(distance):
    place = torch.tensor([[[0.5, 0.5 + distance], [0.5, 0.5]]], **DOUBLE)
    return {"place": place, "motion": torch.zeros_like(place)}


def across(state):
    """The vector from the first particle to the second, the short way around."""
    offset = state["place"][0, :, 1] - state["place"][0, :, 0]
    return offset - offset.round()


def run(sim, state, rule, steps):
    for _ in range(steps):
        state = sim.step(state, rule)
    return state


def crowd(sim, seed=0):
    rule = rule_of(sim, torch.rand(3, 3, generator=torch.Generator().manual_seed(seed)).mul(2).sub(1).tolist())
    return sim.start(rule, torch.tensor([seed])), rule


def test_a_pair_that_likes_each_other_rests_where_the_core_begins():
    sim = ParticleLife(particles=2)
    rule = rule_of(sim, [[0, 1, 0], [1, 0, 0], [0, 0, 0]], reach=0.2, core=0.3)
    for start in (0.02, 0.1, 0.19):
        assert across(run(sim, pair_at(start), rule, 3000)).norm().item() == pytest.approx(0.3 * 0.2, abs=1e-6)


def test_a_chaser_and_its_prey_run_for_ever_at_the_speed_of_the_formula():
    sim, glide, distance = ParticleLife(particles=2), 0.05, 0.12
    rule = rule_of(sim, [[0, 1, 0], [-1, 0, 0], [0, 0, 0]], reach=0.2, core=0.3, force=5.0, glide=glide)
    state = run(sim, pair_at(distance), rule, 500)
    pull_there = 5.0 * 0.2 * (1 - abs(2 * distance / 0.2 - 1 - 0.3) / (1 - 0.3))
    speed = pull_there * DT / (1 - 0.5 ** (DT / glide))
    assert across(state).tolist() == pytest.approx([distance, 0], abs=1e-9)
    assert state["motion"][0].tolist() == [pytest.approx([speed, speed]), [0, 0]]


def test_nothing_acts_beyond_the_reach_or_on_a_lone_particle():
    sim = ParticleLife(particles=2)
    rule = rule_of(sim, [[1, 1, 1], [1, 1, 1], [1, 1, 1]], reach=0.2)
    assert run(sim, pair_at(0.2001), rule, 10)["motion"].abs().max() == 0
    assert run(sim, pair_at(0.1999), rule, 10)["motion"].abs().max() > 0


def test_mutual_forces_cancel_and_others_do_not():
    place = torch.rand(1, 2, 90, generator=torch.Generator().manual_seed(1), **DOUBLE)
    attraction = torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(2), **DOUBLE) * 2 - 1
    reach, core = torch.tensor([0.2], **DOUBLE), torch.tensor([0.3], **DOUBLE)
    mutual = (attraction + attraction.mT) / 2
    assert dense(place, mutual, reach, core).sum(2).abs().max() < 1e-12
    assert dense(place, attraction, reach, core).sum(2).abs().max() > 0.1


@pytest.mark.parametrize(
    "move",
    [
        lambda place: (place + torch.tensor([[0.7], [0.45]], **DOUBLE)) % 1,
        lambda place: torch.stack([place[:, 1], 1 - place[:, 0]], 1) % 1,
        lambda place: torch.stack([1 - place[:, 0], place[:, 1]], 1) % 1,
    ],
    ids=["shift", "rotate", "mirror"],
)
def test_moving_the_start_moves_the_world(move):
    sim = ParticleLife(particles=60)
    state, rule = crowd(sim)
    later = run(sim, state, rule, 40)["place"]
    moved = run(sim, {**state, "place": move(state["place"])}, rule, 40)["place"]
    apart = moved - move(later)
    assert (later - state["place"]).abs().max() > 0.01
    assert (apart - apart.round()).abs().max() < 1e-9


def energy(place, attraction, reach, core):
    """The sum over pairs of the potential of their force, by numerical integration."""
    rho = torch.linspace(0, 1, 200_001, **DOUBLE)
    tent = (1 - (2 * rho - 1 - core).abs() / (1 - core)).clamp(min=0)
    force = (rho / core - 1).clamp(max=0) + attraction * tent
    well = reach * torch.cat([torch.zeros(1, **DOUBLE), torch.cumulative_trapezoid(force, rho)])
    offset = place[0, :, :, None] - place[0, :, None, :]
    distance = (offset - offset.round()).norm(dim=0) / reach
    at = distance[tuple(torch.triu_indices(*distance.shape, 1))].clamp(max=1) * 200_000
    return (well[at.long()].lerp(well[(at.long() + 1).clamp(max=200_000)], at.frac()) - well[-1]).sum()


@pytest.mark.parametrize("glide", [1e9, 0.1], ids=["without friction", "with friction"])
def test_mutual_attraction_keeps_energy_and_friction_takes_it(glide):
    sim, attraction = ParticleLife(particles=40, kinds=1), 0.7
    rule = rule_of(sim, [[attraction]], reach=0.2, force=0.01, glide=glide)
    state, weight = sim.start(rule, torch.tensor([0])), 0.01 * 0.2
    total = []
    for _ in range(6):
        state = run(sim, state, rule, 50)
        kinetic = state["motion"].square().sum() / 2
        total.append((kinetic + weight * energy(state["place"], attraction, 0.2, 0.3)).item())
    change = torch.tensor(total).diff()
    assert change.abs().max() < 2e-3 * abs(total[0]) if glide > 1 else change.max() < 0


def test_without_attraction_particles_part_and_come_to_rest():
    sim = ParticleLife(particles=60)
    rule = rule_of(sim, [[0.0] * 3] * 3, reach=0.2, core=0.3, force=5)
    state = run(sim, sim.start(rule, torch.tensor([0])), rule, 3000)
    offset = state["place"][0, :, :, None] - state["place"][0, :, None, :]
    distance = (offset - offset.round()).norm(dim=0) + torch.eye(60, **DOUBLE)
    assert distance.min() > 0.9 * 0.3 * 0.2
    assert state["motion"].abs().max() < 1e-3


@pytest.mark.parametrize("n", [1, 2, 40, 299, 300, 1000])
@pytest.mark.parametrize("crowded", [False, True])
def test_the_compiled_forces_are_the_dense_ones(n, crowded):
    place = torch.rand(4, 2, n, generator=torch.Generator().manual_seed(n))
    place = (place * 0.06 + 0.96) % 1 if crowded else place  # around a corner
    attraction = torch.rand(4, 3, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    reach, core = torch.tensor([0.02, 0.15, 0.25, 0.5]), torch.tensor([0.2, 0.4, 0.6, 0.3])
    exact = dense(place.double(), attraction.double(), reach.double(), core.double())
    scale = 1 + n / 300
    torch.testing.assert_close(pull(place, attraction, reach, core).double(), exact, rtol=1e-4, atol=4e-5 * scale)


def test_forces_on_a_row_are_bitwise_the_same_in_any_company():
    place = torch.rand(5, 2, 300, generator=torch.Generator().manual_seed(0))
    attraction = torch.rand(5, 3, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    reach, core = torch.tensor([0.03, 0.5, 0.08, 0.25, 0.12]), torch.linspace(0.2, 0.6, 5)
    together = pull(place, attraction, reach, core)
    for row in range(5):
        one = slice(row, row + 1)
        assert torch.equal(pull(place[one], attraction[one], reach[one], core[one])[0], together[row])


def test_places_on_the_edge_have_neighbours_across_it():
    place = torch.tensor([[[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]], [[0.0, 0.99, 0.5], [0.5, 0.5, 0.02]]])
    numbers = torch.ones(2, 3, 3), torch.tensor([0.1, 0.1]), torch.tensor([0.3, 0.3])
    torch.testing.assert_close(pull(place, *numbers), dense(place, *numbers))


def test_a_reach_that_was_rounded_to_above_half_a_world():
    place = torch.rand(1, 2, 75, generator=torch.Generator().manual_seed(0))
    numbers = torch.ones(1, 3, 3), torch.tensor([0.5]).nextafter(torch.tensor(1.0)), torch.tensor([0.3])
    torch.testing.assert_close(pull(place, *numbers), dense(place, *numbers), rtol=1e-4, atol=4e-5)


def test_thousands_of_particles_of_many_kinds():
    sim = ParticleLife(particles=4096, kinds=6, steps=3)
    assert sim.space.dim == 36 + 6
    made = sim.simulate(torch.rand(2, 42, generator=torch.Generator().manual_seed(0)), torch.arange(2), Plan())
    assert made.clip.float().std() > 5
    assert sim.width(torch.device("cuda")) * 4096**2 <= PAIRS


def test_status_says_what_a_person_sees():
    sim = ParticleLife(particles=2)
    pair, chase = [[0, 1, 0], [1, 0, 0], [0, 0, 0]], [[0, 1, 0], [-1, 0, 0], [0, 0, 0]]
    for attraction, force, seen in ((pair, 5, "frozen"), (chase, 5, "alive"), (chase, 1000, "exploded")):
        rule = rule_of(sim, attraction, force=force)
        verdict = sim.status(run(sim, pair_at(0.12), rule, 1000), rule)
        assert STATUSES[verdict.item()] == seen


def test_the_start_belongs_to_the_parameters():
    sim = ParticleLife()
    rule = sim.rule(sim.space.decode(torch.full((4, sim.space.dim), 0.5)))
    place = sim.start(rule, torch.arange(4))["place"]
    offset = place[1:] - place[0]
    assert (offset - offset.round()).norm(dim=1).median() < 0.05


def test_particles_in_one_place_do_not_break_the_world():
    place = torch.full((1, 2, 3), 0.5)
    force = pull(place, torch.ones(1, 3, 3), torch.tensor([0.2]), torch.tensor([0.3]))
    assert force.abs().max() == 0


def test_numbers_that_are_none_break_nothing():
    place = torch.tensor([[[0.5, math.nan, math.inf, -math.inf], [0.5] * 4]])
    assert pull(place, torch.ones(1, 3, 3), torch.tensor([0.2]), torch.tensor([0.3])).shape == (1, 2, 4)
    assert discs(place, 3, 64).shape == (1, 64, 64, 3)


def test_kinds_are_even_blocks():
    assert kinds(7, 3).tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert kinds(300, 3).bincount().tolist() == [100, 100, 100]


def test_the_start_fills_a_disc_evenly():
    sim = ParticleLife(particles=3000)
    state, _ = crowd(sim)
    away = (state["place"][0] - 0.5).norm(dim=0)
    assert away.max() <= 0.3
    assert (away < 0.3 / math.sqrt(2)).double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_a_picture_shows_each_particle_where_it_is_and_wraps():
    place = torch.tensor([[[0.1, 0.5, 0.995], [0.25, 0.5, 0.75]]])  # rows, then columns
    picture = discs(place, 3, 128)[0].float()
    for kind, (row, column) in enumerate([(12, 32), (64, 64), (127, 96)]):
        assert picture[row, column].amax() > 150, kind
    assert picture[0, 96].amax() > 100  # The last one reaches over the edge.
    assert picture[40:60].sum() == 0
    hues = [picture[row, column] / picture[row, column].norm() for row, column in [(13, 32), (64, 64), (127, 96)]]
    assert all((hues[i] @ hues[j]) < 0.95 for i in range(3) for j in range(i))  # Kinds differ in hue.


@pytest.mark.parametrize("size", [64, 250])
def test_the_compiled_pictures_are_those_of_torch(size):
    place = torch.rand(2, 2, 300, generator=torch.Generator().manual_seed(0))
    tone = torch.rand(2, 300, generator=torch.Generator().manual_seed(1)) * 6
    here, there = tinted(place, tone, 6, size).int(), tinted(place.double(), tone.double(), 6, size).int()
    assert (here - there).abs().max() <= 1
    assert here.float().std() > 10


def test_brightness_does_not_depend_on_where_in_a_pixel_a_particle_is():
    shift = torch.linspace(0, 1 / 64, 7)
    light = [discs(torch.full((1, 2, 1), 0.4) + float(s), 3, 256).float().sum().item() for s in shift]
    assert max(light) / min(light) < 1.05


@pytest.mark.slow
@pytest.mark.parametrize("home", [True, False], ids=["home", "nowhere"])
def test_the_compiler_works_from_a_folder_that_cannot_be_written(tmp_path, home):
    shutil.copytree(ROOT / "sims", tmp_path / "sims", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sims" / "__pycache__").touch()  # A file: no folder can be made there, even by root.
    cache = tmp_path / "cache" if home else Path("/dev/null/cache")
    forces = "pull(torch.rand(1, 2, 9), torch.ones(1, 3, 3), *torch.ones(2, 1) / 2)"
    code = f"import torch; from sims._pairs import pull; print({forces}.shape)"
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(cache),
        "XDG_CACHE_HOME": str(cache),
        "PYTHONPATH": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "torch.Size([1, 2, 9])", done.stderr
    assert any(tmp_path.glob("cache/**/*.nbi")) == home
