"""A contest lives in the profile: it survives restarts, takes back what is undone, and asks for what is open."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import contest
from pipeline.config import Config
from pipeline.desk import Desk
from pipeline.profile import Profile
from pipeline.rows import Vote
from pipeline.store import StoreError

WORLDS = [f"{number:032x}" for number in range(6)]


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile.create(tmp_path, "taste", Config())


def answer(profile: Profile, left: str, right: str, given: str = "left") -> str:
    name = f"vote-{len(profile.label_events().id)}"
    profile.add_votes([Vote(id=name, left=left, right=right, answer=given, labeler="ann")])
    return name


def decide(profile: Profile, order: list[str], most: int = 200) -> int:
    """Answer what is asked by an order of the worlds, until nothing is asked; returns how often."""
    for asked in range(most):
        pairs = contest.next_pairs(profile, 1, [])
        if pairs is None:
            return asked
        ((left, right),) = pairs
        answer(profile, left, right, "left" if order.index(left) < order.index(right) else "right")
    raise AssertionError("no end")


def now(profile: Profile) -> contest.State:
    found = contest.state(profile)
    assert found
    return found


def test_nothing_is_asked_without_a_contest(profile: Profile) -> None:
    answer(profile, *WORLDS[:2])
    assert contest.next_pairs(profile, 3, []) is None
    assert contest.state(profile) is None


def test_an_order_is_asked_for_until_it_is_established(profile: Profile) -> None:
    contest.start(profile, "order", WORLDS[:4])
    truth = [WORLDS[row] for row in (2, 0, 3, 1)]
    asked = decide(profile, truth)
    facts = now(profile).facts()
    assert facts["established"]
    assert [each["rollout"] for each in facts["worlds"]] == truth
    assert all(each["settled"] for each in facts["worlds"])
    assert asked == facts["answers"] < 40  # three neighbors, some seven answers each if nobody errs


def test_the_best_is_asked_for_until_it_is_established(profile: Profile) -> None:
    contest.start(profile, "best", WORLDS)
    decide(profile, WORLDS[::-1])
    assert now(profile).facts()["worlds"][0] == {"rollout": WORLDS[5], "odds": 20.0, "settled": True}


def test_only_answers_since_it_began_and_about_its_worlds_count(profile: Profile) -> None:
    answer(profile, *WORLDS[:2])
    contest.start(profile, "order", WORLDS[:3])
    answer(profile, WORLDS[0], WORLDS[5])
    assert now(profile).answers == 0
    answer(profile, WORLDS[2], WORLDS[0])
    answer(profile, WORLDS[0], WORLDS[2], "right")
    answer(profile, WORLDS[2], WORLDS[0], "skip")
    answer(profile, WORLDS[0], WORLDS[2], "tie")
    assert now(profile).answers == 3
    order = now(profile).standing.order.tolist()
    assert order.index(2) < order.index(0)


def test_an_answer_that_is_taken_back_no_longer_counts(profile: Profile) -> None:
    contest.start(profile, "order", WORLDS[:2])
    while not now(profile).standing.established:
        last = answer(profile, *WORLDS[:2])
    profile.undo(last, "ann")
    assert not now(profile).standing.established
    assert contest.next_pairs(profile, 1, []) is not None


def test_a_restart_goes_on_where_it_was_and_another_replaces_it(profile: Profile, tmp_path: Path) -> None:
    began = contest.start(profile, "order", WORLDS[:4])
    answer(profile, WORLDS[1], WORLDS[0])
    again = Profile.open(tmp_path, "taste")
    assert contest.newest(again) == began
    assert now(again).answers == 1
    assert contest.resume(again, "order", WORLDS[1:5]) == began
    other = contest.resume(again, "best", WORLDS[:4])
    assert contest.newest(profile) == other
    assert now(profile).answers == 0
    contest.stop(profile)
    assert contest.newest(again) is None
    contest.stop(profile)


def test_an_established_contest_is_not_gone_on_with(profile: Profile) -> None:
    began = contest.start(profile, "order", WORLDS[:3])
    decide(profile, WORLDS)
    assert contest.resume(profile, "order", WORLDS[:3]) != began


def test_sides_are_random_and_held_pairs_come_last(profile: Profile) -> None:
    contest.start(profile, "order", WORLDS[:4])
    pairs = [contest.next_pairs(profile, 3, []) or [] for _ in range(40)]
    assert 0.3 < np.mean([left < right for three in pairs for left, right in three]) < 0.7
    first = frozenset(pairs[0][0])
    assert all(frozenset(three[0]) == first for three in pairs)
    assert all(frozenset((contest.next_pairs(profile, 1, [first]) or [])[0]) != first for _ in range(5))


def test_the_desk_hands_out_its_pairs_until_it_ends(profile: Profile) -> None:
    for world in WORLDS:
        profile.add_film(world, b"film of " + world.encode(), "seen", 96, 24.0, 256)
    desk = Desk(profile)
    contest.start(profile, "order", WORLDS[:3])
    files = {file: world for world, file in zip(profile.films().rollout, profile.films().file, strict=True)}
    while offered := desk.offer("ann", 1):
        left, right = files[offered[0].left], files[offered[0].right]
        assert {left, right} <= set(WORLDS[:3])
        desk.vote(offered[0].token, "left" if left < right else "right", "ann", 900, 0)
    assert now(profile).standing.established
    assert set(profile.labels().how) == {"contest"}


def test_what_cannot_be_saved_is_not_begun(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    began = contest.start(profile, "order", WORLDS[:4])

    def full(*_: object) -> None:
        raise StoreError("no space")

    monkeypatch.setattr(profile.store, "put", full)
    with pytest.raises(StoreError):
        contest.start(profile, "best", WORLDS)
    with pytest.raises(StoreError):
        contest.stop(profile)
    assert contest.newest(profile) == began


@pytest.mark.parametrize(("goal", "count"), [("order", 6), ("order", 1), ("best", 1)])
def test_a_contest_of_too_few_or_too_many_is_refused(profile: Profile, goal: contest.Goal, count: int) -> None:
    with pytest.raises(ValueError, match="a contest has 2 to"):
        contest.start(profile, goal, WORLDS[:count])
