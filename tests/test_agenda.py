"""Pairs are chosen when somebody is ready to look, by all that is known then, among worlds whose films are there."""

import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline import agenda, checkpoint, loop, select, train
from pipeline import desk as desks
from pipeline.config import Config
from pipeline.desk import Assignment, Desk
from pipeline.profile import Profile
from pipeline.rows import EmbeddingTable, RolloutTable, Vote

WORLDS, FILMED, FEATURES = 120, 60, 202


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a profile: living worlds, half of them filmed, enough answers, and a Rewardor that knows these."""
    made = Profile.create(tmp_path_factory.mktemp("made"), "first", Config())
    rng = np.random.default_rng(0)
    unit, seeds = rng.random((WORLDS, 3), np.float32), np.arange(WORLDS)
    ids = np.array([made.rollout_id(row, int(seed)) for row, seed in zip(unit, seeds, strict=True)])
    texts = {"status": "alive", "origin": "prior", "error": ""}
    made.add_rollouts(
        RolloutTable(
            id=ids,
            block=np.zeros(WORLDS, np.int64),
            unit=unit,
            seed=seeds,
            generator=np.full(WORLDS, -1),
            time=np.zeros(WORLDS),
            **{name: np.full(WORLDS, text) for name, text in texts.items()},
        )
    )
    version = loop.new_rewardor(made).version
    values = rng.normal(size=(WORLDS, FEATURES)).astype(np.float32)
    made.add_embeddings("common", version, EmbeddingTable(ids, np.array([f"clip{n}" for n in seeds]), values))
    for id_ in ids[:FILMED].tolist():
        made.add_film(id_, b"film of " + id_.encode(), f"clip{ids.tolist().index(id_)}", 96, 24.0, 256)
    answers = ["left" if values[n, 0] > values[n + 30, 0] else "right" for n in range(select.WARM_UP + 5)]
    told = [(f"v{n}", ids[n], ids[n + 30], answer) for n, answer in enumerate(answers)]
    made.add_votes([Vote(id=id_, left=a, right=b, answer=said, labeler="me") for id_, a, b, said in told])
    loop.fit(made)
    return made.root


@pytest.fixture
def profile(made_once: Path, tmp_path: Path) -> Profile:
    shutil.copytree(made_once, tmp_path / "profiles")
    return Profile.open(tmp_path / "profiles", "first")


@pytest.fixture
def desk(profile: Profile) -> Desk:
    made = Desk(profile)
    made.wanted()
    return made


def answer(desk: Desk, given: Assignment, choice: str = "left", who: str = "ann") -> None:
    desk.vote(given.token, choice, who, 900, 0)


def known(profile: Profile) -> list[int]:
    """For each label, how many others the Rewardor knew that chose its pair."""
    made = {each.number: each.snapshot["labels"] for each in checkpoint.manifests(profile, "rewardor")}
    return [made.get(version, 0) for version in profile.labels().rewardor.tolist()]


def test_an_answer_acts_on_the_next_pair_after_less_than_two_seconds_of_work(desk: Desk, profile: Profile) -> None:
    """A training job looks every fifth of a second; the rest is fitting and choosing."""
    (current,) = desk.offer("ann", 1)
    for _ in range(3):
        answer(desk, current)
        start = time.process_time()
        loop.fit(profile)
        (current,) = desk.offer("ann", 1)
        assert time.process_time() - start < 2 - train.POLL
        answer(desk, current)
        assert known(profile)[-1] == len(profile.labels().id) - 1
        (current,) = desk.offer("ann", 1)


def test_who_has_a_pair_to_look_at_gets_the_next_one_when_the_last_answer_is_learned(
    desk: Desk, profile: Profile
) -> None:
    given = desk.offer("ann", 3)
    have = [each.token for each in given[1:]]
    answer(desk, given[0])
    assert desk.offer("ann", 1, have) == []
    assert len(desk.offer("bob", 1, ["x", "y"])) == 1, "who did not answer need not wait"
    loop.fit(profile)
    (fresh,) = desk.offer("ann", 1, have)
    answer(desk, fresh)
    assert known(profile)[-1] == len(profile.labels().id) - 1
    assert len(desk.offer("ann", 1, have[:1])) == 1, "nobody sits before an empty page"


def test_training_that_stands_still_holds_nobody_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    given = desk.offer("ann", 3)
    answer(desk, given[0])
    monkeypatch.setattr(desks, "PATIENCE_S", 0.0)
    assert len(desk.offer("ann", 1, [each.token for each in given[1:]])) == 1


def test_four_people_at_once_see_different_worlds_and_nothing_stays_reserved(desk: Desk, profile: Profile) -> None:
    """Each holds what a page holds: a pair on the screen and two that wait."""
    films = dict(zip(profile.films().file.tolist(), profile.films().rollout.tolist(), strict=True))
    hands: dict[str, list[Assignment]] = {who: [] for who in ("ann", "bob", "cy", "di")}
    looking = threading.Lock()
    clashes: list[tuple[str, str]] = []

    def check() -> None:
        held = [(who, {films[each.left], films[each.right]}) for who, pairs in hands.items() for each in pairs]
        clashes.extend((a, b) for n, (a, one) in enumerate(held) for b, two in held[:n] if a != b and one & two)

    def label(who: str) -> None:
        for _ in range(8):
            with looking:
                hands[who] += desk.offer(who, 3 - len(hands[who]), [each.token for each in hands[who]])
                check()
                mine = hands[who].pop(0)
            answer(desk, mine, who=who)

    people = [threading.Thread(target=label, args=[who]) for who in hands]
    for person in people:
        person.start()
    for person in people:
        person.join()
    labels = profile.labels()
    keys = {frozenset(pair) for pair in zip(labels.left.tolist(), labels.right.tolist(), strict=True)}
    assert clashes == []
    assert len(keys) == len(labels.id) == select.WARM_UP + 5 + 4 * 8
    for lease in desk._leases.values():
        lease.until = 0.0
    desk.offer("eve", 1)
    assert len(desk._leases) == 1


def test_films_are_made_of_worlds_that_would_be_chosen_and_not_more_than_labels_pay_for(
    desk: Desk, profile: Profile
) -> None:
    def drawn() -> int:
        return len({world for pair in desk._agenda._drawn for world in pair.key})

    start = len(profile.films().file)
    for _ in range(6):
        for world in desk.wanted():
            profile.add_film(world, b"film of " + world.encode(), "clip", 96, 24.0, 256)
        answer(desk, desk.offer("ann", 1)[0])
        loop.fit(profile)
    made = len(profile.films().file) - start
    assert 6 <= made <= agenda.PER_LABEL * (agenda.PLANNED + 6) + drawn() + 12


def test_random_pairs_are_an_even_sample_of_all_worlds_filmed_or_not(
    desk: Desk, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are drawn ahead, before anybody knows whether there are films, and shown in that order."""
    monkeypatch.setitem(select.SHARES, "random", 1.0)
    drawn = [pair.key for pair in desk._agenda._drawn]
    assert len(drawn) == agenda.DRAWN_LATER
    for world in desk.wanted():
        profile.add_film(world, b"film of " + world.encode(), "clip", 96, 24.0, 256)
    for _ in range(30):
        answer(desk, desk.offer("ann", 1)[0])
    labels = profile.labels()
    random = np.flatnonzero(labels.how == "random")
    assert [frozenset((labels.left[row], labels.right[row])) for row in random] == drawn
    assert (labels.probability[random] > 0).all()


