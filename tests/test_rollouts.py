"""The pool of simulators, on a real Ray: what it returns, and what it does about death and nonsense."""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import ray
import torch

from pipeline.config import Plugin
from pipeline.roll import roll_here
from pipeline.rollouts import ANYWHERE, NICE, Job, Pool, _Simulator
from sims import Param, Plan, Rollouts, Simulation, Space
from sims.lenia import Lenia

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@dataclass(frozen=True)
class Booby(Simulation):
    """A world whose first parameter says what goes wrong: > .9 ends the process, > .8 raises, > .7 hangs."""

    version: ClassVar[int] = 1

    @property
    def space(self) -> Space:
        return Space(Param("trap", 0, 1))

    def simulate(self, unit: torch.Tensor, seeds: torch.Tensor, plan: Plan) -> Rollouts:
        worst = float(unit.max())
        if worst > 0.9:
            os._exit(1)
        if worst > 0.8:
            raise ArithmeticError("the world ended")
        if worst > 0.7:
            time.sleep(60)
        clip = torch.zeros(len(unit), plan.clip_frames, plan.clip_size, plan.clip_size, 3, dtype=torch.uint8)
        return Rollouts(
            torch.zeros(len(unit), dtype=torch.int64), clip + seeds.view(-1, 1, 1, 1, 1).to(torch.uint8), None
        )


BOOBY = Plugin(name=__file__)
if __name__ in sys.modules:  # the processes of the pool cannot import tests by name
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def mean_light(clip: torch.Tensor) -> torch.Tensor:
    """A question about a clip."""
    return clip.float().mean((1, 2, 3, 4)).unsqueeze(1)


def drain(pool: Pool, count: int, seconds: float = 120) -> dict:
    done: dict = {}
    end = time.monotonic() + seconds
    while len(done) < count and time.monotonic() < end:
        for job, rolled in pool.collect(0.2):
            assert job.key not in done, "a job came back twice"
            done[job.key] = rolled
    return done


@pytest.fixture
def pool_of(ray_local):  # noqa: ARG001
    pools = []

    def make(sim: Plugin, **options) -> Pool:
        pools.append(Pool(sim, **({"places": {ANYWHERE: 2}, "cpus": 0.5, "timeout": 60.0} | options)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def test_pool_gives_what_one_process_gives(pool_of) -> None:
    unit = np.random.default_rng(0).random((40, Lenia().space.dim), dtype=np.float32)
    seeds = np.arange(40)
    there = pool_of(Plugin(name="lenia"))(unit, seeds, {"light": mean_light})
    here = roll_here(Lenia())(unit, seeds, {"light": mean_light})
    assert there.status == here.status
    assert there.source == here.source
    np.testing.assert_array_equal(there.answers["light"], here.answers["light"])


def test_killed_simulators_lose_and_double_nothing(pool_of) -> None:
    events: list[tuple[str, str]] = []
    pool = pool_of(Plugin(name="lenia"), event=lambda *event: events.append(event))
    rng = np.random.default_rng(1)
    jobs = [Job(n, rng.random((10, Lenia().space.dim), dtype=np.float32), np.arange(10) + n, {}) for n in range(12)]
    for job in jobs:
        pool.submit(job)
        pool.submit(job)  # a second time changes nothing
    done = drain(pool, 3)
    for actor in list(pool._load):
        os.kill(ray.get(actor.ready.remote()), signal.SIGKILL)
    done |= drain(pool, len(jobs) - len(done))
    assert sorted(done) == list(range(12))
    assert all(len(rolled.status) == 10 for rolled in done.values())
    assert any("died" in text for kind, text in events if kind == "simulators")
    assert pool.size == 2
    drain(pool, 1, seconds=5)
    assert pool.ready == 2, "dead simulators were not replaced"
    kinds = [kind for kind, _ in events]
    assert kinds.count("recovered") == kinds.count("simulators")


def test_a_bad_world_costs_only_itself(pool_of) -> None:
    pool = pool_of(BOOBY, places={ANYWHERE: 1})
    trap = np.array([[0.1], [0.95], [0.2], [0.85], [0.3]], np.float32)
    pool.submit(Job("mixed", trap, np.arange(5), {"light": mean_light}))
    rolled = drain(pool, 1)["mixed"]
    assert rolled.status == ["alive", "failed", "alive", "failed", "alive"]
    assert "the world ended" in rolled.errors[3]
    assert rolled.errors[1]
    np.testing.assert_array_equal(rolled.answers["light"][[0, 2, 4], 0], [0, 2, 4])
    assert np.isnan(rolled.answers["light"][[1, 3]]).all()


def test_a_world_that_hangs_is_ended(pool_of) -> None:
    pool = pool_of(BOOBY, places={ANYWHERE: 1}, timeout=1.0)
    pool.submit(Job("stuck", np.array([[0.75]], np.float32), np.arange(1), {}))
    pool.submit(Job("fine", np.array([[0.1]], np.float32), np.arange(1), {}))
    done = drain(pool, 2, seconds=60)
    assert done["stuck"].status == ["failed"]
    assert done["fine"].status == ["alive"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is the process that is nice, not the thread")
@pytest.mark.parametrize("before", [0, NICE + 4])
def test_simulators_stand_back_and_never_come_forward(before: int) -> None:
    # Only the superuser may become less nice: for everybody else, every world would fail.
    found = []

    def simulate() -> None:
        os.setpriority(os.PRIO_PROCESS, 0, max(before, os.getpriority(os.PRIO_PROCESS, 0)))
        simulator = object.__new__(_Simulator)
        simulator._roll = lambda *_: None
        simulator.roll(np.zeros((1, 1), np.float32), np.zeros(1, np.int64), {}, film=False)
        found.append(os.getpriority(os.PRIO_PROCESS, 0))

    thread = threading.Thread(target=simulate)
    thread.start()
    thread.join()
    assert found[0] >= max(before, NICE)
