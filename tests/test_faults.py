"""`kill -9` of simulators and training workers under a launcher that goes on: `benchmarks.faults` in short."""

from pathlib import Path

import pytest

from benchmarks.faults import once, staged
from pipeline.profile import Profile

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = 3


def test_labeling_and_training_go_on_when_simulators_and_trainers_are_killed(tmp_path: Path) -> None:
    with staged(tmp_path / "profiles", 0) as stage:
        for what in ("actor", "trainer") * KILLS:
            assert once(stage, what, 2.0)["violations"] == []
        assert len(stage.visitor.diary.saved) > 2 * KILLS
        profile = Profile.open(stage.root, stage.name)
        for word in ("another simulator is up", "training had died"):
            stage.until(lambda word=word: told(profile, word) >= KILLS, f'{KILLS} events "{word}"')


def told(profile: Profile, word: str) -> int:
    """How often the page says of something that it is there again."""
    events = profile.events()
    return sum(word in text for text in events.text[events.kind == "recovered"])
