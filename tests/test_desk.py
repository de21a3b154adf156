import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline import desk as desks
from pipeline import signing
from pipeline.config import Config
from pipeline.desk import Assignment, Desk, DeskError
from pipeline.pace import TooFastError
from pipeline.profile import Profile
from pipeline.rows import EmbeddingTable, RolloutTable
from pipeline.store import StoreError


def worlds(profile: Profile, count: int, status: str = "alive", block: int = 0) -> list[str]:
    """Add worlds with embeddings; returns their ids."""
    rng = np.random.default_rng(block)
    unit = rng.random((count, 3), np.float32)
    seeds = np.arange(count, dtype=np.int64)
    ids = [profile.rollout_id(row, int(seed)) for row, seed in zip(unit, seeds, strict=True)]
    texts = {"status": status, "origin": "prior", "error": ""}
    profile.add_rollouts(
        RolloutTable(
            id=np.array(ids),
            block=np.full(count, block, np.int64),
            unit=unit,
            seed=seeds,
            generator=np.full(count, -1, np.int64),
            time=np.zeros(count),
            **{name: np.full(count, text) for name, text in texts.items()},
        )
    )
    if status == "alive":
        sources = np.array([f"clip{number}" for number in range(count)])
        profile.add_embeddings("common", 1, EmbeddingTable(np.array(ids), sources, rng.random((count, 4), np.float32)))
    return ids


def film(profile: Profile, *ids: str) -> None:
    for id_ in ids:
        profile.add_film(id_, b"film of " + id_.encode(), f"seen-{id_[:6]}", 96, 24.0, 256)


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile.create(tmp_path, "first", Config())


@pytest.fixture
def desk(profile: Profile) -> Desk:
    """A desk on which all pairs of eight worlds are ready."""
    film(profile, *worlds(profile, 8))
    made = Desk(profile)
    made.wanted()
    return made


def answer(desk: Desk, given: Assignment, choice: str = "left", who: str = "ann") -> desks.Receipt:
    return desk.vote(given.token, choice, who, 900, 1)


def handed_out(desk: Desk, people: int) -> list[frozenset[str]]:
    """The pairs that so many people get, up to four each."""
    held: list[frozenset[str]] = []
    for number in range(people):
        desk.wanted()
        held += [frozenset((each.left, each.right)) for each in desk.offer(f"person{number}", 4)]
    return held


# -- what is offered --------------------------------------------------------------------------------------------------


def test_the_first_pair_is_offered_as_soon_as_two_living_worlds_are_filmed(profile: Profile) -> None:
    worlds(profile, 5, "dead", block=1)
    ids = worlds(profile, 8)
    desk = Desk(profile)
    assert set(desk.wanted()) <= set(ids)
    assert len(desk.wanted()) >= 2
    film(profile, ids[0])
    desk.wanted()
    assert desk.offer("ann", 1) == []
    film(profile, ids[5])
    desk.wanted()
    (given,) = desk.offer("ann", 4)
    files = dict(zip(profile.films().rollout, profile.films().file, strict=True))
    assert {given.left, given.right} == {files[ids[0]], files[ids[5]]}


def test_films_are_wanted_for_the_next_pairs_and_no_more(profile: Profile) -> None:
    ids = worlds(profile, 40)
    desk = Desk(profile)
    wanted = desk.wanted()
    assert len(set(wanted)) == len(wanted) <= 14
    film(profile, *wanted)
    desk.wake()
    assert desk.ready == len(wanted) // 2
    assert desk.wanted() == []
    assert set(wanted) < set(ids)


def test_no_pair_is_with_two_people_at_once(desk: Desk) -> None:
    held = handed_out(desk, people=7)
    assert len(held) >= 20
    assert len(set(held)) == len(held)


def test_what_a_page_holds_stays_its_own_and_what_nobody_holds_goes_to_others(desk: Desk) -> None:
    kept, left = desk.offer("ann", 2)
    desk._leases[left.token].until = 0.0
    desk.offer("ann", 0, [kept.token])
    assert kept.token in desk._leases
    others = handed_out(desk, people=8)
    assert frozenset((left.left, left.right)) in others
    assert frozenset((kept.left, kept.right)) not in others


