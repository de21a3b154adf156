"""The driver hands out what is due, and says how much work a busy pool leaves waiting."""

from pathlib import Path
from types import SimpleNamespace

from pipeline.config import Config, RolloutPlan
from pipeline.driver import Driver
from pipeline.profile import Profile
from sims.lenia import Lenia
from tests.life import Here


def test_films_of_worlds_that_are_there_are_made_beside_wishes_for_others(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config(rollouts=RolloutPlan(prior=10, block=10)))
    driver = Driver(profile, Lenia(), Here(Lenia()))
    driver.tick(0)
    driver.tick(0)
    here = str(profile.rollouts().id[profile.rollouts().status == "alive"][0])
    put_aside = "0" * len(here)
    wishes = SimpleNamespace(wanted=lambda: [put_aside, here], drop=lambda _: None, wake=lambda: None)
    driver.desk = wishes  # type: ignore[assignment]
    driver.tick(0)
    driver.tick(0)
    assert set(profile.films().rollout.tolist()) == {here}


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
