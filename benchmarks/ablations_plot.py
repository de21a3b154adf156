"""Pictures of ablations: how far each setting is from what is shipped, with 95 % intervals."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from benchmarks.labels_table import Row, groups, interval
from benchmarks.plot import FAINT, GRID, GROUND, INKS, SHARP, WIDE, WORDS

HEAD, LINE, FOOT, LEFT, GAP, RIGHT = 100, 34, 34, 128, 46, 30
"""Heights of the head, of a line and of the foot; widths of the lines' names, between panels and at the right."""

SAME = ("oracle", "seed", "ties", "labels")
"""What a run has in common with the shipped one that it is compared with."""

SMALLEST = 1e-3
"""What an axis shows on either side of zero at least."""

OFFLINE = ("pairs", "best_pairs", "top")
FIGURES = {
    **dict.fromkeys(("features", "ties", "rules"), OFFLINE),
    **dict.fromkeys(("kl", "shrinkage", "caution", "explored"), ("win_alive", "diversity", "gap")),
}
"""What is compared, by ablation."""

NAMES = {
    "pairs": "pair accuracy",
    "best_pairs": "accuracy, best 30 %",
    "top": "percentile of favourites",
    "win_alive": "win v alive prior",
    "diversity": "diversity",
    "gap": "predicted minus true",
}
TITLES = {
    "features": "Families of features",
    "ties": "What is made of ties",
    "rules": "Which pair next",
    "kl": "KL budget of gibbs",
    "shrinkage": "What gibbs believes",
    "caution": "Caution of the score",
    "explored": "The prior in what is explored",
}

Mark: TypeAlias = tuple[float, float]
"""A mean and half of its interval, NaN for one run."""


def shipped(row: Row) -> bool:
    """Whether this is what the others are compared with."""
    return row["setting"] in ("shipped", "margin")


def differences(rows: Sequence[Row], part: Sequence[Row], figure: str) -> list[float]:
    """By how much the rows of one setting are above the shipped ones of their taste, seed, teacher and budget."""
    base = {tuple(row[key] for key in SAME): float(row[figure]) for row in rows if shipped(row)}
    pairs = [(float(row[figure]), base.get(tuple(row[key] for key in SAME))) for row in part]
    return [mine - theirs for mine, theirs in pairs if theirs is not None]


def marks(rows: Sequence[Row], figure: str) -> dict[tuple[str, float], dict[float, Mark]]:
    """Differences by setting and ties, and then by budget."""
    found: dict[tuple[str, float], dict[float, Mark]] = {}
    others = sorted((row for row in rows if not shipped(row)), key=lambda row: (row["ties"], row["labels"]))
    for (setting, ties, labels), part in groups(others, ("setting", "ties", "labels")).items():
        found.setdefault((setting, ties), {})[labels] = interval(differences(rows, part, figure))
    return found


@dataclass
class Panel:
    """One axis of differences.

    Attributes:
        title: Above it, in lines.
        marks: By line, and then by budget.
    """

    title: Sequence[str]
    marks: dict[str, dict[float, Mark]] = field(default_factory=dict)

    def ticks(self) -> list[float]:
        """Round numbers around all intervals and zero."""
        spans = [(mean, 0.0 if math.isnan(half) else half) for by in self.marks.values() for mean, half in by.values()]
        low, high = min(mean - half for mean, half in spans), max(mean + half for mean, half in spans)
        return round_ticks(min(low, -SMALLEST), max(high, SMALLEST))


