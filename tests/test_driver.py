"""The driver says how much work a busy pool leaves waiting, which is what a growing cluster is asked for."""

from pathlib import Path

from pipeline.config import Config, RolloutPlan
from pipeline.driver import Driver
from pipeline.profile import Profile
from sims.lenia import Lenia
from tests.life import Here


def test_blocks_wait_while_the_pool_is_full(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config(rollouts=RolloutPlan(prior=40, per_label=2, block=10)))
    pool = Here(Lenia())
    driver = Driver(profile, Lenia(), pool)
    assert driver.waiting() == 4
    pool.free = 1
    driver.tick(0)
    assert driver.waiting() == 3, "one is at work"
    pool.free = 100
    driver.tick(0)
    assert driver.waiting() == 0
    driver.tick(0)
    assert len(profile.rollouts().id) == 40
    assert Driver(profile, Lenia(), pool, feed=False).waiting() == 0
