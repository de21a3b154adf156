"""What a pool does on simulated nodes, as JSON, in a process of its own: the Ray of the other tests is another one."""

import contextlib
import json
import time
from collections import Counter
from typing import Any

from ray.experimental.internal_kv import _internal_kv_get

from benchmarks import nodes, sleeper
from pipeline import cluster
from pipeline.roll import Rolled
from pipeline.rollouts import Job, Pool

SECONDS = 0.3


def main() -> None:
    """Spread over three nodes, welcome a fourth, lose one in the middle of work."""
    facts: dict[str, Any] = {}
    events: list[str] = []
    pool = nodes.sleepers(SECONDS, event=lambda _, text: events.append(text))
    with nodes.machines(1) as there, contextlib.closing(pool):
        second, _ = nodes.join(there, 1), nodes.join(there, 1)
        reach = cluster.Reach(cluster.plan(cluster.nodes(), train=False, actor=nodes.ACTOR))
        look(pool, reach)
        facts["three"] = work(pool, 24)

        cluster.wish(7)
        facts["wished"] = len(json.loads(_internal_kv_get("autoscaler_resource_request")))
        nodes.join(there, 1)
        facts["newcomer"] = sleeper.number(next(node for node in cluster.nodes() if node not in reach.plan.nodes))
        look(pool, reach)
        facts["four"] = work(pool, 24)

        lost = second.node_id
        facts["lost"] = sleeper.number(lost)
        for number in range(40):
            pool.submit(nodes.job(number))
        back = collect(pool, 8)
        assert not suspected(pool)
        facts["at work there"] = sum(pool._node[piece.actor] == lost for piece in pool._flying.values())
        there.remove_node(second, allow_graceful=False)
        while pool._flying and not events:
            back += pool.collect(0.1)
        facts["suspected"] = suspected(pool)
        back += collect(pool, 40 - len(back))
        facts["keys"] = [job.key for job, _ in back]
        facts["statuses"] = sorted({status for _, rolled in back for status in rolled.status})
        until(lambda: lost not in cluster.nodes(), pool)
        until(lambda: lost not in pool._places, pool)  # without being told: its simulators there cannot start
        facts["size"] = pool.size
        look(pool, reach)
        facts["three again"] = work(pool, 12)
    facts["events"] = events
    print(json.dumps(facts))


def suspected(pool: Pool) -> int:
    """How many jobs are thought to be what ended a simulator."""
    return sum(piece.attempt > 0 for piece in [*pool._flying.values(), *pool._waiting])


def look(pool: Pool, reach: cluster.Reach) -> None:
    """What a session does every few seconds, until all simulators are up."""
    pool.spread(cluster.spread(reach, 0, busy=True))
    until(lambda: pool.ready == reach.plan.actors, pool)


def until(done: Any, pool: Pool) -> None:
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end, "waited in vain"
        assert not pool.collect(0.1)


def work(pool: Pool, count: int) -> dict[int, int]:
    """How many of some jobs were done on which node."""
    for number in range(count):
        pool.submit(nodes.job(number))
    return Counter(int(rolled.answers["place"][0, 0]) for _, rolled in collect(pool, count))


def collect(pool: Pool, count: int) -> list[tuple[Job, Rolled]]:
    """At least so many jobs."""
    back: list[tuple[Job, Rolled]] = []
    end = time.monotonic() + 120
    while len(back) < count:
        assert time.monotonic() < end, f"only {len(back)} came back"
        back += pool.collect(0.1)
    return back


if __name__ == "__main__":
    main()
