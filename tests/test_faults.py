"""`kill -9` of simulators and training workers under a launcher that goes on: `benchmarks.faults` in short."""

from pathlib import Path

import pytest

from benchmarks.faults import once, staged

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = 3


def test_labeling_and_training_go_on_when_simulators_and_trainers_are_killed(tmp_path: Path) -> None:
    with staged(tmp_path / "profiles", 0) as stage:
        for what in ("actor", "trainer") * KILLS:
            assert once(stage, what, 2.0)["violations"] == []
        assert len(stage.visitor.diary.saved) > 2 * KILLS
