"""How sure the Rewardor was of answers that it did not know yet, and how often it was right.

When a new version is fitted, the one before is asked about the answers that are news to it. So nothing that is said
here was learned from the answer that it is compared with, whichever rule chose the pair: a prequential forecast [1].

[1] A. Dawid. Statistical theory: the prequential approach. Journal of the Royal Statistical Society A 147, 1984.
"""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from models import Labels, Rewardor
from models.fit import calibration_error
from models.preference import probability
from pipeline import checkpoint, evidence
from pipeline.profile import Profile

Verdict: TypeAlias = Literal["few", "true", "bold", "shy"]

LAST = 200
"""Answers that count, the last: what earlier versions said is of little use."""
FEWEST = 50
"""Answers below which nothing is said of how true chances are."""
GOOD = 0.1
"""Calibration error up to which chances may be told to people. By luck alone it is some .07: see `PART`."""
PART = 25
"""Answers in each part that calibration is judged by, in at most ten of them."""
BINS = 5
"""Bins of the diagram: from 50 to 60 % sure, to 70 %, …"""
RECENT = 24
"""Answers that are shown one by one."""


@dataclass(frozen=True)
class Bin:
    """Answers that were foreseen about equally surely.

    Attributes:
        floor: The chance that the bin begins with.
        said: Mean chance that the Rewardor gave to what it expected, in [0.5, 1].
        answers: How many.
        right: How many came as expected.
        low: Lower end of the 95 % interval of the share of these.
        high: Upper end.
    """

    floor: float
    said: float
    answers: int
    right: int
    low: float
    high: float


@dataclass(frozen=True)
class Foreseen:
    """One answer, left or right, of which something was expected.

    Attributes:
        labeler: Who gave it.
        sure: The chance that the Rewardor gave to what it expected, in [0.5, 1].
        right: Whether this was the answer.
    """

    labeler: str
    sure: float
    right: bool


def expected(
    rewardor: Rewardor, embedding: Tensor, labels: Labels, ids: list[str], news: Collection[str]
) -> dict[str, float]:
    """The chance that the left world is called better, by label; left out where the Rewardor says nothing finite.

    Args:
        rewardor: One that does not know the news.
        embedding: (B, F).
        labels: P labels on rows of `embedding`.
        ids: P names of these labels; others, read a moment later, may be more, and then nothing is said.
        news: The names of those that are asked about.
    """
    rows = [row for row, id_ in enumerate(ids) if id_ in news]
    if not rows or len(ids) != len(labels.answer):
        return {}
    with torch.inference_mode():
        left, right = (rewardor.forward(embedding[side[rows]]) for side in (labels.left, labels.right))
        chance = probability(left, right).tolist()
    return {ids[row]: round(each, 4) for row, each in zip(rows, chance, strict=True) if math.isfinite(each)}


def foreseen(profile: Profile) -> list[Foreseen]:
    """All answers, left or right, that count and of which something was expected, in order; made once per version."""
    labels, last = profile.labels(), checkpoint.last_number(profile, "rewardor")
    known, number, found = profile.cache.get("foreseen", (None, -1, []))
    if known is not labels or number != last:
        chance: dict[str, float] = {}
        for manifest in reversed(_versions(profile)):
            chance.update(manifest.more.get("expected", {}))  # the first said it knowing the least
        rows = zip(labels.id.tolist(), labels.answer.tolist(), labels.labeler.tolist(), strict=True)
        decided = [row for row in rows if row[0] in chance and row[1] in ("left", "right")]
        found = [
            Foreseen(who, max(chance[id_], 1 - chance[id_]), (chance[id_] >= 0.5) == (answer == "left"))
            for id_, answer, who in decided
        ]
        profile.cache["foreseen"] = labels, last, found
    return found


def _versions(profile: Profile) -> list[checkpoint.Manifest]:
    """Those of the newest one's model: what another said is no word on what this one says."""
    every = checkpoint.manifests(profile, "rewardor")
    return [manifest for manifest in every if manifest.more.get("model") == every[-1].more.get("model")]


def facts(profile: Profile) -> dict[str, Any]:
    """How sure the Rewardor may be, for the page and for programs: see `judged`.

    Chances are about people who are of one mind. Whoever answers the opposite is left out, as in `models.fit`.
    """
    contrary = _contrary(profile)
    return judged([each for each in foreseen(profile) if each.labeler not in contrary][-LAST:])


def _contrary(profile: Profile) -> set[str]:
    """Who answers the opposite of the others, as far as the newest version knows."""
    versions = checkpoint.manifests(profile, "rewardor")
    people = enumerate(versions[-1].more.get("labelers", [])) if versions else ()
    return {name for number, name in people if versions[-1].metrics.get(f"reliability_{number}", 1.0) < 0}


def judged(answers: list[Foreseen]) -> dict[str, Any]:
    """What so many answers say about chances.

    `verdict` is "true" where chances may be told to people; otherwise they are "bold", surer than they should be, or
    "shy", or there are too "few" answers to know.
    """
    error = _error(answers)
    return {
        "verdict": _verdict(answers, error),
        "calibration_error": error,
        "answers": len(answers),
        "right": sum(each.right for each in answers),
        "fewest": FEWEST,
        "bins": [asdict(each) for each in _bins(answers)],
        "recent": [{"sure": each.sure, "right": each.right} for each in answers[-RECENT:]],
    }


def _error(answers: list[Foreseen]) -> float | None:
    if len(answers) < FEWEST:
        return None
    sure = torch.tensor([each.sure for each in answers])
    right = torch.tensor([each.right for each in answers])
    return calibration_error(sure, right, min(len(answers) // PART, 10))


def _verdict(answers: list[Foreseen], error: float | None) -> Verdict:
    if error is None:
        return "few"
    if error <= GOOD:
        return "true"
    return "bold" if sum(each.sure - each.right for each in answers) > 0 else "shy"


def _bins(answers: list[Foreseen]) -> list[Bin]:
    sorted_: list[list[Foreseen]] = [[] for _ in range(BINS)]
    for each in answers:
        sorted_[min(int((each.sure - 0.5) * 2 * BINS), BINS - 1)].append(each)
    return [_bin(0.5 + number / (2 * BINS), some) for number, some in enumerate(sorted_) if some]


def _bin(floor: float, answers: list[Foreseen]) -> Bin:
    right, count = sum(each.right for each in answers), len(answers)
    return Bin(floor, sum(each.sure for each in answers) / count, count, right, *evidence.interval(right, count))
