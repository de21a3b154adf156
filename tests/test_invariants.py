"""The checker of all fault tests, checked: it is content with what is right, and finds each kind of what is not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.invariants import Diary, violations
from pipeline import checkpoint, parts
from pipeline.profile import Profile
from pipeline.rows import Vote
from tests.life import film, lived, unsynced, written


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    with unsynced():
        profile = lived(root, "p")
        profile.undo(str(profile.labels().id[3]), "me")
    return root


@pytest.fixture
def profile(made: Path, tmp_path: Path) -> Profile:
    shutil.copytree(made / "p", tmp_path / "p")
    return Profile.open(tmp_path, "p")


@pytest.fixture
def diary(profile: Profile) -> Diary:
    return written(profile)


def found(profile: Profile, diary: Diary) -> list[str]:
    return violations(profile.root, profile.name, diary)


def test_what_is_right_has_no_violations(profile: Profile, diary: Diary) -> None:
    assert found(profile, diary) == []
    diary.sent.add(("never arrived", "tie"))
    diary.undoing.add(str(profile.labels().id[0]))  # an undo that never arrived
    assert found(profile, diary) == []


def test_a_lost_answer_is_found(profile: Profile, diary: Diary) -> None:
    sorted((profile.path / "labels").iterdir())[0].unlink()
    assert sum("was acknowledged and is lost" in each for each in found(profile, diary)) == 6


def test_a_changed_answer_is_found(profile: Profile, diary: Diary) -> None:
    id_, answer = next(iter(diary.saved.items()))
    diary.saved[id_] = "skip"
    assert found(profile, diary) == [f"the answer {id_} was skip and is {answer}"]


def test_an_answer_that_nobody_gave_is_found(profile: Profile, diary: Diary) -> None:
    world = str(profile.rollouts().id[0])
    profile.add_votes([Vote(id="ghost", left=world, right=world, answer="tie", labeler="me")])
    assert found(profile, diary) == ["the answer ghost, tie, was never given"]


def test_an_answer_that_counts_twice_is_found(profile: Profile, diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    part = sorted((profile.path / "labels").iterdir())[0]
    columns = parts.kinds(type(profile.labels()))
    again = parts.decode(part.name, part.read_bytes(), columns).columns
    name, data = parts.encode(columns, again | {"sequence": np.arange(len(again["id"])) + 100})
    (part.parent / name).write_bytes(data)
    assert found(profile, diary) == []  # readers take the first of each id
    monkeypatch.setattr(parts, "first_of_each", lambda ids: list(range(len(ids))))
    said = found(profile, diary)
    assert sum("is there 2 times" in each for each in said) == 6
    assert any("counts 2 times" in each for each in said)


def test_undos_that_are_not_respected_are_found(profile: Profile, diary: Diary) -> None:
    first, second, third = profile.labels().id[:3].tolist()
    diary.undoing.add(first)
    diary.undone.add(first)
    assert found(profile, diary) == [f"the answer {first} was taken back and counts"]
    diary.undone.discard(first)
    profile.undo(second, "me")
    said = found(profile, diary)
    assert f"the answer {second} was taken back by nobody" in said
    assert f"the answer {second} does not count" in said
    assert not any(third in each for each in said)


def test_an_answer_of_somebody_who_should_count_is_missed(profile: Profile, diary: Diary) -> None:
    profile.exclude("me")
    assert sum("does not count" in each for each in found(profile, diary)) == 11


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"\0\0\0\x18ftyp other")])
def test_a_film_that_is_lost_or_damaged_is_found(profile: Profile, diary: Diary, spoil: Callable[[Path], None]) -> None:
    assert film(profile, 1)
    spoil(sorted((profile.path / "films" / "_mp4").iterdir())[0])
    (said,) = found(profile, diary)
    assert said.startswith("the doctor says: films/_mp4/")


def test_whoever_opens_it_next_must_see_the_same(
    profile: Profile, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests, openers = checkpoint.manifests, list[Profile]()

    def fickle(profile: Profile, role: checkpoint.Role) -> list[checkpoint.Manifest]:
        if type(profile) is Profile and profile not in openers:  # the doctor's is of another kind
            openers.append(profile)
        return manifests(profile, role)[: 1 if openers[1:] == [profile] else None]

    monkeypatch.setattr(checkpoint, "manifests", fickle)
    assert found(profile, diary) == [f"opened twice, its versions of the {role} differ" for role in checkpoint.ROLES]
