"""Oracles like what their names say, wherever on the torus it happens."""

import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline import blobs, plugins
from pipeline.oracles import EdgeOfChaos, Movers, Oracle, Pulsation, Symmetry

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


@pytest.mark.parametrize("name", plugins.names("oracles"))
def test_oracles_pickle_and_do_not_mind_where_on_the_torus(name: str) -> None:
    oracle = pickle.loads(pickle.dumps(plugins.load("oracles", name, {})))
    clips = torch.cat([STILL, GLIDER, PULSAR, NOISE, soup()])
    values = oracle.utility(clips)
    assert values.shape == (5, 1)
    assert values.isfinite().all()
    moved = oracle.utility(clips.roll((16, 32), (2, 3)))
    loose = 0.3 if name == "edge_of_chaos" else 0.05  # a compressor reads row by row
    assert moved[:, 0].tolist() == pytest.approx(values[:, 0].tolist(), abs=loose)
    assert oracle.utility(clips[2:3]).item() == values[2].item()


def test_black_and_white_worlds_have_a_utility() -> None:
    for name in plugins.names("oracles"):
        for value in (0, 255):
            flat = torch.full((1, T, SIDE, SIDE, 3), value, dtype=torch.uint8)
            assert plugins.load("oracles", name, {}).utility(flat).isfinite().all()


def test_blobs_are_joined_across_the_edges_of_the_torus() -> None:
    (found,) = blobs.find(disk(0, 63, 5)[None], 0.5)
    assert len(found.area) == 1
    assert found.center[0] == pytest.approx([0, 63], abs=0.1) or found.center[0] == pytest.approx([64, 63], abs=0.1)
    assert found.area[0] == pytest.approx(np.pi * 25, rel=0.15)


def test_travel_is_followed_around_the_torus() -> None:
    frames = blobs.find(np.stack([disk(10, 60 + 3 * t, 4) + disk(40, 20, 4) for t in range(6)]), 0.5)
    way, path = blobs.travel(frames, (SIDE, SIDE))
    order = np.argsort(path)
    assert way[order] == pytest.approx(np.array([[0, 0], [0, 15]]), abs=0.3)
    assert path[order] == pytest.approx([0, 15], abs=0.3)
