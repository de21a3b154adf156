"""Look at many worlds at once: python -m benchmarks.contact_sheet lenia --n 64 --seed 0 --out sheet.png."""

import argparse
import importlib

import numpy as np
import torch
from PIL import Image, ImageDraw

from sims import STATUSES, Plan, TorchSimulation


def main() -> None:
    """One row of five moments per world, status beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sim")
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--only", default="", help="show this status only")
    parser.add_argument("--out", default="sheet.png")
    args = parser.parse_args()
    torch.set_num_threads(1)
    module = importlib.import_module(f"sims.{args.sim}")
    (sim,) = (v() for v in vars(module).values() if _is_simulation(v, module.__name__))
    unit = torch.rand(args.n, sim.space.dim, generator=torch.Generator().manual_seed(args.seed))
    made = sim.simulate(unit, torch.arange(args.n), Plan(film_frames=5, film_size=args.size))
    cells = [
        _cell(made.film[i].numpy(), f"{i} {STATUSES[s]}")
        for i, s in enumerate(made.status.tolist())
        if args.only in STATUSES[s]
    ]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % args.columns)
    rows = [np.concatenate(cells[i : i + args.columns], 1) for i in range(0, len(cells), args.columns)]
    Image.fromarray(np.concatenate(rows)).save(args.out)


def _is_simulation(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, TorchSimulation) and value.__module__ == module


def _cell(frames: np.ndarray, text: str) -> np.ndarray:
    strip = Image.fromarray(np.pad(np.concatenate(list(frames), 1), ((14, 2), (0, 8), (0, 0))))
    ImageDraw.Draw(strip).text((2, 1), text, fill="white")
    return np.asarray(strip)


if __name__ == "__main__":
    main()
