"""Draw what generators have learned: python -m benchmarks.tastes PROFILE=TITLE … [--out docs/worlds.png].

Above, the first random worlds that live; below, for each profile, the first that its generator proposes and that live.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch

from benchmarks.catalogue import ACROSS, row, stacked
from pipeline import loop, shelf
from pipeline.plugins import load
from sims import STATUSES, Plan, Simulation

SIDE, TRIED = 128, 24
"""Pixels of a picture, and worlds that are simulated to find those that live."""


def main() -> None:
    """Simulate and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profiles", nargs="+", metavar="PROFILE=TITLE")
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("ALIFE_ROOT", "profiles")))
    parser.add_argument("--out", type=Path, default=Path("docs/worlds.png"))
    args = parser.parse_args()
    chosen = [(shelf.opened(args.root, name, []), title) for name, _, title in map(_split, args.profiles)]
    plugin = chosen[0][0].config.sim
    sim = load("sims", plugin.name, plugin.options)
    prior = torch.rand(TRIED, sim.space.dim, generator=torch.Generator().manual_seed(0))
    rows = [row("random worlds that live", _living(sim, prior))]
    for profile, title in chosen:
        rows.append(row(title, _living(sim, loop.load_generator(profile, sim.space.dim).ask(TRIED, 0))))
    stacked(rows).save(args.out, optimize=True)


def _split(text: str) -> tuple[str, str, str]:
    return text.partition("=")


def _living(sim: Simulation, unit: torch.Tensor) -> np.ndarray:
    """The last pictures (ACROSS, SIDE, SIDE, 3) of the first worlds that live."""
    made = sim.simulate(unit, torch.arange(len(unit)), Plan(film_frames=2, film_size=SIDE))
    alive = (made.status == STATUSES.index("alive")).nonzero()[:ACROSS, 0]
    assert made.film is not None
    return made.film[alive, -1].numpy()


if __name__ == "__main__":
    main()
