"""Small plots for the docs, drawn with what is installed anyway."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDE, HIGH, LEFT, BOTTOM, TOP, RIGHT = 760, 440, 70, 58, 66, 24
SHARP = 3  # drawn larger, then reduced: smooth lines
GROUND, WORDS, GRID, BAND = (13, 13, 17), (222, 222, 228), (42, 42, 50), (28, 52, 44)
FAINT = (110, 110, 120)
INKS = (
    *((255, 150, 90), (120, 190, 255), (130, 225, 160), (240, 130, 200), (235, 215, 110)),
    *((180, 150, 255), (110, 220, 220), (255, 110, 110), (190, 190, 190)),
)

Points = Sequence[tuple[float, float]]


@dataclass
class Plot:
    """Curves over two axes, each from its first to its last tick.

    Attributes:
        title: Above all.
        x, y: Names of the axes, with units.
        x_ticks, y_ticks: Where they are marked.
        log: Whether both axes are logarithmic.
        rising: Whether the names of the curves belong into the lower corner.
        band: A range of y to be marked.
        curves: Points by name; a name that ends with "…" is drawn as a thin line without marks.
        spans: Intervals (x, low, high) by the name of the curve that they belong to.
    """

    title: str
    x: str
    y: str
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    log: bool = False
    rising: bool = False
    band: tuple[float, float] | None = None
    curves: dict[str, Points] = field(default_factory=dict)
    spans: dict[str, Sequence[tuple[float, float, float]]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the plot as a picture."""
        picture = Image.new("RGB", (WIDE * SHARP, HIGH * SHARP), GROUND)
        self._pen = ImageDraw.Draw(picture)
        if self.band:
            (left, low), (right, high) = (
                self._at(self.x_ticks[0], self.band[0]),
                self._at(self.x_ticks[-1], self.band[1]),
            )
            self._pen.rectangle((left, high, right, low), BAND)
        self._axes()
        for i, (name, points) in enumerate(self.curves.items()):
            self._curve(i, name, points)
        picture.resize((WIDE, HIGH), Image.Resampling.LANCZOS).save(path, optimize=True)

    def _axes(self) -> None:
        for x in self.x_ticks:
            (at, bottom), (_, top) = self._at(x, self.y_ticks[0]), self._at(x, self.y_ticks[-1])
            self._pen.line((at, bottom, at, top), GRID, SHARP)
            self._write(at, bottom + 8 * SHARP, f"{x:g}", "ma")
        for y in self.y_ticks:
            (left, at), (right, _) = self._at(self.x_ticks[0], y), self._at(self.x_ticks[-1], y)
            self._pen.line((left, at, right, at), GRID, SHARP)
            self._write(left - 8 * SHARP, at, f"{y:g}", "rm")
        self._write(LEFT * SHARP, 10 * SHARP, self.title, "la", 16)
        self._write((LEFT + WIDE - RIGHT) / 2 * SHARP, (HIGH - 8) * SHARP, self.x, "ms")
        self._write(8 * SHARP, (TOP - 12) * SHARP, self.y, "ls")

    def _curve(self, i: int, name: str, points: Points) -> None:
        ink, thin = INKS[i % len(INKS)], name.endswith("…")
        line = [self._at(*point) for point in points]
        self._pen.line(
            [axis for at in line for axis in at], FAINT if thin else ink, SHARP * (1 if thin else 2), "curve"
        )
        for at, *ends in self.spans.get(name, ()):
            low, high = (min(max(end, self.y_ticks[0]), self.y_ticks[-1]) for end in ends)
            self._pen.line((*self._at(at, low), *self._at(at, high)), ink, SHARP)
        for x, y in () if thin else line:
            self._pen.ellipse((x - 4 * SHARP, y - 4 * SHARP, x + 4 * SHARP, y + 4 * SHARP), ink)
        top = HIGH - BOTTOM - 14 - 18 * len(self.curves) if self.rising else TOP + 10
        label = ((WIDE - RIGHT - 10) * SHARP, (top + 18 * i) * SHARP)
        self._write(*label, name.rstrip("…"), "ra", 13, WORDS if thin else ink)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        across = self._share(x, self.x_ticks) * (WIDE - LEFT - RIGHT) + LEFT
        up = self._share(y, self.y_ticks) * (HIGH - TOP - BOTTOM) + BOTTOM
        return across * SHARP, (HIGH - up) * SHARP

    def _share(self, value: float, ticks: Sequence[float]) -> float:
        scale = math.log if self.log else float
        return (scale(value) - scale(ticks[0])) / (scale(ticks[-1]) - scale(ticks[0]))

    def _write(self, x: float, y: float, text: str, anchor: str, size: int = 13, ink=WORDS) -> None:
        self._pen.text((x, y), text, ink, ImageFont.load_default(size * SHARP), anchor)
