"""How rollouts scale over nodes: python -m benchmarks.nodes [--nodes 1,2,4,8] [--out DIR].

Nodes are simulated: each is a raylet of its own with one CPU and two simulators, all on this machine, beside a head
without any. Their simulation sleeps instead of computing, so what is measured is what Ray, the pool and the driver add
when everything is due at once. Nodes join a running pool, as they do when a cluster grows. Printed are jobs per second
and the share of what as many sleepers could do at most; with --out, both go into a plot and a JSON file there.
"""

import argparse
import contextlib
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import ray
from ray.cluster_utils import Cluster

from benchmarks import sleeper
from benchmarks.plot import Plot
from pipeline import cluster
from pipeline.config import Plugin
from pipeline.rollouts import Job, Pool

ACTOR = 0.5
STORE = 80_000_000
ASK = {"place": sleeper.place}


def main() -> None:
    """Print a row for each number of nodes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=lambda text: [int(each) for each in text.split(",")], default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a job sleeps")
    parser.add_argument("--jobs", type=int, default=15, help="jobs of each simulator in a run")
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts")
    parser.add_argument("--out", type=Path, help="a folder for nodes.png and nodes.json")
    args = parser.parse_args()
    rows = []
    with machines(0) as joining, contextlib.closing(sleepers(args.seconds)) as pool:
        for count in args.nodes:
            while len(cluster.nodes()) <= count:
                join(joining, 1)
            settle(pool)
            runs = [_throughput(pool, args.jobs * pool.size) for _ in range(args.runs)]
            most = pool.size / args.seconds
            rows.append({"nodes": count, "simulators": pool.size, "jobs": statistics.median(runs), "most": most})
            _say(rows[-1], runs)
    for row in rows:
        row["linear"] = row["jobs"] / rows[0]["jobs"] * rows[0]["nodes"] / row["nodes"]
    print("of linear, from the first row: " + ", ".join(f"{row['linear']:.1%}" for row in rows))
    if args.out:
        _keep(rows, args.out)


@contextlib.contextmanager
def machines(head: int) -> Iterator[Cluster]:
    """A cluster of which there is only the head yet, with so many CPUs; this process has joined it."""
    ray.cloudpickle.register_pickle_by_value(sleeper)
    there = Cluster(initialize_head=True, head_node_args=_node(head) | {"include_dashboard": False})
    os.environ["RAY_ADDRESS"] = there.address
    try:
        cluster.start()
        yield there
    finally:
        cluster.stop()
        there.shutdown()


def join(there: Cluster, cpus: int) -> "ray._private.node.Node":
    """One more node."""
    return there.add_node(**_node(cpus))


def _node(cpus: int) -> dict:
    return {"num_cpus": cpus, "object_store_memory": STORE}


def sleepers(seconds: float, **more: object) -> Pool:
    """A pool without simulators yet."""
    sim = Plugin(name=sleeper.__file__, options={"seconds": seconds})
    return Pool(sim, places={}, cpus=ACTOR, timeout=300.0, **more)


def settle(pool: Pool) -> None:
    """Place simulators on all nodes that there are, and wait until they are up."""
    plan = cluster.plan(cluster.nodes(), train=False, actor=ACTOR)
    pool.spread(plan.places)
    while pool.ready < plan.actors:
        pool.collect(0.1)


def job(number: int) -> Job:
    """Two worlds that ask where they are."""
    return Job(number, np.zeros((2, 1), np.float32), np.arange(2), ASK)


def _throughput(pool: Pool, jobs: int) -> float:
    """Jobs per second, handed out as the driver does."""
    start, left, landed = time.perf_counter(), list(range(jobs)), 0
    while landed < jobs:
        while left and pool.free:
            pool.submit(job(left.pop()))
        landed += len(pool.collect(0.1))
    return jobs / (time.perf_counter() - start)


def _say(row: dict, runs: list[float]) -> None:
    each = ", ".join(f"{run:.2f}" for run in sorted(runs))
    print("{nodes:3d} nodes, {simulators:3d} simulators: {jobs:6.2f} of {most:g} jobs/s".format(**row), end="")
    print(f", {row['jobs'] / row['most']:.1%}; runs {each}, load {os.getloadavg()[0]:.1f}", flush=True)


def _keep(rows: list[dict], out: Path) -> None:
    nodes = [row["nodes"] for row in rows]
    top = max(row["most"] for row in rows)
    plot = Plot(
        "Rollouts over simulated nodes, two sleeping simulators each",
        "nodes",
        "jobs per second",
        x_ticks=[0, *nodes],
        y_ticks=np.linspace(0, top, 5).tolist(),
        rising=True,
        curves={
            "pool": [(row["nodes"], row["jobs"]) for row in rows],
            "without any cost…": [(0, 0), (nodes[-1], top)],
        },
    )
    out.mkdir(parents=True, exist_ok=True)
    plot.save(out / "nodes.png")
    (out / "nodes.json").write_text(json.dumps({"cpus": psutil.cpu_count(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
