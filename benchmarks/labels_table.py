"""What the rows of the benchmark of labels say together: means over runs with 95 % intervals."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import t

from benchmarks.labels_cache import write as write_whole

Row: TypeAlias = dict[str, float | str]

SAME = ("sim", "teacher", "rewardor", "generator", "every", "fresh")
"""Columns that tell one group of runs from another; oracles and seeds are what means are taken over."""

SHOWN = (
    "win_alive",
    "win_raw",
    "win_best_of_n",
    "alive",
    "top",
    "pair_accuracy",
    "pair_accuracy_own",
    "calibration_error",
    "log_loss",
    "diversity",
    "gap",
    "cpu_s",
)

LEVELS = (0.8, 0.9)
"""Win rates against alive prior worlds that labels are counted to."""


def write(rows: Sequence[Row], path: Path) -> None:
    """Write rows, with `labels_to_80` and `labels_to_90` of the run that each belongs to, as Parquet."""
    longer = [
        {**row, **labels_to(group)} for group in groups(rows, (*SAME, "oracle", "seed")).values() for row in group
    ]
    write_whole(path, lambda partial: pq.write_table(pa.Table.from_pylist(longer), partial))


def groups(rows: Iterable[Row], keys: Sequence[str]) -> dict[tuple, list[Row]]:
    """Rows by their values of some columns, in the order of their first ones."""
    found: dict[tuple, list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def labels_to(run: Sequence[Row]) -> dict[str, float]:
    """Labels to each of the `LEVELS` of one run, see `crossing`."""
    labels, wins = (np.array([float(row[key]) for row in run]) for key in ("labels", "win_alive"))
    return {f"labels_to_{100 * level:.0f}": crossing(labels, wins, level) for level in LEVELS}


def crossing(labels: np.ndarray, wins: np.ndarray, level: float) -> float:
    """Where a curve (N,) first reaches a level, between budgets by the logarithm of labels; NaN if never.

    A curve that is there at its first budget was there before: the budget is an upper bound.
    """
    there = np.flatnonzero(wins >= level)
    if not len(there):
        return math.nan
    last = there[0]
    if last == 0:
        return float(labels[0])
    share = (level - wins[last - 1]) / (wins[last] - wins[last - 1])
    return float(np.exp((1 - share) * np.log(labels[last - 1]) + share * np.log(labels[last])))


def interval(values: Iterable[float | str]) -> tuple[float, float]:
    """The mean over runs, and half the length of its 95 % interval by Student's t; NaN for one run."""
    runs = np.array([float(value) for value in values])
    if len(runs) < 2:
        return float(runs.mean()), math.nan
    return float(runs.mean()), float(t.ppf(0.975, len(runs) - 1) * runs.std(ddof=1) / math.sqrt(len(runs)))


def line(row: Row) -> str:
    """One row on one line."""
    return "  ".join(f"{key} {f'{value:.3f}' if isinstance(value, float) else value}" for key, value in row.items())


def text(rows: Sequence[Row]) -> str:
    """For each group of runs, a table of means with intervals by budget, and the win rates of each oracle."""
    parts = []
    for keys, group in groups(rows, SAME).items():
        runs = len(groups(group, ("oracle", "seed")))
        title = "  ".join(f"{key} {value}" for key, value in zip(SAME, keys, strict=True))
        parts += [f"\n{title}  ({runs} runs)", *_means(group), *_oracles(group), *_levels(group)]
    return "\n".join(parts)


def _means(group: Sequence[Row]) -> list[str]:
    budgets = groups(group, ("labels",))
    head = f"{'':18}" + "".join(f"{labels:>16}" for (labels,) in budgets)
    cells = [(name, [interval(row[name] for row in part) for part in budgets.values()]) for name in SHOWN]
    return [head, *(f"{name:18}" + "".join(f"{_plus_minus(*cell):>16}" for cell in cells_) for name, cells_ in cells)]


def _oracles(group: Sequence[Row]) -> list[str]:
    lines = ["win_alive [diversity] by oracle"]
    for (oracle,), part in groups(group, ("oracle",)).items():
        cells = []
        for found in groups(part, ("labels",)).values():
            win, diversity = (np.mean([float(row[key]) for row in found]) for key in ("win_alive", "diversity"))
            cells.append(f"{win:.3f} [{diversity:.2f}]")
        lines.append(f"  {oracle!s:16}" + "".join(f"{cell:>16}" for cell in cells))
    return lines


def _levels(group: Sequence[Row]) -> list[str]:
    """The median over runs, for some may never get there."""
    found = [labels_to(run) for run in groups(group, ("oracle", "seed")).values()]
    lines = []
    for name in found[0]:
        values = np.array([one[name] for one in found])
        median = np.median(np.where(np.isnan(values), np.inf, values))
        lines.append(f"{name:18}median {median:.0f}, reached by {np.isfinite(values).sum()} of {len(values)} runs")
    return lines


def _plus_minus(mean: float, half: float) -> str:
    return f"{mean:.3f}" + ("" if math.isnan(half) else f" ±{half:.3f}")
