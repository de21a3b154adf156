"""Trials that hang, crash or eat memory cost their own options and not the search."""

import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from models import Archive
from models.generators.filter import Filter
from pipeline import study, trial
from pipeline.bounds import FIT_S, Bounds
from pipeline.config import Plugin, RolloutPlan
from tests.test_tune import BOLD, judged

ENDLESS, HUNGRY, FATAL, DEADLY = 1, 2, 3, 4


class Moody(Filter):
    """What a Generator may do to a search, by its mood, kept in a diary; without one it is a filter."""

    tunable: ClassVar[dict[str, tuple[float, float]]] = {"mood": (1, 5)}

    def __init__(self, dim: int, *, seed: int = 0, mood: int = 0, diary: str = "") -> None:
        super().__init__(dim, seed=seed, keep=0.3)
        self.mood, self.diary = mood, diary

    def tell(self, archive: Archive) -> dict[str, float]:
        with Path(self.diary).open("a") as diary:
            diary.write(f"{self.mood}\n")
        if self.mood == ENDLESS:
            re.match("(a+)+$", "a" * 100 + "b")  # for ages, and no other thread of this process may run meanwhile
        if self.mood == HUNGRY:
            _ = [np.ones(10_000_000) for _ in range(25)]  # 2 GB, bit by bit
        if self.mood == FATAL:
            os._exit(1)
        return super().tell(archive)

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        return torch.full((n, 1), 0.4) if self.mood == DEADLY else super().ask(n, seed, explore=explore)


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """Where moods are noted."""
    path = tmp_path / "diary"
    path.touch()
    return path


@pytest.fixture
def this(tmp_path: Path, diary: Path) -> study.Study:
    """A study of a Generator that has moods."""
    moody = Plugin(name="tests.test_bounds:Moody", options={"diary": str(diary)})
    profile = judged(tmp_path, "one", config=replace(BOLD, generator=moody))
    return study.begin([profile], "generator", tmp_path / "study")


def test_profiles_grant_a_fold_what_they_grant_its_blocks_of_worlds() -> None:
    """Ninety-six worlds are four blocks of 25, and twenty of 5."""
    plans = [RolloutPlan(timeout_s=10, memory_mb=1000), RolloutPlan(timeout_s=20, memory_mb=3000, block=5)]
    assert Bounds.of(plans, "rewardor") == Bounds(2 * FIT_S, 3000)
    assert Bounds.of(plans, "generator") == Bounds(2 * FIT_S + 4 * 10 + 20 * 20, 3000)


def test_what_is_no_number_is_a_failure_and_is_not_kept(this: study.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_worlds", lambda *_: (math.nan, 1.0))
    with pytest.raises(ValueError, match="no number"):
        trial.costs(this, {}, 0)
    assert this.known({}, 0) is None


def test_where_the_present_options_fail_the_search_is_over_and_where_others_do_it_goes_on() -> None:
    from pipeline import tune

    watcher = tune._Watcher([{}, {"mood": 1}], set(), {}, print)
    for number, over in ((1, False), (0, True)):
        watcher._tell(number, {"cost": tune.FAILED, "why": "it is broken"}, weak=False)
        assert tune._Hopeless(watcher).stop_all() == over


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_options_that_hang_crash_or_eat_memory_have_failed_and_the_others_are_measured(
    this: study.Study, diary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from pipeline import tune

    said: list[str] = []
    moods = (ENDLESS, FATAL, HUNGRY, DEADLY)
    assert [options["mood"] for options in this.candidates(5)[1:]] == list(moods)
    outcome = tune.search(this, 5, 300, said.append, Bounds(seconds=15, memory_mb=1000))
    assert outcome == tune.Outcome(whole=True, cause="")
    hung, died, hoarded, dead = [next(line for line in said if f"  mood {mood}: " in line) for mood in moods]
    assert "failed: a fold took more than 15 s and was ended" in hung
    assert "failed: its process ended without a word" in died
    assert "failed: " in hoarded
    assert "Unable to allocate 76.3 MiB" in hoarded
    assert f"{-math.log(trial.LEAST):.4f} after 2 of 6 folds" in dead
    assert all(this.known({}, fold) for fold in range(study.FOLDS))
    noted = diary.read_text().split()
    assert [noted.count(str(mood)) for mood in moods] == [1, 2, 1, 2]
    assert "Traceback" not in caplog.text


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_a_search_ends_whatever_a_trial_does(this: study.Study, diary: Path) -> None:
    from pipeline import tune

    for fold in range(study.FOLDS):
        this.keep({}, fold, [0.5, 1.0])
    seconds, bounds = 5, Bounds(seconds=1e6, memory_mb=1000)
    while str(ENDLESS) not in diary.read_text():
        assert tune.search(this, 2, seconds, print, bounds) == tune.Outcome(whole=False, cause="")
        seconds *= 2  # a busy machine had not begun yet
