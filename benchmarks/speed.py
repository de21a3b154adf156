"""How fast the simulations are, on one thread: python -m benchmarks.speed [--cax PYTHON].

Prints medians over several runs of CPU time (on an idle machine the same as elapsed time on one thread). The roofline
of Lenia is its FFT pair alone. With --cax, the interpreter of an environment in which CAX (pip install cax) is
installed, the same two worlds are run by CAX, on one thread as well.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import torch

from sims import STATUSES, Plan, TorchSimulation
from sims.lenia import Lenia
from sims.particle_life import ParticleLife

RUNS, STEPS, WORLDS = 9, 50, 64


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cax", metavar="PYTHON", help="interpreter of an environment with CAX")
    args = parser.parse_args()
    torch.set_num_threads(1)
    lenia, life = Lenia(), ParticleLife()
    cells = lenia.width(torch.device("cpu")) * lenia.size**2
    pairs = life.width(torch.device("cpu")) * life.particles * (life.particles - 1)
    peer = _cax(args.cax, lenia.size, life.particles) if args.cax else {}
    _line("lenia, steps", cells / _step(lenia) / 1e6, "Mcell/s", peer.get("lenia"))
    _line("lenia, its FFT pair alone", cells / _fft_pair(lenia) / 1e6, "Mcell/s")
    _line("particle_life, steps", pairs / _step(life) / 1e6, "Mpair/s", peer.get("particle_life"))
    for name, sim in (("lenia", lenia), ("particle_life", life)):
        seconds, alive = _prior(sim)
        _line(f"{name}, a world of the prior", seconds * 1e3, f"ms ({alive:.0%} alive)")


def _line(name: str, value: float, unit: str, peer: float | None = None) -> None:
    beside = f"   CAX {peer:8.1f}   x {value / peer:.1f}" if peer else ""
    print(f"{name:36s} {value:8.1f} {unit}{beside}")


def _median(work: Callable[[], object], repeats: int) -> float:
    """Seconds of CPU time for one call."""
    work()
    times = []
    for _ in range(RUNS):
        begin = time.process_time()
        for _ in range(repeats):
            work()
        times.append((time.process_time() - begin) / repeats)
    return statistics.median(times)


def _step(sim: TorchSimulation) -> float:
    """Seconds per step at the width that rollouts use, in worlds on their way."""
    rows = sim.width(torch.device("cpu"))
    unit = torch.rand(rows, sim.space.dim, generator=torch.Generator().manual_seed(0))
    rule = sim.rule(sim.space.decode(unit))
    state = sim.start(rule, torch.arange(rows))

    def go() -> None:
        nonlocal state
        state = sim.step(state, rule)

    return _median(go, STEPS)


def _fft_pair(sim: Lenia) -> float:
    size = (sim.size, sim.size)
    cells = torch.rand(sim.width(torch.device("cpu")), *size)
    return _median(lambda: torch.fft.irfft2(torch.fft.rfft2(cells), s=size), STEPS)


def _prior(sim: TorchSimulation) -> tuple[float, float]:
    """Seconds per random world, clip and early stop included, and the share that lives."""
    unit = torch.rand(WORLDS, sim.space.dim, generator=torch.Generator().manual_seed(0))
    seeds, status = torch.arange(WORLDS), torch.zeros(0)

    def go() -> None:
        nonlocal status
        status = sim.simulate(unit, seeds, Plan()).status

    seconds = _median(go, 1) / WORLDS
    return seconds, (status == STATUSES.index("alive")).float().mean().item()


def _cax(python: str, size: int, particles: int) -> dict[str, float]:
    flags = {
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    script = str(Path(__file__).with_name("speed_cax.py"))
    done = subprocess.run(
        [python, script, str(size), str(particles)], env=os.environ | flags, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
