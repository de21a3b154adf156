"""A duel is blind and fair: equals hardly ever beat each other, the better side wins soon, the dead lose."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import duel
from pipeline.config import Config
from pipeline.desk import Desk
from pipeline.profile import Profile
from pipeline.rows import RolloutTable, Vote


def profile_of(path: Path, count: int, dead: range = range(0)) -> tuple[Profile, list[str]]:
    """A profile with worlds of two versions of a Generator, the first half of version 1; all are filmed."""
    profile = Profile.create(path, "taste", Config())
    unit = np.random.default_rng(0).random((count, 3), np.float32)
    ids = [profile.rollout_id(row, number) for number, row in enumerate(unit)]
    profile.add_rollouts(
        RolloutTable(
            id=np.array(ids),
            block=np.arange(count),
            unit=unit,
            seed=np.arange(count),
            status=np.array(["dead" if number in dead else "alive" for number in range(count)]),
            origin=np.full(count, "generator"),
            generator=np.arange(count) * 2 // count + 1,
            time=np.zeros(count),
            error=np.full(count, ""),
        )
    )
    return profile, ids


def film(profile: Profile, worlds: list[str]) -> None:
    for world in worlds:
        profile.add_film(world, world.encode(), "seen", 96, 24.0, 256)


def answer(profile: Profile, left: str, right: str, given: str) -> str:
    name = f"vote-{len(profile.label_events().id)}"
    profile.add_votes([Vote(id=name, left=left, right=right, answer=given, labeler="a")])
    return name


def now(profile: Profile) -> duel.State:
    found = duel.state(profile)
    assert found
    return found


def test_a_duel_needs_worlds_of_two_versions(tmp_path: Path) -> None:
    profile, _ = profile_of(tmp_path, 30)
    assert duel.rival(profile) is None
    with pytest.raises(ValueError, match="it takes 40 worlds"):
        duel.start(profile)


def test_the_better_side_wins_on_the_label_page(tmp_path: Path) -> None:
    profile, ids = profile_of(tmp_path, 60)
    film(profile, ids)
    assert duel.rival(profile) == 1
    duel.start(profile)
    desk = Desk(profile)
    number = {file: ids.index(world) for world, file in zip(profile.films().rollout, profile.films().file, strict=True)}
    while not now(profile).verdict:
        (pair,) = desk.offer("ann", 1)
        left, right = number[pair.left], number[pair.right]
        assert (left < 30) != (right < 30)
        desk.vote(pair.token, "left" if left > right else "right", "ann", 900, 0)
    facts = now(profile).facts()
    assert (facts["verdict"], facts["version"], facts["rival"]) == ("better", 2, 1)
    assert (facts["won"], facts["lost"], facts["odds"]) == (8, 0, 20.0)  # 2^8 / 9 is more than 20, 2^7 / 8 is not
    assert set(profile.labels().how) == {"duel"}


def test_what_is_taken_back_and_what_was_answered_before_does_not_count(tmp_path: Path) -> None:
    profile, ids = profile_of(tmp_path, 60)
    answer(profile, ids[0], ids[59], "left")
    duel.start(profile)
    assert (now(profile).won, now(profile).lost, len(now(profile).open)) == (0, 0, 30)
    new, old = now(profile).open[0]
    last = answer(profile, old, new, "right")
    assert now(profile).won == 1
    profile.undo(last, "a")
    assert now(profile).won == 0
    answer(profile, new, old, "skip")
    assert len(now(profile).open) == 30
    answer(profile, new, old, "neither")
    answer(profile, new, old, "left")  # the first answer counts
    assert (now(profile).won, now(profile).lost, now(profile).equal) == (0, 0, 1)
    assert duel.newest(Profile.open(tmp_path, "taste")) == duel.newest(profile)
    duel.stop(profile)
    assert duel.state(profile) is None


def test_the_dead_lose_unseen_but_only_in_their_turn(tmp_path: Path) -> None:
    profile, ids = profile_of(tmp_path, 80, dead=range(30))
    film(profile, ids)
    duel.start(profile)
    assert (now(profile).won, len(now(profile).open)) == (0, 10)
    assert not now(profile).verdict
    for left, right in now(profile).open:
        answer(profile, left, right, "tie")
    assert (now(profile).won, now(profile).lost, now(profile).equal) == (30, 0, 10)
    assert now(profile).verdict == "better"
    assert duel.next_pairs(profile, 1, []) is None


def test_films_are_wanted_for_the_next_pairs_only(tmp_path: Path) -> None:
    profile, _ = profile_of(tmp_path, 80)
    duel.start(profile)
    soon = [world for pair in now(profile).open[: duel.AHEAD] for world in pair]
    assert duel.wanted(profile) == soon
    assert duel.next_pairs(profile, 3, []) == []
    film(profile, soon[:2])
    assert [set(pair) for pair in duel.next_pairs(profile, 3, []) or []] == [set(soon[:2])]
    assert duel.next_pairs(profile, 3, [frozenset(soon[:2])]) == []
    assert set(soon[2:]) <= set(Desk(profile).wanted())


def test_equals_end_in_no_verdict(tmp_path: Path) -> None:
    profile, _ = profile_of(tmp_path, 40)
    duel.start(profile)
    for turn, (left, right) in enumerate(now(profile).open):
        answer(profile, left, right, "left" if turn % 2 else "right")
    assert now(profile).verdict == "none"
    assert now(profile).facts()["open"] == 0
