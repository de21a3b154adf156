"""Pictures of the benchmark of labels: means over runs by budget, with 95 % intervals."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.labels_table import SAME, Row, groups, interval
from benchmarks.plot import Plot

TITLES = {
    "win_alive": ("wins against alive prior worlds", (0, 0.2, 0.4, 0.6, 0.8, 1)),
    "win_best_of_n": ("wins against best-of-N", (0, 0.2, 0.4, 0.6, 0.8, 1)),
    "diversity": ("Vendi score over that of the prior's best", (0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4)),
    "gap": ("predicted minus true percentile", (-0.2, -0.1, 0, 0.1, 0.2, 0.3)),
    "calibration_error": ("expected calibration error", (0, 0.05, 0.1, 0.15, 0.2, 0.25)),
    "pair_accuracy": ("share of pairs ordered rightly", (0.5, 0.6, 0.7, 0.8, 0.9, 1)),
}


def save(rows: Sequence[Row], folder: Path) -> None:
    """One picture per simulation and figure, with a curve for each group of runs; one with a curve for each oracle."""
    for (sim,), part in groups(rows, ("sim",)).items():
        safe = "".join(letter if letter.isalnum() else "_" for letter in str(sim))
        for figure in TITLES:
            _draw(part, SAME[1:], figure, folder / f"{safe}_{figure}.png")
        _draw(part, ("oracle",), "win_alive", folder / f"{safe}_oracles.png")


def _draw(rows: Sequence[Row], keys: Sequence[str], figure: str, path: Path) -> None:
    name, ticks = TITLES[figure]
    budgets = sorted({float(row["labels"]) for row in rows})
    if len(budgets) < 2:
        return
    telling = [key for key in keys if len({row[key] for row in rows}) > 1] or keys[-2:]
    high = interval(row[figure] for row in rows)[0] > (ticks[0] + ticks[-1]) / 2
    plot = Plot(f"{rows[0]['sim']}: means over runs, 95 % intervals", "labels", name, budgets, ticks, rising=high)
    for values, group in groups(rows, telling).items():
        title = ", ".join(map(str, values))
        points = [(float(str(labels)), *interval(row[figure] for row in part)) for (labels,), part in _by_labels(group)]
        plot.curves[title] = [(labels, mean) for labels, mean, _ in points]
        plot.spans[title] = [(labels, mean - half, mean + half) for labels, mean, half in points if half == half]
    plot.save(path)


def _by_labels(rows: Sequence[Row]) -> list[tuple[tuple, list[Row]]]:
    return sorted(groups(rows, ("labels",)).items())
