"""Training jobs that come and go: nothing of them may stay, or the next one waits for ever."""

import time
from pathlib import Path

import pytest

from pipeline import train
from pipeline.config import Config, Plugin
from pipeline.profile import Profile

pytestmark = [pytest.mark.ray, pytest.mark.slow]
SHARE = 0.25


@pytest.mark.usefixtures("ray_local")
def test_jobs_that_are_stopped_while_they_start_give_their_cpus_back(tmp_path: Path) -> None:
    import ray

    Profile.create(tmp_path, "brief", Config(sim=Plugin(name="life")))
    jobs = [train.start(str(tmp_path), "brief", "rewardor", cpus=SHARE) for _ in range(3)]
    for job in jobs:
        time.sleep(5.0)  # so that one stops while Ray Train starts it, and one at work
        train.stop(job)
    for job in jobs:
        ray.get(job.done, timeout=120)
    give_up = time.monotonic() + 20
    while ray.available_resources().get("CPU") != 2.0:
        assert time.monotonic() < give_up, ray.available_resources()
        time.sleep(0.2)
