"""What a study found: a table, and what follows from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pipeline import plugins
from pipeline.config import KINDS
from pipeline.study import FOLDS, Options, Study, describe, tunable
from pipeline.trial import costs

UNITS = {
    "rewardor": "Nats for each held-out answer; a coin flip costs 0.6931.",
    "generator": "In nats: -log(share of duels won x share of today's variety that is left).",
}
ENDED = "Where it says ended, the cost is that of fewer folds: only the column beside it compares."


@dataclass(frozen=True)
class Found:
    """What was measured of options.

    Attributes:
        options: Which.
        folds: How many folds.
        cost: The mean over these, in nats.
        gain: By how much it is less than what the present options cost in the same folds.
        error: Standard error of the gain; NaN of fewer than two numbers.
    """

    options: Options
    folds: int
    cost: float
    gain: float
    error: float

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.folds == FOLDS

    @property
    def better(self) -> bool:
        """Whether it is better than what there is by more than a standard error."""
        return self.whole and self.gain > self.error


def results(study: Study, count: int) -> list[Found]:
    """What is known of the first candidates, the best first, those of which folds are missing last."""
    usual = _paid(study, {})
    paid = [(options, _paid(study, options)[: len(usual)]) for options in study.candidates(count)]
    found = [_compare(options, ours, usual) for options, ours in paid if ours]
    return sorted(found, key=lambda each: (-each.folds, each.cost))


def winner(found: Sequence[Found]) -> Found | None:
    """The best options, if they are better than the present ones by more than a standard error."""
    best = min((each for each in found if each.whole), key=lambda each: each.cost, default=None)
    return best if best and best.better else None


def _paid(study: Study, options: Options) -> list[list[float]]:
    """What options cost, for each fold up to the first that is missing."""
    paid: list[list[float]] = []
    while len(paid) < FOLDS and study.known(options, len(paid)) is not None:
        paid.append(costs(study, options, len(paid)))
    return paid


def _compare(options: Options, ours: list[list[float]], usual: list[list[float]]) -> Found:
    own = [cost for fold in ours for cost in fold]
    gains = [now - cost for cost, now in zip(own, (cost for fold in usual for cost in fold), strict=False)]
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
    return Found(options, len(ours), fmean(own), fmean(gains), error)


def table(study: Study, found: Sequence[Found]) -> str:
    """A line for each of the options that were tried, below headings."""
    names = list(tunable(study.role, study.model))
    rows = [[*names, "cost", "better than now by", "folds"]]
    for each in found:
        gain = f"{each.gain:+.4f} ± {each.error:.4f}" if each.options else "as it is now"
        values = [_value(study, each.options, name) for name in names]
        rows.append([*values, f"{each.cost:.4f}", gain, f"{each.folds}" if each.whole else f"{each.folds}, ended"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    note = ["", ENDED] if any(not each.whole for each in found) else []
    return "\n".join([headline(study), UNITS[study.role], "", *lines, *note])


def headline(study: Study) -> str:
    """What was tuned, with what."""
    told = " and ".join(f"{count} answers in {name}" for name, count in study.answers.items())
    return f"{study.role} {study.model}, by {told}"


def _value(study: Study, options: Options, name: str) -> str:
    value = present(study, name) if name not in options else options[name]
    return "various" if value is None else f"{value:g}"


def present(study: Study, option: str) -> float | None:
    """What an option is set to now, None if that differs between profiles."""
    default = plugins.options(KINDS[study.role], study.model)[option]
    values = {getattr(study.config(name), study.role).options.get(option, default) for name in study.profiles}
    return float(values.pop()) if len(values) == 1 else None


def verdict(found: Sequence[Found]) -> str:
    """What follows from it, in words."""
    best = winner(found)
    if best is None:
        return "Nothing is better than what there is now by more than a standard error: nothing to change."
    whole = sum(each.whole for each in found)
    return (
        f"Best: {describe(best.options)}, by {best.gain:.4f} ± {best.error:.4f} nats. "
        f"It was picked from {len(found)} ({whole} of them went all the way) by these very numbers, so expect less."
    )
