"""`kill -9` of everything at once, then the same command again: nothing acknowledged is lost, nothing counts twice."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.invariants import violations
from benchmarks.launcher import PATIENCE_S, Visitor, free_port, kill_tree, launch
from pipeline import checkpoint
from pipeline.profile import Profile

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = 3


def wait_for(what: str, done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.3)


def test_nothing_acknowledged_is_lost_when_everything_is_killed(tmp_path: Path) -> None:
    root, port, rng = tmp_path / "profiles", free_port(), random.Random(0)
    root.mkdir()
    visitor = Visitor(port)
    process = launch(root, "victim", port)
    try:
        for kill in range(KILLS):
            wait_for("the page", visitor.up)
            visitor.label(6, "left" if kill % 2 else "right")
            visitor.undo()
            time.sleep(rng.uniform(0, 3))  # somewhere between votes, fits, rollouts and films
            kill_tree(process)
            process = launch(root, "victim", port)
        wait_for("the page", visitor.up)
        visitor.label(2, "tie")
        profile = Profile.open(root, "victim")
        votes = len(visitor.diary.saved) - len(visitor.diary.undone)
        wait_for("the rewardor to learn the last label", lambda: knows(profile, votes))
    finally:
        kill_tree(process)
    assert len(visitor.diary.undone) == KILLS
    assert violations(root, "victim", visitor.diary) == []
    events = profile.events()
    assert sum("ended without a word" in text for text in events.text[events.kind == "recovered"]) == KILLS


def knows(profile: Profile, votes: int) -> bool:
    newest = checkpoint.newest(profile, "rewardor")
    return newest is not None and newest.snapshot["labels"] == votes
