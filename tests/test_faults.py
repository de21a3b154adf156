"""`kill -9` of any process at a random moment: nothing acknowledged is lost, nothing counts twice, all goes on."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.faults import Stage, once, staged
from benchmarks.invariants import violations
from pipeline import checkpoint
from pipeline.profile import Profile

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1800)]

KILLS = 3
"""Of each. `python -m benchmarks.faults` does many more, and measures."""


def test_labeling_and_training_go_on_whatever_dies(tmp_path: Path) -> None:
    with staged(tmp_path / "profiles", 0) as stage:
        profile = Profile.open(stage.root, stage.name)
        for kill in range(1, KILLS + 1):
            for what, word in (("actor", "another simulator is up"), ("trainer", "training had died")):
                assert once(stage, what, 2.0, patient=False)["violations"] == []
                stage.until(lambda word=word, kill=kill: told(profile, word) >= kill, f'{kill} events "{word}"')

        *launchers, last = ("driver", "tree") * KILLS
        for what in launchers:
            pause(stage)
            stage.strike(what)
        assert once(stage, last, 2.0)["violations"] == []
        assert told(profile, "ended without a word") == 2 * KILLS


def test_labeling_goes_on_when_the_page_dies_while_models_train(tmp_path: Path) -> None:
    with closing(Stage(tmp_path / "profiles", 0, apart=True)) as stage:
        stage.until(lambda: stage.person.acknowledged > 0, "the first answer")
        profile = Profile.open(stage.root, stage.name)
        stage.until(lambda: checkpoint.newest(profile, "rewardor"), "a rewardor")
        for _ in range(KILLS):
            pause(stage)
            stage.strike("page")
        stage.person.pause()
        assert violations(stage.root, stage.name, stage.visitor.diary) + stage.person.trouble == []


def pause(stage: Stage) -> None:
    """Let them label, fit and simulate until any moment."""
    time.sleep(stage.chance.uniform(0.0, 3.0))


def told(profile: Profile, word: str) -> int:
    """How often the page says of something that it is there again."""
    events = profile.events()
    return sum(word in text for text in events.text[events.kind == "recovered"])
