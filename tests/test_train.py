"""Training jobs: nothing of those that end may stay, or the next one waits for ever; and labels wait for no search."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline import checkpoint, loop, train
from pipeline.config import Config, Plugin
from pipeline.profile import Profile
from tests.life import SMALL, answer, settle

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


@pytest.mark.usefixtures("ray_local")
def test_a_job_learns_labels_while_it_searches_for_settings(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    config = replace(SMALL, rewardor=Plugin(name="tests.gated:Gated", options={"gate": str(gate)}))
    profile = Profile.create(tmp_path, "gated", config)
    settle(profile)
    answer(profile, 12)
    train.step(profile, "rewardor")
    gate.unlink()
    reached = tmp_path / "gate.reached"
    reached.unlink()
    job = train.start(str(tmp_path), "gated", "rewardor", cpus=SHARE)
    for count in range(15, 20):  # 15 and 19 call for other settings
        answer(profile, count - len(profile.labels().id))
        wait(lambda: newest(profile).snapshot["labels"] == len(profile.labels().id))
        wait(reached.exists)
        assert newest(profile).snapshot["searched"]["labels"] == 12
    gate.touch()
    wait(lambda: not loop.due_fit(profile))
    searched = [each.snapshot["searched"]["labels"] for each in checkpoint.manifests(profile, "rewardor")]
    assert list(dict.fromkeys(searched)) == [12, 15, 19], "one search after the other"
    assert newest(profile).snapshot["labels"] == 19
    gate.unlink()
    answer(profile, 6)
    wait(lambda: newest(profile).snapshot["labels"] == 25)
    wait(lambda: len(searching()) == 1)
    train.stop(job)
    train.wait(job)
    wait(lambda: not searching())


def searching() -> list[psutil.Process]:
    """Processes beside others."""
    mine = {each.pid for each in psutil.Process().children(recursive=True)}
    running = [each for each in psutil.process_iter(["cmdline"]) if each.pid in mine]
    return [each for each in running if "spawn_main" in " ".join(each.info["cmdline"] or [])]


def newest(profile: Profile) -> checkpoint.Manifest:
    made = checkpoint.newest(profile, "rewardor")
    assert made is not None
    return made


def wait(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 120
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.1)
