"""Draw the README's picture of all simulations: python -m benchmarks.catalogue [--out docs/simulations.png].

A row for each, with the last moments of its first random worlds that live: nobody picked them.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipeline import gallery
from pipeline.plugins import load, names

ACROSS, WORLDS, LABEL = 8, 48, 22
"""Worlds in a row, how many are simulated to find them, and the height of a row's name, in pixels."""


def main() -> None:
    """Simulate and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/simulations.png"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows = [_row(name, args.seed) for name in names("sims") if name != "external"]
    width, height = rows[0].size
    picture = Image.new("RGB", (width, height * len(rows) + gallery.MARGIN // 2), gallery.GROUND)
    for i, row in enumerate(rows):
        picture.paste(row, (0, i * height))
    picture.save(args.out, optimize=True)


def _row(name: str, seed: int) -> Image.Image:
    worlds = gallery.look(load("sims", name, {}), WORLDS, seed)
    print(f"{name}: {worlds.shares()}", flush=True)
    side, gap, margin = gallery.SIDE, gallery.GAP, gallery.MARGIN // 2
    row = Image.new("RGB", (2 * margin + ACROSS * (side + gap) - gap, side + LABEL + margin // 2), gallery.GROUND)
    ImageDraw.Draw(row).text((margin, 3), name, gallery.WORDS, ImageFont.load_default(14))
    for i, world in enumerate(worlds.alive[:ACROSS]):
        row.paste(Image.fromarray(worlds.moments[world, -1]), (margin + i * (side + gap), LABEL))
    return row


if __name__ == "__main__":
    main()
