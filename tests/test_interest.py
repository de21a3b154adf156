"""How interesting the Generator's worlds are is read from labels, and 90 % is claimed only of more than 90 %."""

from pathlib import Path

import numpy as np

from pipeline.config import Config
from pipeline.interest import BAR, FRESH, interest, measured
from pipeline.profile import Profile
from pipeline.rows import RolloutTable, Vote


def profile_of(path: Path, prior: int, proposed: int) -> tuple[Profile, list[str], list[str]]:
    """A profile with living worlds of the prior and of a Generator."""
    profile = Profile.create(path, "taste", Config())
    count = prior + proposed
    unit = np.random.default_rng(0).random((count, 3), np.float32)
    ids = [profile.rollout_id(row, number) for number, row in enumerate(unit)]
    profile.add_rollouts(
        RolloutTable(
            id=np.array(ids),
            block=np.zeros(count, np.int64),
            unit=unit,
            seed=np.arange(count),
            status=np.full(count, "alive"),
            origin=np.array(["prior"] * prior + ["generator"] * proposed),
            generator=np.full(count, 0),
            time=np.zeros(count),
            error=np.full(count, ""),
        )
    )
    return profile, ids[:prior], ids[prior:]


def answer(profile: Profile, left: str, right: str, given: str) -> None:
    count = len(profile.label_events().id)
    profile.add_votes([Vote(id=f"vote-{count}", left=left, right=right, answer=given, labeler="a")])


def test_only_worlds_of_the_generator_that_somebody_judged_count(tmp_path: Path) -> None:
    profile, prior, proposed = profile_of(tmp_path, 4, 6)
    assert interest(profile).among == 0
    answer(profile, prior[0], prior[1], "neither")
    answer(profile, prior[2], proposed[0], "left")
    answer(profile, proposed[1], proposed[2], "tie")
    answer(profile, proposed[3], proposed[4], "skip")
    assert (interest(profile).interesting, interest(profile).among) == (3, 3)
    answer(profile, proposed[2], proposed[5], "neither")
    found = interest(profile)
    assert (found.interesting, found.among) == (2, 4)
    assert found.low < 0.5 < found.high
    profile.undo("vote-4", "a")
    assert (interest(profile).interesting, interest(profile).among) == (3, 3)


def test_only_the_last_fifty_count(tmp_path: Path) -> None:
    profile, prior, proposed = profile_of(tmp_path, 1, FRESH + 4)
    for number in range(0, 4, 2):
        answer(profile, proposed[number], proposed[number + 1], "neither")
    for world in proposed[4 : FRESH + 2]:
        answer(profile, prior[0], world, "right")
    assert (interest(profile).interesting, interest(profile).among) == (FRESH - 2, FRESH)
    assert not interest(profile).enough
    for world in proposed[FRESH + 2 :]:
        answer(profile, world, prior[0], "left")
    assert interest(profile).enough


def test_enough_is_claimed_only_above_the_bar() -> None:
    assert measured(FRESH, FRESH).low > BAR
    assert [measured(good, FRESH).enough for good in (FRESH, FRESH - 1)] == [True, False]
    assert not measured(12, 12).enough
    good = np.random.default_rng(0).random((400, 1000)) < 0.85
    run = np.cumsum(good, 1)
    window = run[:, FRESH:] - run[:, :-FRESH]  # looked at after each of a thousand worlds
    claimed = np.array([measured(count, FRESH).enough for count in range(FRESH + 1)])[window]
    assert claimed.any(1).mean() < 0.07
