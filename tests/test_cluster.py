"""The resource plan: who gets what, from two cores to many, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cluster
from pipeline.config import ConfigError


@pytest.mark.parametrize(("cpus", "train"), [(2, True), (2, False), (4, True), (8, True), (64, True), (3, True)])
def test_everything_fits_and_nothing_starves(cpus: float, train: bool) -> None:
    plan = cluster.plan(cpus, train=train, actor=0.5)
    assert plan.actors >= 1
    assert 2 * plan.train + plan.actors * plan.actor <= cpus
    assert 2 * plan.train + (plan.actors + 1) * plan.actor > cpus, "a simulator more would have fitted"
    assert (plan.train > 0) == train


def test_a_plan_without_room_for_a_simulator_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"Ray has 1 CPUs; training takes 1 and a simulator 0\.5") as error:
        cluster.plan(1, train=True, actor=0.5)
    assert "--set rollouts.actor_cpus" in str(error.value)


def test_a_plan_reads_like_a_sum() -> None:
    assert str(cluster.plan(2, train=True, actor=0.5)) == "2 CPUs = 2 training jobs x 0.5 CPU + 2 simulators x 0.5 CPU"


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    left, used, other = (tmp_path / name for name in (f"ray-me-{gone.pid}-a", f"ray-me-{os.getpid()}-b", "ray-you-1-c"))
    for folder in (left, used, other):
        (folder / "search").mkdir(parents=True)
    cluster.sweep(tmp_path, "ray-me-")
    assert sorted(tmp_path.iterdir()) == sorted([used, other])
