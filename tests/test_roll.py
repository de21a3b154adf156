"""The seam: answers come back, clips stay, and one bad world costs one world."""

import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from pipeline.film import decode
from pipeline.roll import CLIPS, roll_here, source
from sims import Param, Plan, Rollouts, Simulation, Space
from sims.lenia import Lenia


@dataclass(frozen=True)
class Moody(Simulation):
    """Gray worlds as bright as their parameter; some die, some raise, some return nonsense."""

    version: ClassVar[int] = 1

    @property
    def space(self):
        return Space(Param("gray", 0, 255, doc="brightness"))

    def simulate(self, unit, seeds, plan):
        gray = self.space.decode(unit)["gray"]
        if bool((gray > 250).any()):
            raise ArithmeticError("too bright")
        n = len(unit) - int(bool((gray > 240).any()))
        clip = gray.to(torch.uint8)[:n, None, None, None, None].expand(n, plan.clip_frames, 64, 64, 3).contiguous()
        clip[:, :, 0, 0, 0] = seeds[:n, None].to(torch.uint8)
        film = clip[:, :1].repeat(1, plan.film_frames, 4, 4, 1) if plan.film_frames else None
        return Rollouts((gray[:n] < 10).long(), clip, film)


def brightness(clip):
    return clip.float().mean((1, 2, 3, 4))[:, None]


def corners(clip):
    return clip[:, 0, :2, -1, 1]


ASK = {"brightness": brightness, "corners": corners}
DEAD, BRIGHT, RAISES, NONSENSE = 0.01, 0.5, 0.99, 0.96


def roll(*grays, ask=ASK, film=False):
    unit = np.array(grays, np.float32)[:, None]
    return roll_here(Moody())(unit, np.arange(len(unit)), ask, film)


def test_answers_for_the_living_and_nan_for_the_others():
    rolled = roll(BRIGHT, DEAD, 0.25)
    assert rolled.status == ["alive", "dead", "alive"]
    assert rolled.answers["brightness"][:, 0] == pytest.approx([127, np.nan, 63], abs=0.2, nan_ok=True)
    assert rolled.answers["corners"].shape == (3, 2)
    assert rolled.answers["corners"].dtype == np.float32


def test_a_world_that_raises_or_returns_nonsense_fails_alone():
    rolled = roll(BRIGHT, RAISES, 0.25, NONSENSE)
    assert rolled.status == ["alive", "failed", "alive", "failed"]
    assert rolled.errors == ["", "ArithmeticError: too bright", "", rolled.errors[3]]
    assert "expected torch.int64 (1,)" in rolled.errors[3]
    assert rolled.source[1] == ""
    assert np.isnan(rolled.answers["corners"][[1, 3]]).all()
    assert rolled.answers["brightness"][2, 0] == pytest.approx(63, abs=0.2)


def test_answers_keep_their_shape_when_nothing_lives():
    for grays in ((DEAD, DEAD), (RAISES,), ()):
        answers = roll(*grays).answers
        assert answers["corners"].shape == (len(grays), 2)
        assert np.isnan(answers["corners"]).all()


def test_the_source_is_the_hash_of_the_frames():
    rolled = roll(BRIGHT, BRIGHT, BRIGHT)
    assert len(set(rolled.source)) == 3  # seeds differ
    assert [len(one) for one in rolled.source] == [16, 16, 16]
    assert rolled.source == roll(BRIGHT, BRIGHT, BRIGHT).source
    made = Moody().simulate(torch.tensor([[BRIGHT]]), torch.tensor([0]), Plan())
    assert source(made.clip[0].numpy()) == rolled.source[0]


def test_more_worlds_than_fit_at_once_keep_their_order():
    grays = np.linspace(0.1, 0.9, CLIPS + 7)
    answers = roll(*grays).answers["brightness"][:, 0]
    np.testing.assert_allclose(answers, np.floor(grays * 255), atol=0.2)


def test_films_of_the_living_only():
    rolled = roll(BRIGHT, DEAD, RAISES, 0.25, film=True)
    assert [one is None for one in rolled.films] == [False, True, True, False]
    assert rolled.films[0].frames >= 90
    assert rolled.films[0].size == 256
    assert decode(rolled.films[3].mp4)[:, 100, 100].mean() == pytest.approx(63, abs=2)


def test_no_films_unless_asked():
    assert roll(BRIGHT, 0.25).films == [None, None]


def test_it_travels():
    rolled = pickle.loads(pickle.dumps(roll_here(Moody())))(np.array([[BRIGHT]]), np.array([0]), ASK)
    assert rolled.status == ["alive"]


def test_filming_changes_nothing():
    sim = Lenia(size=32, steps=100)
    unit = np.random.default_rng(1).random((10, sim.space.dim), np.float32)
    plain, filmed = (roll_here(sim)(unit, np.arange(10), ASK, film) for film in (False, True))
    assert plain.source == filmed.source
    np.testing.assert_array_equal(plain.answers["brightness"], filmed.answers["brightness"])
