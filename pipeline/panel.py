"""Who answers, and how: in numbers as the Rewardor learned them, and in words that may be shown to people."""

import math
from collections import Counter
from typing import Any, Literal, TypeAlias

from pipeline import checkpoint, evidence, foresight
from pipeline.people import People
from pipeline.profile import Profile
from pipeline.rows import LabelTable

Manner: TypeAlias = Literal["few", "alike", "unlike", "opposite", "left", "right", "random"]

FEWEST = 15
"""Answers below which nothing is said of somebody."""
UNLIKE = 0.5
"""Reliability, relative to the others', below which somebody answers unlike them; below zero, the opposite."""
RANDOM = 0.4
"""Share of random answers, of which people are believed to give .2, from which it is worth a word."""
LEVEL = 0.99
"""Confidence before somebody is said to favor a side."""
MEASURED = ("reliability", "side_bias", "lapses")


def panel(profile: Profile) -> list[dict[str, Any]]:
    """All labelers of answers that count, in the order in which they came, one dict each.

    `name` is what they call themselves, "" if they never said. `answers`, `left` and `right` are counts; `foreseen` of
    `asked` answers were as the Rewardor expected before it knew them. `reliability` (relative to the others': 1 where
    there are none), `side_bias` (in logits, towards the left) and `lapses` (share of random answers) are the newest
    version's, None where it does not say. `manner` is what may be said in words.
    """
    labels, versions = profile.labels(), checkpoint.manifests(profile, "rewardor")
    newest = versions[-1] if versions else None
    numbers = {name: row for row, name in enumerate(newest.more.get("labelers", []))} if newest else {}
    metrics = newest.metrics if newest else {}
    guesses, people = foresight.foreseen(profile), People.of(profile)
    asked = Counter(each.labeler for each in guesses)
    right = Counter(each.labeler for each in guesses if each.right)
    rows = []
    for name, counts in _counts(labels).items():
        values = {key: metrics.get(f"{key}_{numbers.get(name)}", math.nan) for key in MEASURED}
        measured = {key: value if math.isfinite(value) else None for key, value in values.items()}
        who = {"labeler": name, "name": people.name(name)}
        rows.append(who | counts | {"foreseen": right[name], "asked": asked[name]} | measured)
    return [row | {"manner": manner(row, alone=len(rows) == 1)} for row in rows]


def manner(row: dict[str, Any], *, alone: bool) -> list[Manner]:
    """What may be said of somebody's answers; "alike" only where there are others to be like."""
    if row["answers"] < FEWEST:
        return ["few"]
    said: list[Manner] = []
    if row["reliability"] is not None and not alone:
        said.append("opposite" if row["reliability"] < 0 else "unlike" if row["reliability"] < UNLIKE else "alike")
    low, high = evidence.interval(row["left"], row["left"] + row["right"], LEVEL)  # sides are random: half is fair
    if low > 0.5 or high < 0.5:
        said.append("left" if low > 0.5 else "right")
    if (row["lapses"] or 0) > RANDOM:
        said.append("random")
    return said


def _counts(labels: LabelTable) -> dict[str, dict[str, int]]:
    given = Counter(zip(labels.labeler.tolist(), labels.answer.tolist(), strict=True))
    names = dict.fromkeys(labels.labeler.tolist())
    return {
        name: {
            "answers": sum(count for (who, _), count in given.items() if who == name),
            "left": given[name, "left"],
            "right": given[name, "right"],
        }
        for name in names
    }
