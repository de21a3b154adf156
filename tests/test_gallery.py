"""Galleries: real worlds, real files, and simulations that behave in their own ways."""

import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import gallery
from pipeline.film import FRAMES, decode
from sims import STATUSES, Param, Rollouts, Simulation, Space
from sims.lenia import Lenia


@dataclass(frozen=True)
class Square(Simulation):
    """A picture, brighter for a higher parameter; low ones are dead, the highest raise."""

    version: ClassVar[int] = 1
    frames: int = 1
    side: int = 40

    @property
    def space(self):
        return Space(Param("light", 0, 1, doc="how bright"))

    def simulate(self, unit, seeds, plan):
        del seeds, plan
        if (unit > 0.9).any():
            raise RuntimeError("too bright")
        light = (unit[:, 0] * 255).to(torch.uint8)
        clip = light[:, None, None, None, None].expand(-1, self.frames, self.side, self.side, 3).contiguous()
        return Rollouts(torch.where(unit[:, 0] > 0.3, 0, STATUSES.index("dead")), clip, None)


@pytest.fixture(scope="module")
def lenia():
    sim = Lenia(size=48, steps=100)
    return sim, gallery.look(sim, 12, seed=3)


def test_worlds_are_those_of_the_seed(lenia):
    sim, worlds = lenia
    again = gallery.look(sim, 12, seed=3)
    assert again.status == worlds.status
    assert np.array_equal(again.moments, worlds.moments)
    assert not torch.equal(gallery.look(sim, 2, seed=4).unit, worlds.unit[:2])
    assert worlds.moments.shape == (12, gallery.MOMENTS, gallery.SIDE, gallery.SIDE, 3)


def test_shares_are_shares(lenia):
    _, worlds = lenia
    said = dict(reversed(part.split(" ")) for part in worlds.shares().split(", "))
    assert said["alive"] == f"{len(worlds.alive) / 12:.0%}"


def test_a_sheet_shows_every_world_and_every_moment_once(lenia):
    _, worlds = lenia
    picture = np.asarray(gallery.sheet("title", worlds))
    for row in worlds.alive:
        for moment in worlds.moments[row]:
            assert places(picture, moment) == 1


def test_a_sheet_of_living_worlds_shows_no_other(lenia):
    _, worlds = lenia
    whole, some = gallery.sheet("title", worlds), gallery.sheet("title", worlds, alive_only=True)
    assert some.size[0] * some.size[1] < whole.size[0] * whole.size[1]
    assert all(places(np.asarray(some), worlds.moments[row][2]) == 1 for row in worlds.alive)
    dead = next(row for row in range(12) if worlds.status[row] == "dead")
    assert places(np.asarray(some), worlds.moments[dead][0]) == 0


def test_the_film_shows_the_living_side_by_side_and_moves(lenia):
    sim, worlds = lenia
    frames = decode(gallery.play(sim, worlds)).astype(float)
    assert len(frames) == FRAMES
    assert not {side % 16 for side in frames.shape[1:3]} - {0}
    columns = int(np.ceil(len(worlds.alive) ** 0.5))
    assert columns * 128 < frames.shape[2] < columns * 128 + 8 * (columns + 1) + 16
    lit = frames[-1].reshape(-1, 3).std(1).mean(), np.abs(frames[-1] - frames[0]).mean()
    assert min(lit) > 1


def places(picture, tile):
    """How often a tile is found in a picture, exactly: looked for by its brightest pixel."""
    side = len(tile)
    y, x = np.unravel_index(tile.sum(2).argmax(), tile.shape[:2])
    corners = np.argwhere((picture == tile[y, x]).all(2)) - (y, x)
    return sum(np.array_equal(picture[y : y + side, x : x + side], tile) for y, x in corners if min(y, x) >= 0)


def test_single_pictures_are_shown_once():
    worlds = gallery.look(Square(), 9, seed=0)
    assert worlds.moments.shape == (9, 1, gallery.SIDE, gallery.SIDE, 3)
    wide, high = gallery.sheet("pictures", worlds).size
    assert 0.5 < wide / high < 2
    assert len(decode(gallery.play(Square(), worlds))) == FRAMES


def test_a_world_that_raises_fails_alone_and_says_why():
    worlds = gallery.look(Square(frames=3), 40, seed=0)
    expected = np.where(worlds.unit[:, 0] > 0.9, "failed", np.where(worlds.unit[:, 0] > 0.3, "alive", "dead"))
    assert worlds.status == expected.tolist()
    assert worlds.causes() == [f"{worlds.status.count('failed')} failed: RuntimeError: too bright"]


def test_nonsense_is_a_failure_not_a_crash():
    @dataclass(frozen=True)
    class Flat(Square):
        def simulate(self, unit, seeds, plan):
            del seeds, plan
            return Rollouts(torch.zeros(len(unit), dtype=torch.long), torch.zeros(len(unit), 3), None)

    worlds = gallery.look(Flat(), 2, seed=0)
    assert worlds.status == ["failed", "failed"]
    assert "expected torch.uint8" in worlds.causes()[0]


def test_a_sheet_without_the_living_says_so_in_its_title():
    worlds = gallery.Worlds(torch.zeros(2, 1), torch.arange(2), ["dead", "dead"], np.zeros((2, 1, 96, 96, 3), "u1"), [])
    picture = gallery.sheet("none", worlds, alive_only=True)
    assert np.asarray(picture).max() > 200


# -- the verb ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def alife(alife):
    return functools.partial(alife, "gallery")


def test_the_verb_writes_a_sheet_and_a_film_and_tells_where(alife, tmp_path):
    out = tmp_path / "new" / "folder"
    small = ("--set", "size=48", "--set", "steps=100")
    status, said, shown = alife("lenia", "--n", "8", "--seed", "3", "--out", str(out), *small)
    assert status == 0
    assert f"{out / 'lenia.png'}" in said
    assert f"{out / 'lenia.mp4'}" in said
    assert "alive" in said
    assert "Simulating 8 worlds" in shown
    assert Image.open(out / "lenia.png").size > (500, 200)
    assert len(decode((out / "lenia.mp4").read_bytes())) == FRAMES


def test_code_from_outside_has_galleries_too(alife, tmp_path):
    path = tmp_path / "square.py"
    path.write_text(Path(__file__).read_text().partition("@pytest.fixture")[0])
    status, said, _ = alife(str(path), "--n", "40", "--out", str(tmp_path))
    assert status == 0
    assert "failed: RuntimeError: too bright" in said
    assert {"square.png", "square.mp4"} <= {file.name for file in tmp_path.iterdir()}


def test_where_nothing_lives_there_is_no_film(alife, tmp_path):
    source = Path(__file__).read_text().partition("@pytest.fixture")[0]
    (tmp_path / "square.py").write_text(source.replace("> 0.3", "> 2"))
    status, said, _ = alife(str(tmp_path / "square.py"), "--n", "3", "--alive", "--out", str(tmp_path))
    assert (status, "no world lives" in said) == (0, True)
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["lennia"], 'did you mean "lenia"'),
        (["lenia", "--set", "sise=4"], 'did you mean "size"'),
        (["lenia", "--n", "0"], "--n"),
        (["nowhere.py"], "no such file"),
        (["lenia", "--out", "/dev/null/x"], "nothing can be written to /dev/null/x"),
    ],
)
def test_mistakes_are_one_message(alife, words, hint):
    status, _, said = alife(*words)
    assert status == 2
    assert hint in said
    assert "Traceback" not in said


def test_the_code_knows_no_ray():
    code = "import sys, pipeline.gallery; print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
