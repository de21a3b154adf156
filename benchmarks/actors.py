"""What Ray costs: python -m benchmarks.actors [--sim lenia] [--runs 7] [--quick].

Two bare processes and a pool of two simulators take turns at the same blocks of random worlds, embeddings included, as
in a run. The processes share a counter and nothing else. Printed are medians over the runs: worlds per second, CPU
milliseconds per world of the simulators and of what serves them, and the shares that the pool keeps. This needs an
otherwise idle machine of two cores: on a busy one throughput is luck, and Ray's servers, which hum all the time, hum
longer per world.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil
import torch

from pipeline import cluster, plugins
from pipeline.config import Plugin
from pipeline.driver import Embed
from pipeline.roll import roll_here
from pipeline.rollouts import ANYWHERE, NICE, Job, Pool

ACTORS, BLOCK = 2, 25
SIMULATOR = "ray::_Simulator"
ASK = {"embedding": Embed(Plugin(name="common"))}

Figures = tuple[float, float, float]
"""Worlds per second of a run, and CPU milliseconds per world: of the simulators, and of all that serves them."""


def main() -> None:
    """Print both throughputs, and what the pool keeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", default="lenia")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--blocks", type=int, default=24, help=f"blocks of {BLOCK} worlds in a run")
    parser.add_argument("--quick", action="store_true", help="three runs of eight blocks")
    args = parser.parse_args()
    runs, blocks = (3, 8) if args.quick else (args.runs, args.blocks)
    bare, done = _bare(args.sim, blocks)
    pool, close = _pool(args.sim, blocks)
    figures: list[tuple[Figures, Figures]] = []
    try:
        for run in range(runs + 1):  # The first one warms up.
            if run % 2:
                figures.append((bare(), pool()))
            else:
                figures.append((pool(), bare())[::-1])
    finally:
        done()
        close()
    _say(figures[1:])


def _say(figures: list[tuple[Figures, Figures]]) -> None:
    for i, name in enumerate((f"{ACTORS} bare processes", f"{ACTORS} simulators of the pool")):
        speed, cost, more = (statistics.median(run[i][j] for run in figures) for j in range(3))
        print(
            f"{name:26s} {speed:7.1f} worlds/s  {cost:6.2f} ms of CPU per world, {more:5.2f} ms for Ray and the driver"
        )
    speed = statistics.median(pool[0] / bare[0] for bare, pool in figures)
    cost = statistics.median(bare[1] / (pool[1] + pool[2]) for bare, pool in figures)
    print(f"the pool keeps {speed:.1%} of the throughput, {cost:.1%} by CPU time ({len(figures)} runs)")


def _block(sim: Any, number: int) -> tuple[np.ndarray, np.ndarray]:
    unit = torch.rand(BLOCK, sim.space.dim, generator=torch.Generator().manual_seed(number))
    return unit.numpy(), np.arange(BLOCK)


def _bare(name: str, blocks: int) -> tuple[Callable[[], Figures], Callable[[], None]]:
    """A function that lets bare processes work, and one that ends them."""
    spawn = multiprocessing.get_context("spawn")
    counter = spawn.Value("i", 0)
    pipes = [spawn.Pipe() for _ in range(ACTORS)]
    workers = [spawn.Process(target=_work, args=(name, blocks, counter, theirs), daemon=True) for _, theirs in pipes]
    for worker in workers:
        worker.start()

    def run() -> Figures:
        counter.value = 0
        start = time.perf_counter()
        for ours, _ in pipes:
            ours.send(True)
        cpu = sum(ours.recv() for ours, _ in pipes)
        worlds = blocks * BLOCK
        return worlds / (time.perf_counter() - start), cpu / worlds * 1e3, 0.0

    def end() -> None:
        for ours, _ in pipes:
            ours.send(False)

    return run, end


def _work(name: str, blocks: int, counter: Any, pipe: Connection) -> None:
    torch.set_num_threads(1)
    os.nice(NICE)  # as simulators are
    sim = plugins.load("sims", name, {})
    roll = roll_here(sim)
    while pipe.recv():
        begin = time.process_time()
        while True:
            with counter.get_lock():
                number = counter.value
                counter.value += 1
            if number >= blocks:
                break
            roll(*_block(sim, number), ASK)
        pipe.send(time.process_time() - begin)


def _pool(name: str, blocks: int) -> tuple[Callable[[], Figures], Callable[[], None]]:
    """The same for the pool: all blocks are due, and are handed out as the driver does."""
    cluster.start()
    pool = Pool(Plugin(name=name), places={ANYWHERE: ACTORS}, cpus=0.5, timeout=300.0)
    sim = plugins.load("sims", name, {})
    while pool.ready < ACTORS:
        pool.collect(0.1)

    def run() -> Figures:
        before, start, left, landed = _cpu(), time.perf_counter(), list(range(blocks)), 0
        while landed < blocks:
            while left and pool.free:
                number = left.pop(0)
                pool.submit(Job(number, *_block(sim, number), ASK))
            landed += len(pool.collect(0.1))
        seconds, worlds = time.perf_counter() - start, blocks * BLOCK
        simulators, more = ((now - then) / worlds * 1e3 for now, then in zip(_cpu(), before, strict=True))
        return worlds / seconds, simulators, more

    def close() -> None:
        pool.close()
        cluster.stop()

    return run, close


def _cpu() -> tuple[float, float]:
    """CPU seconds of the simulators, and of this process and all its other children; the bare ones rest meanwhile."""
    simulators = rest = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        spent = sum(process.cpu_times()[:2])
        if SIMULATOR in " ".join(process.cmdline()):
            simulators += spent
        else:
            rest += spent
    return simulators, rest


if __name__ == "__main__":
    main()
