"""Every simulation beside its peer, doing the same work: python -m benchmarks.speed [--peers PYTHON] [--only NAME …].

Ours and the peer's take turns on one core, with one thread each, and medians of CPU time count (on an idle machine the
same as elapsed time). Peers are CAX, in an environment of their own, and plain numpy where CAX has no such substrate:

    python -m venv peers && peers/bin/pip install cax==0.3.3
    python -m benchmarks.speed --peers peers/bin/python

`must` is the ratio that is promised. The last column is the share of what this core could do at best, see `bounds`;
more than 100 % of the library's transforms means that ours are faster. A peer that fails is named and left out.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import roofline
from benchmarks.speed_serve import Work, pin, repeats, seconds
from pipeline.plugins import load
from sims import STATUSES, Plan, TorchSimulation

HERE = torch.device("cpu")
QUIET = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Work that ours and a peer's both do.

    Attributes:
        sim: Name of the simulation.
        peer: "cax" or "numpy".
        options: Of the simulation.
        size: Cells along a side, or
        particles: how many there are.
        batch: Worlds at once.
        steps: Steps from the start, again and again.
        must: The ratio that is promised.
        same: What else the peer is told.
        params: Parameters that are not random, by name.
        settle: Steps before the clock starts.
        ffts: Real transforms and inverses that a world needs per step.
        flops: Single precision operations per cell or pair, counted from the equations.
        traffic: Bytes per cell that must be read and written.
    """

    sim: str
    peer: str
    options: dict[str, Any]
    size: int = 0
    particles: int = 0
    batch: int = 8
    steps: int = 50
    must: float = 1.5
    same: dict[str, Any] = field(default_factory=dict)
    params: dict[str, float] = field(default_factory=dict)
    settle: int = 0
    ffts: float = 0
    flops: float = 0
    traffic: float = 0

    @property
    def setup(self) -> str:
        """What is done, in words."""
        fixed = [f"{name} {value:g}" for name, value in self.params.items()]
        return ", ".join([f"{self.size}²" if self.size else f"{self.particles}", f"batch {self.batch}", *fixed])

    @property
    def work(self) -> float:
        """Cells or pairs in a step of the batch."""
        return self.batch * float(self.size**2 or self.particles * (self.particles - 1))

    @property
    def unit(self) -> str:
        return "Mcell/s" if self.size else "Mpair/s"

    def told(self) -> dict[str, Any]:
        """What the peer has to know."""
        what = {"size": self.size} if self.size else {"particles": self.particles}
        return {**what, **self.same, "batch": self.batch, "steps": self.steps}


def grid(sim: str, peer: str, size: int, **more: Any) -> Case:
    return Case(sim=sim, peer=peer, size=size, options={"size": size}, **more)


def swarm(sim: str, peer: str, particles: int, **more: Any) -> Case:
    return Case(**{"sim": sim, "peer": peer, "particles": particles, "options": {"particles": particles}, **more})


def near(particles: int, reach: float, **more: Any) -> Case:
    """Particle Life: 35 operations for every two particles within reach, were they evenly spread."""
    flops, same = 35 / 2 * math.pi * reach**2, {"reach": reach}
    return swarm("particle_life", "cax", particles, params=same, same=same, settle=200, flops=flops, **more)


