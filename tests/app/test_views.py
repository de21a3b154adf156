"""What the tabs show of a profile, without any server."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline import checkpoint
from pipeline.app import views
from pipeline.app.studio import Activity
from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.rows import RolloutTable, Vote


def test_training_says_who_answers_how_pairs_were_chosen_and_when_it_is_too_early_for_chances(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config())
    texts = {"id": ["a", "b", "c"], "origin": ["prior", "generator", "generator"], "status": ["alive"] * 3}
    numbers = {name: np.zeros(3, np.int64) for name in ("block", "seed", "generator")}
    columns = {name: np.array(values) for name, values in texts.items()} | numbers
    worlds = RolloutTable(unit=np.eye(3, dtype=np.float32), time=np.zeros(3), error=np.array([""] * 3), **columns)
    profile.add_rollouts(worlds)
    given = [("ann", "a", "b", "learn"), ("bob", "b", "c", "learn"), ("ann", "a", "c", "random")]
    profile.add_votes(
        [
            Vote(id=f"{n}", left=left, right=right, answer="left", labeler=who, how=how)
            for n, (who, left, right, how) in enumerate(given)
        ]
    )
    desk = SimpleNamespace(votes=3, ready=0)
    shown = views.train(SimpleNamespace(profile=profile, desk=desk, activity=Activity))
    assert [(each["labeler"], each["answers"], each["manner"]) for each in shown["panel"]] == [
        ("ann", 2, ["few"]),
        ("bob", 1, ["few"]),
    ]
    assert shown["asked"] == {"how": {"learn": 2, "random": 1}, "origin": {"prior": 2, "generator": 4}}
    assert (shown["sureness"]["verdict"], shown["sureness"]["bins"]) == ("few", [])


def test_versions_hide_no_crash(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config())
    profile.record("error", "simulators: gone")
    for _ in range(views.EVENTS + 1):
        checkpoint.commit(profile, "rewardor", {}, {})
    shown = views.train(SimpleNamespace(profile=profile, desk=SimpleNamespace(votes=0, ready=0), activity=Activity))
    assert len(shown["events"]) == views.EVENTS
    assert [each["version"] for each in shown["events"][:2]] == [views.EVENTS + 1, views.EVENTS]
    assert shown["events"][-1]["text"] == "simulators: gone"


def test_each_part_of_a_new_profile_is_told_in_a_line() -> None:
    told = views.about()
    assert {part: list(lines) for part, lines in told.items()} == views.catalogue()
    assert all(line and "[" not in line for lines in told.values() for line in lines.values())


@pytest.mark.parametrize(
    ("verdict", "seen"), [("", {"verdict", "open"}), ("better", {"verdict", "open", "won", "odds"})]
)
def test_who_may_decide_a_duel_sees_no_score_before_the_end(verdict: str, seen: set[str]) -> None:
    state = {"events": [], "panel": [], "duel": {"verdict": verdict, "open": 9, "won": 3, "odds": 2.0}}
    assert set(views.for_labeler(state, "ann")["duel"]) == seen