def test_a_world_of_which_no_film_can_be_made_is_not_asked_for_again(profile: Profile) -> None:
    worlds(profile, 12)
    desk = Desk(profile)
    hopeless = desk.wanted()[:3]
    desk.drop(hopeless)
    for _ in range(5):
        assert not set(desk.wanted()) & set(hopeless)


def test_a_pair_that_was_answered_is_not_chosen_again(profile: Profile) -> None:
    film(profile, *worlds(profile, 4))
    desk = Desk(profile)
    seen = []
    for _ in range(12):
        desk.wanted()
        for given in desk.offer("ann", 1):
            seen.append(frozenset((given.left, given.right)))
            answer(desk, given)
    assert len(seen) == len(set(seen)) == 6


def test_who_answers_does_not_wait_for_who_is_offered_a_pair(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (held,) = desk.offer("ann", 1)
    choosing, may_go_on = threading.Event(), threading.Event()

    def take(*_: object) -> list[object]:
        choosing.set()
        assert may_go_on.wait(30)
        return []

    monkeypatch.setattr(desk._agenda, "take", take)
    slow = threading.Thread(target=desk.offer, args=("bob", 1))
    slow.start()
    assert choosing.wait(30)
    quick = threading.Thread(target=answer, args=(desk, held))
    quick.start()
    quick.join(30)
    assert not quick.is_alive()
    may_go_on.set()
    slow.join(30)
    assert desk.votes == 1


def test_pages_that_were_closed_do_not_keep_their_pairs(desk: Desk) -> None:
    for _ in range(30):
        desk.wanted()
        assert desk.offer("ann", 4)
    assert len(desk._leases) <= desks.HELD


def test_nobody_may_ask_all_the_time(desk: Desk) -> None:
    with pytest.raises(TooFastError):
        [desk.offer("ann", 1) for _ in range(200)]
    desk.wanted()
    assert desk.offer("bob", 1)


# -- answers ----------------------------------------------------------------------------------------------------------


def test_a_vote_says_what_was_seen_by_whom_and_why(desk: Desk, profile: Profile) -> None:
    (given,) = desk.offer("ann", 1)
    receipt = answer(desk, given, "tie")
    assert (receipt.saved, receipt.duplicate, receipt.votes) == (True, False, 1)
    labels = Profile.open(profile.root, "first").labels()
    files = dict(zip(profile.films().rollout, profile.films().file, strict=True))
    assert (files[labels.left[0]], files[labels.right[0]]) == (given.left, given.right)
    assert labels.left_source[0] == f"seen-{labels.left[0][:6]}"
    assert labels.right_source[0] == f"seen-{labels.right[0][:6]}"
    assert (labels.id[0], labels.answer[0], labels.labeler[0]) == (receipt.id, "tie", "ann")
    assert (labels.response_ms[0], labels.replays[0], labels.how[0]) == (900, 1, "random")
    assert 0 < labels.probability[0] <= 1


def test_the_same_token_counts_once_and_its_first_answer_stands(desk: Desk, profile: Profile) -> None:
    (given,) = desk.offer("ann", 1)
    first = answer(desk, given, "left")
    again = answer(desk, given, "right")
    assert (again.saved, again.duplicate, again.id, again.votes) == (True, True, first.id, 1)
    assert profile.labels().answer.tolist() == ["left"]


def test_a_vote_survives_a_restart_without_any_lease(desk: Desk, profile: Profile) -> None:
    (given,) = desk.offer("ann", 1)
    restarted = Desk(Profile.open(profile.root, "first"))
    assert answer(restarted, given).votes == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: "A" + token[1:],
        lambda token: token.partition(".")[0] + ".",
        lambda token: token + "=",
        lambda token: token[:0],
        lambda token: token + "né.à",
        lambda token: signing.sign(b"another key", "pair", token),
    ],
)
def test_a_token_that_was_not_made_here_is_refused(desk: Desk, spoil: Callable[[str], str], profile: Profile) -> None:
    (given,) = desk.offer("ann", 1)
    with pytest.raises(DeskError, match="not of this profile"):
        desk.vote(spoil(given.token), "left", "ann", 900, 0)
    assert len(profile.label_events().id) == 0


