"""`kill -9` of any process at a random moment: nothing acknowledged is lost, nothing counts twice, all goes on."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.faults import Stage, once, staged
from benchmarks.invariants import violations
from pipeline.profile import Profile

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = 3
"""Of each. `python -m benchmarks.faults` does many more, and measures."""


def test_labeling_and_training_go_on_whatever_dies(tmp_path: Path) -> None:
    with staged(tmp_path / "profiles", 0) as stage:
        for what in ("actor", "trainer") * KILLS:
            assert once(stage, what, 2.0, patient=False)["violations"] == []
        profile = Profile.open(stage.root, stage.name)
        for word in ("another simulator is up", "training had died"):
            stage.until(lambda word=word: told(profile, word) >= KILLS, f'{KILLS} events "{word}"')

        *launchers, last = ("driver", "tree") * KILLS
        for what in launchers:
            pause(stage)
            stage.strike(what)
        assert once(stage, last, 2.0)["violations"] == []
        assert told(profile, "ended without a word") == 2 * KILLS
        assert stage.visitor.diary.undone


def test_labeling_goes_on_when_the_page_dies_while_models_train(tmp_path: Path) -> None:
    with closing(Stage(tmp_path / "profiles", 0, apart=True)) as stage:
        for _ in range(KILLS):
            stage.until(lambda: len(stage.visitor.diary.saved) > 3, "the first answers")
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