def round_ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Multiples of one, two or five powers of ten that enclose a range, with at most so many steps."""
    power = math.floor(math.log10(high - low)) - 1
    steps = (number * 10.0 ** (power + more) for more in range(4) for number in (1, 2, 5))
    ends = ((step, math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)) for step in steps)
    step, first, last = next(found for found in ends if found[2] - found[1] <= most)
    return [step * number for number in range(first, last + 1)]


def panels(what: str, rows: Sequence[Row]) -> list[Panel]:
    """What a picture shows side by side; above each, what is shipped reaches at each budget."""
    if what == "features":
        plan = [("left out", "pairs"), ("left out", "top"), ("alone", "pairs")]
    else:
        plan = [("", figure) for figure in FIGURES[what]]
    found = []
    for kind, figure in plan:
        base = groups((row for row in rows if shipped(row)), ("labels",)).items()
        told = " / ".join(f"{interval(row[figure] for row in part)[0]:.3f}" for _, part in sorted(base))
        panel = Panel(([f"{kind}:"] if kind else []) + [NAMES[figure], f"shipped {told}"])
        for (setting, ties), by in marks(rows, figure).items():
            place, name = _line(what, setting, ties)
            if place == kind:
                panel.marks[name] = by
        found.append(panel)
    return found


def _line(what: str, setting: str, ties: float) -> tuple[str, str]:
    """Where a setting belongs, and its name there."""
    if what == "features":
        word, _, name = setting.rpartition(" ")
        return "left out" if word else "alone", name
    return "", f"{ties:.0%}: {'half a win' if setting == 'half' else setting}" if what == "ties" else setting


def save(what: str, rows: Sequence[Row], path: Path) -> None:
    """Draw the panels of an ablation beside each other."""
    drawn = panels(what, rows)
    names = list(dict.fromkeys(name for panel in drawn for name in panel.marks))
    budgets = sorted({labels for panel in drawn for by in panel.marks.values() for labels in by})
    high = HEAD + LINE * len(names) + FOOT
    picture = Image.new("RGB", (WIDE * SHARP, high * SHARP), GROUND)
    sheet = _Sheet(ImageDraw.Draw(picture), names, budgets)
    sheet.head(TITLES[what])
    for number, panel in enumerate(drawn):
        sheet.panel(panel, number, len(drawn))
    small = picture.resize((WIDE, high), Image.Resampling.LANCZOS)
    small.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


@dataclass
class _Sheet:
    pen: ImageDraw.ImageDraw
    names: Sequence[str]
    budgets: Sequence[float]

    def head(self, title: str) -> None:
        self.write(12, 10, title, "la", 16)
        self.write(WIDE - RIGHT, 13, "difference from shipped, 95 % intervals", "ra", 13, FAINT)
        at = WIDE - RIGHT - 290
        for labels, ink in reversed(list(zip(self.budgets, INKS, strict=False))):
            self.write(at, 13, f"{labels:g} labels", "ra", 13, ink)
            at -= 84
        for number, name in enumerate(self.names):
            self.write(LEFT - 12, HEAD + LINE * (number + 0.5), name, "rm")

    def panel(self, panel: Panel, number: int, of: int) -> None:
        width = (WIDE - LEFT - RIGHT - GAP * (of - 1)) / of
        left = LEFT + number * (width + GAP)
        ticks = panel.ticks()
        bottom = HEAD + LINE * len(self.names)

        def across(value: float) -> float:
            return left + width * (value - ticks[0]) / (ticks[-1] - ticks[0])

        for row, words in enumerate(panel.title):
            at = HEAD - 8 - 17 * (len(panel.title) - 1 - row)
            self.write(left + width / 2, at, words, "ms", 13, FAINT if words.startswith("shipped") else WORDS)
        for tick in ticks:
            self.line(across(tick), HEAD, across(tick), bottom, FAINT if abs(tick) < 1e-12 else GRID)
            self.write(across(tick), bottom + 8, f"{tick:+.3g}" if abs(tick) > 1e-12 else "0", "ma", 12)
        for name, by in panel.marks.items():
            middle = HEAD + LINE * (self.names.index(name) + 0.5)
            for labels, (mean, half) in by.items():
                place = self.budgets.index(labels)
                at, ink = middle + 9 * (place - (len(self.budgets) - 1) / 2), INKS[place]
                if half == half:
                    self.line(across(mean - half), at, across(mean + half), at, ink)
                self.dot(across(mean), at, ink)

    def line(self, x: float, y: float, to_x: float, to_y: float, ink: tuple[int, ...]) -> None:
        self.pen.line([SHARP * end for end in (x, y, to_x, to_y)], ink, SHARP)

    def dot(self, x: float, y: float, ink: tuple[int, ...], radius: float = 3.5) -> None:
        self.pen.ellipse([SHARP * end for end in (x - radius, y - radius, x + radius, y + radius)], ink)

    def write(self, x: float, y: float, text: str, anchor: str, size: int = 13, ink: tuple = WORDS) -> None:
        self.pen.text((x * SHARP, y * SHARP), text, ink, ImageFont.load_default(size * SHARP), anchor)


def text(what: str, rows: Sequence[Row]) -> str:
    """What is shipped, and how far each setting is from it, by budget and taste."""
    lines = [f"\n{what}: differences from what is shipped, means over {len(groups(rows, ('oracle', 'seed')))} runs"]
    budgets = sorted(groups(rows, ("labels",)))
    for figure in FIGURES[what]:
        for (ties, labels), part in sorted(groups(filter(shipped, rows), ("ties", "labels")).items()):
            mean, half = interval(row[figure] for row in part)
            lines.append(f"{figure:12} shipped, {ties:.0%} ties, {labels} labels: {mean:.3f} ±{half:.3f}")
        for (setting, ties), by in marks(rows, figure).items():
            cells = "".join(f"{mean:>+9.4f} ±{half:.4f}" for mean, half in (by[labels] for (labels,) in budgets))
            lines.append(f"{figure:12} {setting:20} {ties:>4.0%} {cells}   {_tastes(rows, setting, ties, figure)}")
    return "\n".join(lines)


def _tastes(rows: Sequence[Row], setting: str, ties: float, figure: str) -> str:
    """Mean differences at the largest budget, taste by taste."""
    last = max(row["labels"] for row in rows)
    mine: Iterable[Row] = (row for row in rows if (row["setting"], row["ties"], row["labels"]) == (setting, ties, last))
    found = groups(mine, ("oracle",)).items()
    return " ".join(f"{name[:5]} {interval(differences(rows, part, figure))[0]:+.3f}" for (name,), part in found)
