"""What a world costs, however many are asked for, and when it dies: python -m benchmarks.flat_cost [--quick].

Writes two plots to docs/ and prints their figures, all in CPU time on one thread:

- docs/flat_cost.png: cost per world over the number of worlds asked for, living ones, as a multiple of the cost among
  many. Every step works on a constant number of rows, so that a world never depends on its company: fewer worlds than
  that pay for the empty rows.
- docs/early_end.png: cost of a world over the share of the rollout after which it was seen to be dead, as a share of
  the cost of a living one.
"""

import argparse
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.plot import Plot
from benchmarks.speed_serve import pin, seconds
from pipeline.plugins import load
from sims import Plan, TorchSimulation
from sims._torch import ALIVE, CHECKPOINTS

DOCS = Path(__file__).parents[1] / "docs"
SIMS = ("lenia", "gray_scott", "particle_life")
MOST, MANY = 512, 64
TOLERANCE = 0.1

Sim = TorchSimulation[Any, Any]


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two runs instead of three, up to 128 worlds, Lenia alone")
    parser.add_argument("--sims", nargs="+", default=SIMS, metavar="NAME", help="whose cost per world")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the plots")
    args = parser.parse_args()
    pin(max(os.sched_getaffinity(0)))
    torch.set_num_threads(1)
    runs, most, names = (2, 128, SIMS[:1]) if args.quick else (3, MOST, args.sims)
    _flat(args.out, runs, most, names)
    _early(args.out, runs)


def _flat(out: Path, runs: int, most: int, names: Sequence[str]) -> None:
    sizes = [2**i for i in range(most.bit_length())]
    plot = Plot("Cost of a world, however many are asked for", "worlds asked for at once", "times the cost among many",
                sizes, (0.5, 1, 2, 4, 8, 16, 32), log=True, band=(1 - TOLERANCE, 1 + TOLERANCE))  # fmt: skip
    for name in names:
        sim: Sim = load("sims", name, {})
        unit = _prior(sim, MANY)
        living = (sim.simulate(unit, torch.arange(MANY), Plan()).status == ALIVE).nonzero()[:, 0]
        costs = _costs(sim, unit, {n: living.repeat(n)[:n] for n in sizes}, runs)
        width = sim.width(torch.device("cpu"))
        many = statistics.median(costs[n] for n in sizes if n >= width)
        worst = max(abs(costs[n] / many - 1) for n in sizes if n >= width)
        said = "  ".join(f"{n}: {cost * 1e3:.1f}" for n, cost in costs.items())
        print(f"{name} (width {width}), ms per living world: {said}\n  at most {worst:.0%} off from {width} worlds on")
        plot.curves[f"{name}, {width} rows, {many * 1e3:.1f} ms"] = [(n, costs[n] / many) for n in sizes]
    plot.save(out / "flat_cost.png")


def _early(out: Path, runs: int) -> None:
    sim: Sim = load("sims", "lenia", {})
    unit = _prior(sim, 4 * MANY)
    ends = _ends(sim, unit)
    shares = ends.tolist()
    groups = {end: (ends == end).nonzero()[:, 0].repeat(MANY)[:MANY] for end in sorted(set(shares))}
    costs = _costs(sim, unit, groups, runs)
    points = [(end, cost / costs[1.0]) for end, cost in costs.items()]
    for share, cost in points:
        print(f"Lenia, ended after {share:.0%} of the steps: {cost:.0%} of a living world's cost")
    print(f"of {len(shares)} prior worlds {sum(share < 1 for share in shares) / len(shares):.0%} end early; ", end="")
    print(f"{1 - statistics.mean(shares):.0%} of all steps are saved")
    ticks = (0, 0.2, 0.4, 0.6, 0.8, 1)
    plot = Plot("Dead worlds stop early (Lenia)", "share of the rollout after which it ended",
                "cost, as a share of a living world's", ticks, ticks, rising=True)  # fmt: skip
    plot.curves = {"proportional…": [(0, 0), (1, 1)], "measured": points}
    plot.save(out / "early_end.png")


def _prior(sim: Sim, n: int) -> Tensor:
    return torch.rand(n, sim.space.dim, generator=torch.Generator().manual_seed(0))


def _costs(sim: Sim, unit: Tensor, groups: dict[Any, Tensor], runs: int) -> dict[Any, float]:
    """CPU seconds per world of each group of rows; they take turns, so that what disturbs one disturbs all."""
    times: dict[Any, list[float]] = {key: [] for key in groups}
    for _ in range(runs + 1):
        for key, rows in groups.items():
            work = seconds(lambda rows=rows: sim.simulate(unit[rows], rows, Plan()), max(1, MANY // 4 // len(rows)))
            times[key].append(work / len(rows))
    return {key: statistics.median(each[1:]) for key, each in times.items()}


def _ends(sim: Sim, unit: Tensor) -> Tensor:
    """The share of the rollout after which each world left, (n,): its clip is black from there on."""
    clip = sim.simulate(unit, torch.arange(len(unit)), Plan()).clip
    shot = clip.flatten(2).any(2).sum(1)
    ends = torch.tensor([*CHECKPOINTS, 1.0])
    frames = (ends * (clip.shape[1] - 1)).floor() + 1  # seen by then
    return ends[torch.searchsorted(frames, shot)]


if __name__ == "__main__":
    main()
