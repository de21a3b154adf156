"""Who answers, and what may be said of it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import checkpoint
from pipeline.config import Config
from pipeline.panel import manner, panel
from pipeline.people import People
from pipeline.profile import Profile
from pipeline.rows import Vote

FAIR: dict[str, Any] = {"answers": 40, "left": 20, "right": 18, "reliability": 1.0, "side_bias": 0.0, "lapses": 0.2}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, ["alike"]),
        ({"reliability": 0.3}, ["unlike"]),
        ({"reliability": -0.9}, ["opposite"]),
        ({"left": 32, "right": 6}, ["alike", "left"]),
        ({"left": 6, "right": 32}, ["alike", "right"]),
        ({"lapses": 0.6}, ["alike", "random"]),
        ({"reliability": None, "lapses": None}, []),
        ({"answers": 14, "left": 14, "right": 0, "reliability": -2.0}, ["few"]),
    ],
)
def test_numbers_become_words(row: dict[str, Any], words: list[str]) -> None:
    assert manner(FAIR | row, alone=False) == words


def test_nobody_is_like_the_others_where_there_are_none() -> None:
    assert manner(FAIR, alone=True) == []


def test_everybody_is_listed_with_what_the_newest_version_learned(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config())
    assert panel(profile) == []
    given = [("ann", "left"), ("bob", "right"), ("ann", "right"), ("ann", "skip")]
    profile.add_votes([Vote(id=f"{n}", left="a", right="b", answer=a, labeler=who) for n, (who, a) in enumerate(given)])
    ann, bob = panel(profile)
    assert (ann["labeler"], ann["answers"], ann["left"], ann["right"], ann["asked"]) == ("ann", 3, 1, 1, 0)
    assert (bob["reliability"], bob["manner"]) == (None, ["few"])
    metrics = {"reliability_0": float("nan"), "reliability_1": 1.5, "side_bias_1": -0.25, "lapses_1": 0.1}
    made = {"metrics": metrics, "labelers": ["ann", "bob"], "expected": {"0": 0.8, "1": 0.7, "3": 0.9}}
    People.of(profile).join("bob", "Bob B.")
    checkpoint.commit(profile, "rewardor", {"w": torch.zeros(1)}, made)
    ann, bob = panel(profile)
    assert (ann["reliability"], ann["foreseen"], ann["asked"]) == (None, 1, 1)
    assert (bob["reliability"], bob["side_bias"], bob["lapses"]) == (1.5, -0.25, 0.1)
    assert (bob["foreseen"], bob["asked"]) == (0, 1)
    assert (ann["name"], bob["name"]) == ("", "Bob B.")
