"""Draw the README's picture of all simulations: python -m benchmarks.catalogue [--out docs/simulations.jpg].

A row for each, with the last moments of its first random worlds that live: nobody picked them.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline import gallery
from pipeline.plugins import load, names

ACROSS, WORLDS, LABEL = 8, 48, 22
"""Worlds in a row, how many are simulated to find them, and the height of a row's name, in pixels."""


def main() -> None:
    """Simulate and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/simulations.jpg"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    stacked(_row(name, args.seed) for name in names("sims") if name != "external").save(
        args.out, quality=90, optimize=True
    )


def _row(name: str, seed: int) -> Image.Image:
    worlds = gallery.look(load("sims", name, {}), WORLDS, seed)
    print(f"{name}: {worlds.shares()}", flush=True)
    return row(name, worlds.moments[worlds.alive, -1])


def row(title: str, frames: np.ndarray) -> Image.Image:
    """The first of the frames (B, s, s, 3) beside each other, under a title."""
    side, gap, margin = frames.shape[1], gallery.GAP, gallery.MARGIN // 2
    picture = Image.new("RGB", (2 * margin + ACROSS * (side + gap) - gap, side + LABEL + margin // 2), gallery.GROUND)
    ImageDraw.Draw(picture).text((margin, 3), title, gallery.WORDS, ImageFont.load_default(14))
    for i, frame in enumerate(frames[:ACROSS]):
        picture.paste(Image.fromarray(frame), (margin + i * (side + gap), LABEL))
    return picture


def stacked(rows: Iterable[Image.Image]) -> Image.Image:
    """Rows below each other."""
    rows = list(rows)
    width, height = rows[0].size
    picture = Image.new("RGB", (width, height * len(rows) + gallery.MARGIN // 2), gallery.GROUND)
    for i, one in enumerate(rows):
        picture.paste(one, (0, i * height))
    return picture


if __name__ == "__main__":
    main()
