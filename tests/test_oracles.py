"""Oracles like what their names say, wherever on the torus it happens."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline import blobs, plugins
from pipeline.oracles import EdgeOfChaos, Movers, Oracle, Pulsation, Symmetry, brightness
from pipeline.oracles_looks import Colour, Persistence, grain, lone, pace, swelling
from pipeline.oracles_mixed import Intransitive, Needle, Niche, TwoTastes
from sims import STATUSES, Plan

T, SIDE = 32, 64


def disk(row: float, column: float, radius: float) -> np.ndarray:
    """A soft bright disk (SIDE, SIDE) on the torus."""
    axis = np.arange(SIDE)
    dy, dx = ((axis - at + SIDE / 2) % SIDE - SIDE / 2 for at in (row, column))
    return np.clip(radius + 0.5 - np.hypot(dy[:, None], dx), 0, 1)


def clip(frames: list[np.ndarray]) -> Tensor:
    """One grey clip (1, T, H, W, 3)."""
    grey = (np.stack(frames) * 255).round().astype(np.uint8)
    return torch.from_numpy(np.repeat(grey[None, ..., None], 3, -1))


STILL = clip([disk(32, 32, 5)] * T)
GLIDER = clip([disk(32, 3 * t, 5) for t in range(T)])
WOBBLER = clip([disk(32, 32 + 3 * (t % 2), 5) for t in range(T)])
PULSAR = clip([disk(32, 32, 6 + 3 * np.sin(2 * np.pi * t / 8)) for t in range(T)])
GROWTH = clip([disk(32, 32, 3 + 0.4 * t) for t in range(T)])
NOISE = clip(list(np.random.default_rng(0).random((T, SIDE, SIDE))))
SPECKLE = clip([np.random.default_rng(1).random((SIDE, SIDE))] * T)


def field(radius: Callable[[int, int], float]) -> Tensor:
    """Sixteen disks all over the world, of that radius by number and frame."""
    places = [(8 + 16 * (i // 4), 8 + 16 * (i % 4)) for i in range(16)]
    return clip([np.sum([disk(*at, radius(i, t)) for i, at in enumerate(places)], 0) for t in range(T)])


def painted(hues: np.ndarray) -> Tensor:
    """A still clip (1, T, H, W, 3) of pixels that are red (0), green (1), blue (2) or black (3)."""
    colors = np.append(np.eye(3), np.zeros((1, 3)), 0) * 255
    return torch.from_numpy(np.repeat(colors[hues].astype(np.uint8)[None, None], T, 1))


def soup() -> Tensor:
    """Three patches of waves that drift about: neither still nor noise."""
    phase = np.add.outer(np.arange(SIDE), np.arange(SIDE)) / 3
    patch = disk(20, 20, 9) + disk(45, 40, 12) + disk(12, 50, 7)
    return clip([np.roll(patch, t, 1) * (0.5 + 0.5 * np.sin(phase + t)) for t in range(T)])


def likes(oracle: Oracle, better: Tensor, worse: Tensor) -> bool:
    return float(oracle.utility(better)) > float(oracle.utility(worse))


@pytest.mark.parametrize("worse", [STILL, WOBBLER, PULSAR, NOISE], ids=["still", "wobbler", "pulsar", "noise"])
def test_movers_likes_what_travels(worse: Tensor) -> None:
    assert likes(Movers(), GLIDER, worse)


@pytest.mark.parametrize("worse", [STILL, GLIDER, GROWTH], ids=["still", "glider", "growth"])
def test_pulsation_likes_what_swells_and_shrinks_again(worse: Tensor) -> None:
    assert likes(Pulsation(), PULSAR, worse)


@pytest.mark.parametrize("worse", [SPECKLE, NOISE], ids=["speckle", "noise"])
def test_symmetry_likes_mirrors(worse: Tensor) -> None:
    assert likes(Symmetry(), STILL, worse)
    assert float(Symmetry().utility(STILL)) > 0.95


def test_symmetry_finds_oblique_mirrors_and_quarter_turns() -> None:
    quarter = np.random.default_rng(2).random((SIDE, SIDE))
    pinwheel = np.mean([np.rot90(quarter, k) for k in range(4)], 0)
    diagonal = np.random.default_rng(3).random((SIDE, SIDE))
    diagonal = (diagonal + diagonal.T) / 2
    for world in (pinwheel, diagonal):
        assert float(Symmetry().utility(clip([world] * T))) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("worse", [STILL, SPECKLE, NOISE], ids=["still", "speckle", "noise"])
def test_edge_of_chaos_likes_neither_order_nor_noise(worse: Tensor) -> None:
    assert likes(EdgeOfChaos(), soup(), worse)


BLOCKS = np.random.default_rng(5).integers(3, size=(8, 8)).repeat(8, 0).repeat(8, 1)
CONFETTI = np.random.default_rng(6).integers(3, size=(SIDE, SIDE))
CHECKERS = np.add.outer(np.arange(SIDE) // 4, np.arange(SIDE) // 4) % 2
MONOCHROME = np.full((SIDE, SIDE), 1)


@pytest.mark.parametrize("worse", [CONFETTI, CHECKERS, MONOCHROME], ids=["confetti", "checkers", "monochrome"])
def test_colour_likes_many_hues_each_in_its_place(worse: np.ndarray) -> None:
    assert likes(Colour(), painted(BLOCKS), painted(worse))


def test_colour_of_hues_that_never_meet_is_the_entropy_of_their_shares() -> None:
    """Three hues in thirds, but for their borders; one hue is worth nothing, and so is a chance mixture."""
    thirds = np.broadcast_to(np.arange(SIDE) * 3 // SIDE, (SIDE, SIDE))
    assert float(Colour(hues=3, reach=1).utility(painted(thirds))) == pytest.approx(1, abs=0.2)
    assert float(Colour(hues=3).utility(painted(MONOCHROME))) == pytest.approx(0, abs=0.01)
    assert float(Colour(hues=3).utility(painted(CONFETTI))) == pytest.approx(0, abs=0.05)


def test_colour_does_not_mind_which_hues_or_how_much_black() -> None:
    first, other = painted(BLOCKS), painted((BLOCKS + 1) % 3)
    assert float(Colour(hues=6).utility(first)) == pytest.approx(float(Colour(hues=6).utility(other)), abs=1e-5)
    framed = BLOCKS.copy()
    framed[:, SIDE // 2 :] = 3
    assert likes(Colour(), painted(framed), painted(CONFETTI))


FADING = clip([disk(32, 3 * t, 5) * 0.93**t for t in range(T)])
LEAVING = clip([disk(32, 3 * t, 5) * (t < 24) for t in range(T)])
STOPPING = clip([disk(32, 3 * min(t, 20), 5) for t in range(T)])


@pytest.mark.parametrize(
    "worse", [STILL, FADING, LEAVING, STOPPING, GROWTH], ids=["still", "fading", "leaving", "stopping", "growth"]
)
def test_persistence_likes_what_lasts_and_moves(worse: Tensor) -> None:
    assert likes(Persistence(), GLIDER, worse)
    assert 0 <= float(Persistence().utility(worse)) <= float(Persistence().utility(GLIDER)) <= 1


ROUND = clip([disk(32, 3 * t, 8) for t in range(T)])
LUMPY = disk(32, 20, 6) + disk(24, 30, 4) + disk(38, 30, 2)


def test_niche_wants_all_three_and_one_alone_gains_little() -> None:
    niche, judge = Niche(), lambda world: float(Niche().utility(world))
    lumpy = clip([np.roll(LUMPY, 3 * t, 1) for t in range(T)])
    assert niche.size * SIDE == pytest.approx(16)
    assert judge(ROUND) > 1.8
    assert judge(ROUND) > judge(clip([disk(32, 32, 8)] * T)) + 0.8
    assert judge(ROUND) > judge(clip([disk(32, 3 * t, 16) for t in range(T)])) + 0.2
    assert judge(ROUND) > judge(lumpy)
    # Symmetry is worth a step, not a slope: half of it is worth next to nothing.
    assert judge(NOISE) < 0


BEATING = field(lambda _, t: 4 + np.sin(2 * np.pi * t / 5))


@pytest.mark.parametrize(
    "worse",
    [
        clip([disk(32, 32, 12 + 3 * np.sin(2 * np.pi * t / 5)) for t in range(T)]),
        field(lambda *_: 4),
        field(lambda i, t: 4 + np.sin(2 * np.pi * (t / 5 + i / 16))),
        field(lambda _, t: 2 + t / 12),
    ],
    ids=["lone", "still", "out of step", "growing"],
)
def test_a_needle_is_a_field_that_beats_as_one(worse: Tensor) -> None:
    needle = Needle()
    assert float(needle.utility(BEATING)) > 0.9
    assert float(needle.utility(worse)) < 0.1


def test_a_needle_is_found_up_a_slope_that_is_steep_inside_and_faint_outside() -> None:
    swings = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0]
    beats = [field(lambda _, t, swing=swing: 4 + swing * np.sin(2 * np.pi * t / 5)) for swing in swings]
    values = Needle().utility(torch.cat(beats))[:, 0]
    steps = values.diff()
    assert (steps > 0).all()
    assert steps.max() > 0.5
    assert steps.min() < 0.05


CRYSTAL = clip([np.add.outer(np.arange(SIDE) // 2, np.arange(SIDE) // 2) % 2 * 0.9] * T)
RUNNER = clip([disk(32, 5 * t, 4) for t in range(T)])


def test_two_tastes_like_both_looks_and_not_what_lies_between() -> None:
    taste = TwoTastes()
    crystal, runner = (float(taste.utility(world)) for world in (CRYSTAL, RUNNER))
    assert min(crystal, runner) > 0.8
    few = clip([np.roll(disk(20, 20, 6) + disk(40, 44, 6) + disk(12, 44, 6), t // 4, 1) for t in range(T)])
    restless = torch.stack([frame.roll(t, 0) for t, frame in enumerate(CRYSTAL[0])])[None]
    for worse in (few, restless, STILL):
        assert float(taste.utility(worse)) < min(crystal, runner) - 0.2


def test_no_world_is_both_a_crystal_and_a_runner() -> None:
    """Their paces exclude each other: two looks are worth one in sum at most."""
    worlds = torch.cat([STILL, GLIDER, PULSAR, NOISE, soup(), CRYSTAL, RUNNER, BEATING])
    for world in worlds.numpy():
        assert sum(TwoTastes().looks(brightness(world)[T // 2 :])) <= 1


# -- a taste that goes in circles -------------------------------------------------------------------------------------


def triads(cycle: float) -> float:
    """The share of triads of random worlds in which each is better than the next."""
    looks = np.random.default_rng(8).normal(size=(3, 20_000, 3))
    taste = Intransitive(cycle=cycle)
    wins = [taste.preference(looks[i], looks[(i + 1) % 3]) > 0 for i in range(3)]
    return float(np.mean((wins[0] == wins[1]) & (wins[1] == wins[2])))


def test_intransitive_preferences_go_in_circles_the_more_the_larger_the_circle() -> None:
    """A tournament of coins has a quarter of its triads in circles; utilities have none."""
    shares = [triads(cycle) for cycle in (0, 0.5, 1, 1000)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert 0.05 < shares[2] < 0.25
    assert shares[3] == pytest.approx(0.25, abs=0.02)


def test_three_equally_symmetric_worlds_can_beat_each_other_in_turn() -> None:
    turn = 2 * np.pi * np.arange(3) / 3
    rock = np.stack([np.zeros(3), np.cos(turn), np.sin(turn)], 1)
    assert Intransitive().preference(rock, np.roll(rock, -1, 0)) == pytest.approx([np.sin(2 * np.pi / 3)] * 3)


def test_intransitive_preferences_turn_around_with_the_pair_and_keep_the_utility() -> None:
    looks = np.random.default_rng(9).normal(size=(2, 100, 3))
    taste = Intransitive()
    assert taste.preference(*looks) == pytest.approx(-taste.preference(*looks[::-1]))
    assert Intransitive(cycle=0).preference(*looks) == pytest.approx(looks[0, :, 0] - looks[1, :, 0])
    clips = torch.cat([STILL, SPECKLE, PULSAR])
    assert torch.equal(taste.utility(clips)[:, :1], Symmetry().utility(clips))


# -- looks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waves", [1, 4, 16, 32])
def test_grain_is_the_number_of_waves(waves: int) -> None:
    wave = np.cos(2 * np.pi * waves * np.arange(SIDE) / SIDE)
    light = np.broadcast_to(0.5 + 0.4 * wave, (4, SIDE, SIDE)).astype(np.float32)
    for turned in (light, light.swapaxes(1, 2)):
        assert grain(turned) == pytest.approx(np.log(waves), abs=0.01)


def test_lone_is_one_for_a_point_and_nothing_for_opposites() -> None:
    point = disk(5, 60, 0.5)[None].astype(np.float32)
    opposite = point + np.roll(point, (SIDE // 2, SIDE // 2), (1, 2))
    assert lone(point) == pytest.approx(1, abs=0.01)
    assert lone(opposite) == pytest.approx(0, abs=0.01)


def test_pace_and_swelling_are_shares_of_the_brightness() -> None:
    beat = 1 + 0.2 * np.sin(2 * np.pi * np.arange(40) / 10)
    light = np.broadcast_to(beat[:, None, None] * 0.5, (40, 8, 8)).astype(np.float32)
    assert swelling(light) == pytest.approx(0.2 / np.sqrt(2), rel=1e-3)
    assert swelling(light / 2) == pytest.approx(swelling(light), rel=1e-3)
    assert pace(light) == pytest.approx(np.log(np.abs(np.diff(beat)).mean()), abs=0.05)
    assert pace(light / 2) == pytest.approx(pace(light), abs=0.05)


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", plugins.names("oracles"))
def test_oracles_pickle_and_do_not_mind_where_on_the_torus(name: str) -> None:
    oracle = pickle.loads(pickle.dumps(plugins.load("oracles", name, {})))
    clips = torch.cat([STILL, GLIDER, PULSAR, NOISE, soup()])
    values = oracle.utility(clips)
    assert values.shape == (5, 3 if name == "intransitive" else 1)
    assert values.isfinite().all()
    moved = oracle.utility(clips.roll((16, 32), (2, 3)))
    loose = 0.3 if name == "edge_of_chaos" else 0.05  # a compressor reads row by row
    assert moved[:, 0].tolist() == pytest.approx(values[:, 0].tolist(), abs=loose)
    assert torch.equal(oracle.utility(clips[2:3]), values[2:3])


def test_black_and_white_worlds_have_a_utility() -> None:
    for name in plugins.names("oracles"):
        for value in (0, 255):
            flat = torch.full((1, T, SIDE, SIDE, 3), value, dtype=torch.uint8)
            assert plugins.load("oracles", name, {}).utility(flat).isfinite().all()


@pytest.mark.parametrize("name", plugins.names("oracles"))
def test_a_single_picture_is_a_world_that_stands_still(name: str) -> None:
    pictures = torch.cat([STILL, SPECKLE])[:, :1]
    values = plugins.load("oracles", name, {}).utility(pictures)
    assert values.isfinite().all()
    still = plugins.load("oracles", name, {}).utility(pictures.expand(-1, T, -1, -1, -1))
    assert values.flatten().tolist() == pytest.approx(still.flatten().tolist(), abs=0.1)


def test_blobs_are_joined_across_the_edges_of_the_torus() -> None:
    (found,) = blobs.find(disk(0, 63, 5)[None], 0.5)
    assert len(found.area) == 1
    assert found.center[0] == pytest.approx([0, 63], abs=0.1) or found.center[0] == pytest.approx([64, 63], abs=0.1)
    assert found.area[0] == pytest.approx(np.pi * 25, rel=0.15)


def test_travel_is_followed_around_the_torus() -> None:
    frames = blobs.find(np.stack([disk(10, 60 + 3 * t, 4) + disk(40, 20, 4) for t in range(6)]), 0.5)
    way, path = blobs.travel(blobs.link(frames, (SIDE, SIDE)))
    order = np.argsort(path)
    assert way[order] == pytest.approx(np.array([[0, 0], [0, 15]]), abs=0.3)
    assert path[order] == pytest.approx([0, 15], abs=0.3)


@pytest.mark.parametrize("sim", ["lenia", "particle_life"])
def test_worlds_of_a_simulation_hardly_ever_tie_and_tastes_differ(sim: str) -> None:
    world = plugins.load("sims", sim, {})
    unit = torch.rand(32, world.space.dim, generator=torch.Generator().manual_seed(0))
    made = world.simulate(unit, torch.arange(32), Plan())
    living = made.clip[made.status == STATUSES.index("alive")]
    told = {name: plugins.load("oracles", name, {}).utility(living)[:, 0] for name in plugins.names("oracles")}
    del told["intransitive"]  # its utility is that of symmetry
    assert all(len(values.unique()) >= len(living) - 1 for values in told.values())
    ranks = torch.stack([values.argsort().argsort().float() for values in told.values()])
    assert ranks.corrcoef().fill_diagonal_(0).max() < 0.95