CASES = (
    grid("lenia", "cax", 128, must=2, ffts=1, flops=85, traffic=16),
    grid("lenia_multi", "cax", 128, steps=5, must=3, ffts=9, flops=18 * 35 + 15 * 20, traffic=24),
    grid(
        "flow_lenia",
        "cax",
        128,
        steps=5,
        must=2,
        settle=100,
        same={"reach": 5, "kernels": 5},
        ffts=3,
        flops=6 * 35 + 5 * 20 + 25 * 12,
        traffic=16,
    ),
    near(1000, 0.1, batch=2, steps=10, must=15),
    near(4096, 0.05, batch=1, steps=3, must=80),
    swarm("particle_lenia", "cax", 200, flops=25),
    swarm("boids", "cax", 256, options={"birds": 256, "hawks": 0}, flops=8),
    grid("life", "cax", 128, traffic=1.25),
    grid("gray_scott", "numpy", 80, steps=5, same={"substeps": 20}, flops=20 * 22, traffic=16),
    grid("nca", "numpy", 64, steps=10, same={"channels": 3, "neurons": 6}, flops=255, traffic=24),
    grid("nca_discrete", "numpy", 128, steps=10, same={"states": 4, "reach": 2}, traffic=26),
    swarm("particle_life_plus", "numpy", 300, steps=10, same={"kinds": 3}, params={"reach": 0.14}, flops=2),
    swarm(
        "neural_boids", "numpy", 128, steps=10, options={"boids": 128}, same={"neighbors": 16, "reflexes": 4}, flops=10
    ),
)
"""FFTs, operations and bytes are counted from the equations: 35 operations per cell for a real transform of 128², 20
for an exponential bell, 12 for each of the 25 neighbors that matter may reach."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter of an environment with CAX")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these simulations")
    parser.add_argument("--quick", action="store_true", help="three runs instead of nine, and fewer prior worlds")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core to run on")
    parser.add_argument("--out", type=Path, help="also write the table to this file: .json or .md")
    args = parser.parse_args()
    pin(args.core)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    runs, worlds = (3, 32) if args.quick else (9, 128)
    print(TITLE, flush=True)
    rows = []
    for case in CASES:
        if not args.only or case.sim in args.only:
            rows.append(_row(case, args.peers, args.core, runs))
            print(_line(rows[-1]), flush=True)
    print("\na world of the prior, clip and early end included", flush=True)
    prior = [_prior(sim, worlds) for sim in dict.fromkeys(row["sim"] for row in rows if "ours" in row)]
    if args.out:
        _write(args.out, rows, prior)


Row = dict[str, Any]
TITLE = "simulation          setup                               ours       peer            x  must   share of a bound"


def _row(case: Case, python: str | None, core: int, runs: int) -> Row:
    row: Row = {"sim": case.sim, "setup": case.setup, "unit": case.unit, "must": case.must}
    try:
        ours = _ours(case)
    except Exception as error:
        return row | {"failed": f"{type(error).__name__}: {error}"}
    times, block = [], repeats(ours)
    theirs: list[float] = []
    with _peer(case, python, core, row) as ask:
        for _ in range(runs):
            times.append(seconds(ours, block))
            if ask:
                theirs.append(ask())
    mine = statistics.median(times)
    row["ours"] = case.work * case.steps / mine / 1e6
    if theirs:
        row["peer"] = case.work * case.steps / statistics.median(theirs) / 1e6
        row["ratio"] = statistics.median(their / our for their, our in zip(theirs, times, strict=True))
        row["spread"] = [min(theirs) / max(times), max(theirs) / min(times)]
    row["bounds"] = {name: bound * case.steps / mine for name, bound in bounds(case).items()}
    return row


def _ours(case: Case) -> Work:
    """Some steps of our simulation, always from the same state."""
    sim: TorchSimulation[Any, Any] = load("sims", case.sim, case.options)
    unit = torch.rand(case.batch, sim.space.dim, generator=torch.Generator().manual_seed(0))
    params = sim.space.decode(unit)
    fixed = {name: torch.full_like(params[name], value) for name, value in case.params.items()}
    rule = sim.rule({**params, **fixed})
    state = sim.start(rule, torch.arange(case.batch))
    for _ in range(case.settle):
        state = sim.step(state, rule)

    def work() -> None:
        now = state
        for _ in range(case.steps):
            now = sim.step(now, rule)

    return work


@contextmanager
def _peer(case: Case, python: str | None, core: int, row: Row) -> Iterator[Any]:
    """A function that lets the peer work and returns its seconds, or None; says in the row why there is none."""
    interpreter = {"cax": python, "numpy": sys.executable}[case.peer]
    if not interpreter:
        row["no_peer"] = "no --peers"
        yield None
        return
    setup = {**case.told(), "core": core}
    script = str(Path(__file__).with_name(f"speed_{case.peer}.py"))
    command = [interpreter, script, case.sim, json.dumps(setup)]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    with subprocess.Popen(command, env=os.environ | QUIET, **pipes) as process:
        ready = process.stdout.readline()
        if not ready:
            row["no_peer"] = (process.stderr.read().strip().splitlines() or ["no word"])[-1][:160]
            yield None
            return
        row["way"] = json.loads(ready)["way"]

        def ask() -> float:
            process.stdin.write("\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield ask
        process.stdin.close()


def bounds(case: Case) -> dict[str, float]:
    """Seconds that a step of the batch takes at least: transforms, arithmetic and memory alone, each at its best."""
    found = {}
    if case.ffts:
        found["FFT"] = case.ffts * roofline.fft_pair(case.size, case.batch)
    if case.flops:
        found["arithmetic"] = case.flops * case.work / roofline.arithmetic()
    if case.traffic:
        total = int(case.traffic * case.work)
        found["memory"] = total / roofline.bandwidth(total)
    return found


def _line(row: Row) -> str:
    head = f"{row['sim']:19s} {row['setup']:30s}"
    if "failed" in row:
        return f"{head} cannot run: {row['failed']}"
    line = f"{head} {row['ours']:9.1f} "
    if "ratio" in row:
        met = "met" if row["ratio"] >= row["must"] else "NOT met"
        line += f"{row['peer']:9.1f} {row['unit']} {row['ratio']:6.1f}  {row['must']:g} {met}"
    else:
        line += f"          {row['unit']}        {row['must']:g}, no peer: {row['no_peer']}"
    return f"{line}   {_shares(row)}"


def _shares(row: Row) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in row["bounds"].items())


def _prior(name: str, worlds: int) -> Row:
    """What a random world costs, and the share that lives."""
    sim = load("sims", name, {})
    unit = torch.rand(worlds, sim.space.dim, generator=torch.Generator().manual_seed(0))
    status: list[torch.Tensor] = []

    def work() -> None:
        status.append(sim.simulate(unit, torch.arange(worlds), Plan()).status)

    sim.simulate(unit[:1], torch.arange(1), Plan())
    row = {"sim": name, "ms": min(seconds(work, 1) for _ in range(2)) / worlds * 1e3}
    row["alive"] = (status[0] == STATUSES.index("alive")).float().mean().item()
    print(f"{name:19s} {row['ms']:6.1f} ms, {row['alive']:.0%} of {worlds} alive", flush=True)
    return row


def _write(path: Path, rows: list[Row], prior: list[Row]) -> None:
    if path.suffix == ".json":
        path.write_text(json.dumps({"speed": rows, "prior": prior}, indent=2))
        return
    table = [
        "| simulation | setup | ours | peer | ratio | must | share of a bound |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for row in (row for row in rows if "ours" in row):
        theirs = f"{row['peer']:.0f} | {row['ratio']:.1f}" if "ratio" in row else " | "
        cells = f"{row['ours']:.0f} {row['unit']} | {theirs} | {row['must']:g} | {_shares(row)}"
        table.append(f"| `{row['sim']}` | {row['setup']} | {cells} |")
    path.write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
