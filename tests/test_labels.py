"""The labels of a profile: nothing acknowledged is lost, nothing counts twice."""

import os
import threading
from pathlib import Path

import pytest

from models import ANSWERS as TRAINED_ANSWERS
from pipeline.config import Config
from pipeline.profile import Profile, ProfileError
from pipeline.rows import ANSWERS, Vote
from pipeline.store import StoreError


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile.create(tmp_path, "p", Config())


def again(profile: Profile) -> Profile:
    """The same profile, as a process that has just started sees it."""
    return Profile.open(profile.root, profile.name)


def vote(id_: str, answer: str = "left", **fields: object) -> Vote:
    return Vote(id=id_, left="a", right="b", answer=answer, labeler="me", **fields)  # type: ignore[arg-type]


def test_a_vote_comes_back_with_all_it_said(profile: Profile) -> None:
    said = Vote(
        id="x", left="a", right="b", answer="tie", labeler="zoë", question="more alive?", left_source="s", time=2.5,
        right_source="t", response_ms=812, replays=2, how="uncertain", probability=0.25, rewardor=3, generator=4,
    )  # fmt: skip
    assert profile.add_votes([said]) == [False]
    table = again(profile).labels()
    assert {name: getattr(table, name).tolist() for name in vars(said)} == {k: [v] for k, v in vars(said).items()}
    assert (table.event.tolist(), table.sequence.tolist()) == (["vote"], [0])


def test_the_answers_are_those_that_models_learn_from() -> None:
    assert ANSWERS == TRAINED_ANSWERS


@pytest.mark.parametrize(
    "fields", [{"answer": "maybe"}, {"labeler": "\ud800"}, {"response_ms": 2**63}, {"replays": -(2**70)}]
)
def test_votes_that_could_not_be_stored_are_refused_before_they_spoil_others(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"maybe|surrogates|out of range"):
        Vote(**{"id": "1", "left": "a", "right": "b", "answer": "left", "labeler": "me"} | fields)


def test_the_same_vote_again_is_a_duplicate_and_the_first_answer_stays(profile: Profile) -> None:
    assert profile.add_votes([vote("1", "left"), vote("2"), vote("1", "right")]) == [False, False, True]
    assert again(profile).add_votes([vote("2", "tie"), vote("3")]) == [True, False]
    assert profile.add_votes([]) == []
    assert profile.labels().id.tolist() == ["1", "2", "3"]
    assert profile.labels().answer.tolist() == ["left", "left", "left"]


def test_votes_that_come_together_are_one_part(profile: Profile) -> None:
    profile.add_votes([vote(str(number)) for number in range(50)])
    assert len(profile.store.list("labels/")) == 1


def test_undo_is_a_row_and_twice_is_once(profile: Profile) -> None:
    profile.add_votes([vote("1"), vote("2")])
    profile.undo("1", "me")
    again(profile).undo("1", "somebody else")
    assert profile.labels().id.tolist() == ["2"]
    assert profile.label_events().event.tolist() == ["vote", "vote", "undo"]
    assert profile.label_events().target.tolist() == ["", "", "1"]
    assert profile.add_votes([vote("1")]) == [True]
    assert profile.labels().id.tolist() == ["2"]
    with pytest.raises(ProfileError, match="no vote '7'"):
        profile.undo("7", "me")
    with pytest.raises(ProfileError, match="no vote 'undo-1'"):
        profile.undo("undo-1", "me")


def test_two_processes_with_the_same_ids_double_nothing(profile: Profile) -> None:
    fresh: list[list[bool]] = [[], []]

    def label(own: Profile, into: list[bool]) -> None:
        for number in range(40):
            into.extend(own.add_votes([vote(str(number), "left" if into is fresh[0] else "right")]))

    threads = [threading.Thread(target=label, args=(again(profile), into)) for into in fresh]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = again(profile).labels(), again(profile).labels()
    assert sorted(first.id.tolist(), key=int) == [str(number) for number in range(40)]
    assert first.answer.tolist() == second.answer.tolist()
    assert all(not (a and b) for a, b in zip(*fresh, strict=True))


def test_a_full_disk_acknowledges_nothing_and_recovers(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    profile.add_votes([vote("1")])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for attempt in (lambda: profile.add_votes([vote("2")]), lambda: profile.undo("1", "me")):
        with pytest.raises(StoreError, match="was not saved: No space left on device"):
            attempt()
    profile.event("error", "not worth another one")
    assert profile.labels().id.tolist() == again(profile).labels().id.tolist() == ["1"]
    monkeypatch.undo()
    assert profile.add_votes([vote("2")]) == [False]
    assert again(profile).labels().id.tolist() == ["1", "2"]


def test_snapshots_are_the_same_object_until_something_is_added(profile: Profile) -> None:
    profile.add_votes([vote("1")])
    before = profile.labels()
    profile.event("error", "something else")
    assert profile.labels() is before
    again(profile).add_votes([vote("2")])
    assert profile.labels() is not before
