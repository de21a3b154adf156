"""The resource plan: who gets what, from two cores to many, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cluster
from pipeline.config import ConfigError

NODES = [(2,), (4,), (8,), (64,), (3,), (2, 2, 2), (1, 1, 1, 1, 1), (8, 16, 16), (0, 4), (2, 1, 1, 1, 8)]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("cpus", NODES)
def test_everything_fits_on_its_node_and_nothing_starves(cpus: tuple[float, ...], train: bool) -> None:
    plan = cluster.plan(named(cpus), train=train, actor=0.5)
    assert plan.actors >= 1
    left = {node: free - plan.places.get(node, 0) * plan.actor for node, free in named(cpus).items()}
    for _ in range(2):  # whichever node Ray chooses, the other job finds room, too
        home = max(left, key=left.__getitem__)
        left[home] -= plan.train
    assert min(left.values()) >= 0
    assert sum(left.values()) < plan.actor, "a simulator more would have fitted"
    assert (plan.train > 0) == train


def named(cpus: tuple[float, ...]) -> dict[str, float]:
    return {f"node {number}": float(each) for number, each in enumerate(cpus)}


def test_training_stays_on_a_head_that_has_room() -> None:
    assert cluster.plan(named((2, 8)), train=True, actor=0.5).head
    assert cluster.plan(named((2, 8)), train=True, actor=0.5).places == {"node 1": 16}
    assert not cluster.plan(named((0, 8)), train=True, actor=0.5).head


def test_a_plan_without_room_for_a_simulator_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"Ray has 1 CPUs; training takes 1 and a simulator 0\.5") as error:
        cluster.plan({"here": 1}, train=True, actor=0.5)
    assert "--set rollouts.actor_cpus" in str(error.value)


def test_a_simulator_larger_than_any_node_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"Ray has 9 CPUs on 3 nodes; training takes 2 and a simulator 4"):
        cluster.plan(named((3, 3, 3)), train=True, actor=4)


def test_a_plan_reads_like_a_sum() -> None:
    plan = cluster.plan({"here": 2}, train=True, actor=0.5)
    assert str(plan) == "2 CPUs = 2 training jobs x 0.5 CPU + 2 simulators x 0.5 CPU"
    plan = cluster.plan(named((2, 4)), train=True, actor=0.5)
    assert str(plan) == "6 CPUs on 2 nodes = 2 training jobs x 1 CPU + 8 simulators x 0.5 CPU"


def test_nodes_that_join_are_used_at_once_and_those_that_left_are_not() -> None:
    reach = cluster.Reach(cluster.plan(named((4,)), train=True, actor=0.5))
    assert reach.look(named((4,)), 0, busy=True, now=0) == {"node 0": 6}
    assert reach.look(named((4, 4)), 0, busy=True, now=1) == {"node 0": 6, "node 1": 8}
    assert reach.plan.train == 0.5, "the jobs that run have what they were given"
    assert reach.look(named((4,)), 0, busy=True, now=2) == {"node 0": 6}


def test_more_machines_are_wished_for_while_work_waits_long() -> None:
    reach, nodes = cluster.Reach(cluster.plan(named((4,)), train=True, actor=0.5)), named((4,))
    wishes = []
    for now, waiting in [(0, 3), (10, 3), (20, 3), (23, 100), (26, 0), (29, 3)]:
        reach.look(nodes, waiting, busy=True, now=now)
        wishes.append(reach.wish)
    assert wishes == [0, 0, 6, 8, 0, 0]


def test_simulators_leave_other_nodes_when_nothing_is_due_for_long() -> None:
    reach, nodes = cluster.Reach(cluster.plan(named((4, 8)), train=True, actor=0.5)), named((4, 8))
    everywhere = {"node 0": 4, "node 1": 16}
    assert reach.look(nodes, 0, busy=False, now=1000) == everywhere
    assert reach.look(nodes, 0, busy=True, now=1200) == everywhere
    assert reach.look(nodes, 0, busy=False, now=1499) == everywhere
    assert reach.look(nodes, 0, busy=False, now=1500) == {"node 0": 4}
    assert reach.look(nodes, 1, busy=False, now=1503) == everywhere
    small = cluster.Reach(cluster.plan(named((2, 8)), train=True, actor=0.5))
    small.look(named((2, 8)), 0, busy=False, now=0)
    assert small.look(named((2, 8)), 0, busy=False, now=301) == {"node 1": 1}, "somebody has to be there for people"


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    left, used, other = (tmp_path / name for name in (f"ray-me-{gone.pid}-a", f"ray-me-{os.getpid()}-b", "ray-you-1-c"))
    for folder in (left, used, other):
        (folder / "search").mkdir(parents=True)
    cluster.sweep(tmp_path, "ray-me-")
    assert sorted(tmp_path.iterdir()) == sorted([used, other])