def test_a_pair_of_another_person_or_profile_is_refused(desk: Desk, tmp_path: Path) -> None:
    (given,) = desk.offer("ann", 1)
    with pytest.raises(DeskError, match="somebody else"):
        answer(desk, given, who="bob")
    other = Desk(Profile.create(tmp_path, "second", Config()))
    with pytest.raises(DeskError, match="not of this profile"):
        answer(other, given)


def test_an_answer_that_does_not_exist_is_refused(desk: Desk) -> None:
    (given,) = desk.offer("ann", 1)
    with pytest.raises(DeskError, match="left, right, tie, neither, skip"):
        answer(desk, given, "best")


def test_nobody_answers_faster_than_eyes_can_look(desk: Desk) -> None:
    (given,) = desk.offer("ann", 1)
    with pytest.raises(TooFastError):
        [answer(desk, given) for _ in range(200)]


# -- undo -------------------------------------------------------------------------------------------------------------


def test_undo_takes_back_the_latest_vote_of_this_person_and_hands_out_its_pair_again(
    desk: Desk, profile: Profile
) -> None:
    first, second = desk.offer("ann", 2)
    (other,) = desk.offer("bob", 1)
    answer(desk, first)
    answer(desk, second)
    answer(desk, other, who="bob")
    receipt = desk.undo("ann")
    assert receipt.votes == 2
    assert receipt.again is not None
    assert (receipt.again.left, receipt.again.right) == (second.left, second.right)
    assert receipt.id not in profile.labels().id
    assert answer(desk, receipt.again, "right").duplicate is False
    assert profile.labels().answer.tolist() == ["left", "left", "right"]
    assert profile.label_events().event.tolist().count("undo") == 1


def test_two_undos_at_once_take_back_two_answers(desk: Desk) -> None:
    given = desk.offer("ann", 2)
    for each in given:
        answer(desk, each)
    with ThreadPoolExecutor(2) as threads:
        with desk._offering:  # both come while a pair is chosen for somebody
            undone = [threads.submit(desk.undo, "ann") for _ in given]
            time.sleep(0.2)
        receipts = [each.result() for each in undone]
    assert len({receipt.id for receipt in receipts}) == 2
    assert desk.votes == 0


def test_undo_without_a_vote_changes_nothing(desk: Desk, profile: Profile) -> None:
    receipt = desk.undo("ann")
    assert (receipt.saved, receipt.again) == (False, None)
    assert len(profile.label_events().id) == 0


# -- disks and crowds -------------------------------------------------------------------------------------------------


def test_on_a_full_disk_nothing_is_acknowledged_and_the_same_vote_is_welcome_later(
    desk: Desk, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    (given,) = desk.offer("ann", 1)

    def full(*_: object, **__: object) -> None:
        raise StoreError("not saved") from OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(profile.store, "put", full)
        with pytest.raises(StoreError):
            answer(desk, given)
    assert len(profile.label_events().id) == 0
    assert answer(desk, given).duplicate is False


def test_a_crowd_loses_and_doubles_nothing_and_shares_disk_writes(profile: Profile) -> None:
    film(profile, *worlds(profile, 40))
    desk = Desk(profile)
    given = []
    for number in range(12):
        desk.wanted()
        given += [(f"person{number}", each) for each in desk.offer(f"person{number}", 7)]
    meet = threading.Barrier(len(given) * 2)

    def vote(pair: tuple[str, Assignment]) -> desks.Receipt:
        meet.wait()
        return answer(desk, pair[1], who=pair[0])

    with ThreadPoolExecutor(len(given) * 2) as crowd:
        receipts = list(crowd.map(vote, given * 2))  # everyone clicks twice
    assert sum(not receipt.duplicate for receipt in receipts) == len(given)
    assert sorted(profile.labels().id) == sorted({receipt.id for receipt in receipts})
    assert len(list((profile.path / "labels").glob("*.parquet"))) < len(given) / 2
