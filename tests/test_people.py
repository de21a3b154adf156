"""The people of a profile: what they are called, who may label, and whose labels count."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import parcel, shelf, tables
from pipeline.config import Config
from pipeline.people import People, check_name
from pipeline.profile import Profile
from pipeline.rows import Vote


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile.create(tmp_path, "p", Config())


@pytest.fixture
def people(profile: Profile) -> People:
    found = People.of(profile)
    found.join("1", "Ann")
    found.join("2", "Bob")
    return found


def again(profile: Profile) -> Profile:
    """The same profile, as a process that has just started sees it."""
    return Profile.open(profile.root, profile.name)


def vote(profile: Profile, number: int, labeler: str) -> None:
    profile.add_votes([Vote(id=f"v{number}", left="a", right="b", answer="left", labeler=labeler)])


def test_who_joined_may_label_also_after_a_restart(people: People, profile: Profile) -> None:
    assert people.may_label("1")
    assert not people.may_label("3")
    there = People.of(again(profile))
    assert there.may_label("1")
    assert [(each.name, each.owner) for each in there.everybody()] == [("Ann", False), ("Bob", False)]


def test_names_tell_people_apart_and_joining_twice_is_once(people: People) -> None:
    people.join("3", " ann ")
    people.join("4", "Ann")
    people.join("1", "Zoe")
    assert [each.name for each in people.everybody()] == ["Ann", "Bob", "ann (2)", "Ann (3)"]


def test_two_who_join_at_once_get_two_names(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    add, both = people._add, threading.Barrier(2)

    def slowly(*row: str) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.1)  # until the other has looked, too, if nothing hinders it
        add(*row)

    monkeypatch.setattr(people, "_add", slowly)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda id_: people.join(id_, "Eve"), ("3", "4")))
    assert sorted(each.name for each in people.everybody()) == ["Ann", "Bob", "Eve", "Eve (2)"]


def test_many_decisions_are_few_files(profile: Profile, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.Table.compact, "__kwdefaults__", {"grace_s": 0.0, "above": 4})
    for _ in range(12):
        people.renew()
    key = people.invitation
    assert len(people._table.files()) < 8
    assert People.of(again(profile)).invitation == key


def test_an_owner_stays_one_and_cannot_be_excluded(people: People) -> None:
    people.join("1", "Ann", owner=True)
    people.join("1", "Ann")
    assert people.everybody()[0].owner
    with pytest.raises(ValueError, match="owner"):
        people.exclude("1", labels=False)
    with pytest.raises(ValueError, match="no such person"):
        people.exclude("9", labels=False)


def test_labels_of_whoever_was_excluded_are_left_out_by_rows_and_count_again(people: People, profile: Profile) -> None:
    for number, labeler in enumerate(["1", "2", "2", "1"]):
        vote(profile, number, labeler)
    people.exclude("2", labels=True)
    assert again(profile).labels().id.tolist() == ["v0", "v3"]
    assert profile.label_events().event.tolist() == ["vote"] * 4 + ["exclude"]
    (_, bob) = people.everybody()
    assert (bob.excluded, bob.counts, bob.labels) == (True, False, 2)
    people.readmit("2")
    assert People.of(again(profile)).may_label("2")
    assert profile.labels().id.tolist() == ["v0", "v1", "v2", "v3"]
    assert profile.label_events().event.tolist() == ["vote"] * 4 + ["exclude", "include"]


def test_whoever_is_excluded_knows_no_invitation_and_may_leave_their_labels(people: People, profile: Profile) -> None:
    vote(profile, 0, "2")
    before = people.invitation
    people.exclude("2", labels=False)
    assert not people.may_label("2")
    assert people.invitation != before
    assert profile.labels().id.tolist() == ["v0"]
    people.join("2", "Bobby")  # no way back but the owner's
    assert not people.may_label("2")


def test_keys_outlast_a_restart_and_belong_to_one_profile(people: People, profile: Profile, tmp_path: Path) -> None:
    there, other = People.of(again(profile)), People.of(Profile.create(tmp_path, "q", Config()))
    assert there.invitation == people.invitation
    assert there.owner_key == people.owner_key
    assert len({people.invitation, people.owner_key.removeprefix("owner-"), other.invitation, other.owner_key}) == 4
    people.renew()
    assert there.invitation == people.invitation != other.invitation
    assert people.may_label("1")


def test_what_does_not_count_does_not_count_in_a_fork_or_elsewhere(
    people: People, profile: Profile, tmp_path: Path
) -> None:
    for number, labeler in enumerate(["1", "2"]):
        vote(profile, number, labeler)
    people.exclude("2", labels=True)
    parcel.pack(profile, tmp_path / "p.zip")
    for copy in (shelf.fork(tmp_path, "p", "q", []), parcel.unpack(tmp_path, tmp_path / "p.zip", "r")):
        assert copy.labels().id.tolist() == ["v0"]
        assert not People.of(copy).may_label("1")  # an invitation is to one profile
        (bob,) = [each for each in People.of(copy).everybody() if not each.counts]
        People.of(copy).readmit(bob.id)  # whom nobody excluded there
        assert copy.labels().id.tolist() == ["v0", "v1"]
    people.readmit("2")
    assert profile.labels().id.tolist() == ["v0", "v1"]


def test_names_do_not_travel(people: People, profile: Profile, tmp_path: Path) -> None:
    vote(profile, 0, "1")
    parcel.pack(profile, tmp_path / "p.zip")
    assert people.everybody()[0].name == "Ann"
    assert b"people/" not in (tmp_path / "p.zip").read_bytes()


@pytest.mark.parametrize("name", ["Zoë", "  Zoe\u0308  ", "李小龍", "O’Neill-Smith (2)", "π 🦎", "a" * 40])
def test_people_are_called_what_they_like(name: str) -> None:
    assert check_name(check_name(name)) == check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "a" * 41,
        "<img src=x onerror=alert(1)>",
        "a\0b",
        "\u202eevil",
        "x\u200by",
        "\x1b[31mred",
        "a`b",
        '"q"',
        "a;b",
    ],
)
def test_what_means_something_to_machines_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)


def test_people_who_cannot_be_read_today_are_there_tomorrow(
    people: People, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert people.may_label("1")
    fresh = again(profile)

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(fresh.store, "get", broken)
    assert not People.of(fresh).may_label("1")
    monkeypatch.undo()
    assert People.of(fresh).may_label("1")
    assert not (profile.path / "quarantine").exists()