def test_one_choice_serves_all_who_will_soon_ask_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [f"person{number}" for number in range(8)]
    for who in people:
        desk.offer(who, 1)
    looks = []
    monkeypatch.setattr(select, "choose", lambda *a, choose=select.choose, **k: looks.append(a) or choose(*a, **k))
    desk.offer(people[0], 1)
    for who in people[1:]:
        desk.offer(who, 1)
    worlds = [world for lease in desk._leases.values() for world in lease.ticket.pair.key]
    assert len(desk._leases) == 16
    assert len(set(worlds)) == len(worlds)
    assert len(looks) <= 2, "what the first calls left over, and one for everybody"


def test_where_films_are_few_for_a_crowd_choosing_rests(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty people and sixty worlds: what is left over is still different worlds, and chosen at once for many."""
    monkeypatch.setattr(agenda, "REST", 1e6)
    for number in range(20):
        desk.offer(f"person{number}", 1)
    looks = []
    monkeypatch.setattr(select, "choose", lambda *a, choose=select.choose, **k: looks.append(a) or choose(*a, **k))
    for number in range(20):
        desk.offer(f"person{number}", 1)
    worlds = Counter(world for lease in desk._leases.values() for world in lease.ticket.pair.key)
    assert len(desk._leases) >= 30
    assert len(looks) <= 12
    assert max(worlds.values()) <= 2


def test_a_new_rewardor_chooses_anew_and_random_pairs_are_not_lost(
    desk: Desk, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(select.SHARES, "random", 9.0)
    ahead = desk._agenda
    for world in desk.wanted():
        profile.add_film(world, b"film of " + world.encode(), "clip", 96, 24.0, 256)
    drawn = {pair.key for pair in ahead._drawn}
    (first,) = ahead.take(1, [], others=20)
    assert drawn & {pair.key for pair in (first, *ahead._reserve)}
    profile.add_votes([Vote(id="news", left=first.left, right=first.right, answer="left", labeler="me")])
    loop.fit(profile)
    (pair,) = ahead.take(1, [first.key])
    assert pair.rewardor == first.rewardor + 1
    assert ahead._reserve == []
    assert drawn - {first.key, pair.key} <= {each.key for each in ahead._drawn}


def test_random_pairs_that_were_given_up_and_answered_all_the_same_do_not_bar_others(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that slept: its pairs went back, and are answered when it wakes."""
    monkeypatch.setattr(agenda, "REST", 0.0)
    desk = Desk(profile)
    for world in desk.wanted():
        profile.add_film(world, b"film of " + world.encode(), "clip", 96, 24.0, 256)
    monkeypatch.setitem(select.SHARES, "random", 1e9)
    for _ in range(4):
        (asleep,) = desk.offer("ann", 1)
        monkeypatch.setattr(desks, "LEASE_S", 0.0)
        desk._renew("ann", [asleep.token])
        monkeypatch.setattr(desks, "LEASE_S", 120.0)
        desk.wanted()
        desk.offer("bob", 1)
        answer(desk, asleep)
        for world in desk.wanted():
            profile.add_film(world, b"film of " + world.encode(), "clip", 96, 24.0, 256)
    said = profile.labels()
    answered = [frozenset(pair) for pair in zip(said.left.tolist(), said.right.tolist(), strict=True)]
    assert not {pair.key for pair in desk._agenda._drawn} & set(answered)
    (pair,) = desk._agenda.take(1, [])
    assert pair.how == "random"


def test_worlds_that_were_seen_in_vain_are_left_to_chance(desk: Desk, profile: Profile) -> None:
    """Two answers *neither* are enough."""
    filmed = profile.films().rollout[:FILMED].tolist()
    vain, partners = filmed[:4], filmed[30:38]
    pairs = [(vain[n % 4], partner) for n, partner in enumerate(partners)]
    said = [Vote(id=f"n{n}", left=a, right=b, answer="neither", labeler="me") for n, (a, b) in enumerate(pairs)]
    profile.add_votes(said)
    for number in range(25):
        desk.offer(f"person{number}", 1)
    chosen = [lease.ticket.pair for lease in desk._leases.values() if lease.ticket.pair.how != "random"]
    assert len(chosen) >= 10
    assert not set(vain) & {world for pair in chosen for world in pair.key}


def test_worlds_whose_file_was_put_aside_are_forgotten(desk: Desk, profile: Profile) -> None:
    desk.wanted()
    drawn = {world for pair in desk._agenda._drawn for world in pair.key}
    assert drawn
    (part,) = profile.store.list("rollouts/")
    profile.quarantine(part, "damaged")
    assert not len(profile.rollouts().id)
    desk._agenda._rest_until = 0.0
    assert not drawn & set(desk.wanted())
