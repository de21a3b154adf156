"""Look at many worlds at once: python -m benchmarks.contact_sheet lenia --n 64 --seed 0 --out sheet.png.

Five moments of each random world of a simulation, from its start to its end, under its status.
"""

import argparse

import numpy as np
import torch
from PIL import Image, ImageDraw

from pipeline.plugins import load
from sims import STATUSES, Plan


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sim", help="name, package.module:Class, or path of a .py file")
    parser.add_argument("--n", type=int, default=64, help="worlds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=96, help="pixels per picture")
    parser.add_argument("--columns", type=int, default=4, help="worlds per row")
    parser.add_argument("--only", default="", help="a status: leave the others out")
    parser.add_argument("--out", default="sheet.png")
    args = parser.parse_args()
    sim = load("sims", args.sim, {})
    unit = torch.rand(args.n, sim.space.dim, generator=torch.Generator().manual_seed(args.seed))
    made = sim.simulate(unit, torch.arange(args.n), Plan(film_frames=5, film_size=args.size))
    named = [(i, STATUSES[s]) for i, s in enumerate(made.status.tolist())]
    cells = [_cell(made.film[i].numpy(), f"{i} {status}") for i, status in named if args.only in status]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % args.columns)
    rows = [np.concatenate(cells[i : i + args.columns], 1) for i in range(0, len(cells), args.columns)]
    Image.fromarray(np.concatenate(rows)).save(args.out)


def _cell(frames: np.ndarray, text: str) -> np.ndarray:
    strip = Image.fromarray(np.pad(np.concatenate(list(frames), 1), ((14, 2), (0, 8), (0, 0))))
    ImageDraw.Draw(strip).text((2, 1), text, fill="white")
    return np.asarray(strip)


if __name__ == "__main__":
    main()
