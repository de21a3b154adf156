"""A picture of a search: what each option that was tried cost, one panel per option, drawn with Pillow."""

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipeline.study import Study, tunable
from pipeline.tuned import Found, headline, present, winner

PANEL, HIGH, LEFT, TOP, BOTTOM, GAP = 330, 400, 84, 70, 62, 44
SHARP = 3
"""Drawn larger, then reduced: smooth dots."""

GROUND, WORDS, FAINT, GRID = (13, 13, 17), (222, 222, 228), (110, 110, 120), (42, 42, 50)
NOW, BEST, DOT = (120, 190, 255), (255, 150, 90), (130, 225, 160)
TALL = 0.75
"""Share of what went all the way that has to fit into the picture; what is far worse is drawn at its upper edge."""


def save(study: Study, found: Sequence[Found], path: Path) -> None:
    """Write the picture. Full dots went all the way, rings ended early; blue is what there is now, orange the best."""
    ranges = tunable(study.role, study.model)
    size = LEFT + (PANEL + GAP) * len(ranges), HIGH
    picture = Image.new("RGB", (size[0] * SHARP, size[1] * SHARP), GROUND)
    pen = _Pen(picture)
    low, high = _extent(found)
    pen.write(LEFT, 12, headline(study), "la", 16)
    pen.write(LEFT, 38, "cost in nats, lower is better · blue: as it is now · orange: best · rings: ended early", "la")
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _across(share, HIGH - BOTTOM, TOP)
        pen.line(LEFT, y, size[0] - GAP, y)
        pen.write(LEFT - 8, y, f"{low + share * (high - low):.3f}", "rm")
    best = winner(found)
    for i, (option, (least, most)) in enumerate(ranges.items()):
        start = LEFT + i * (PANEL + GAP)
        pen.write(start + PANEL / 2, HIGH - 10, option, "ms")
        for share in (0, 0.5, 1):
            x = _across(share, start, start + PANEL)
            pen.line(x, TOP, x, HIGH - BOTTOM)
            pen.write(x, HIGH - BOTTOM + 6, f"{least * (most / least) ** share:.3g}", "ma")
        for each in sorted(found, key=lambda one: (one.whole, one is best, not one.options)):
            value = each.options.get(option, present(study, option))
            if value is None:
                continue
            share = min(math.log(max(value / least, 1.0)) / math.log(most / least), 1.0)
            y = _across(min((each.cost - low) / (high - low), 1.0), HIGH - BOTTOM, TOP)
            ink = BEST if each is best else DOT if each.options else NOW
            pen.dot(_across(share, start, start + PANEL), y, ink, full=each.whole)
    picture.resize(size, Image.Resampling.LANCZOS).save(path, optimize=True)


def _extent(found: Sequence[Found]) -> tuple[float, float]:
    """What costs (low, high) the picture shows."""
    whole = sorted(each.cost for each in found if each.whole)
    low, high = whole[0], whole[math.ceil(TALL * (len(whole) - 1))]
    usual = next((each.cost for each in found if not each.options), high)
    room = max(max(high, usual) - low, 1e-3)
    return low - 0.1 * room, max(high, usual) + 0.3 * room


def _across(share: float, start: float, end: float) -> float:
    return start + share * (end - start)


class _Pen:
    """Draws in pixels of the reduced picture."""

    def __init__(self, picture: Image.Image) -> None:
        self._draw = ImageDraw.Draw(picture)

    def line(self, *ends: float) -> None:
        self._draw.line([SHARP * end for end in ends], GRID, SHARP)

    def dot(self, x: float, y: float, ink: tuple[int, int, int], *, full: bool) -> None:
        box = [SHARP * at for at in (x - 5, y - 5, x + 5, y + 5)]
        self._draw.ellipse(box, ink if full else GROUND, ink if full else FAINT, 2 * SHARP)

    def write(self, x: float, y: float, text: str, anchor: str, size: int = 13) -> None:
        self._draw.text((x * SHARP, y * SHARP), text, WORDS, ImageFont.load_default(size * SHARP), anchor)
