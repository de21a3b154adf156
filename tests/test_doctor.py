"""What the doctor finds, and that looking changes nothing."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline import doctor, shelf
from pipeline.config import Config
from pipeline.people import People
from pipeline.profile import Profile
from pipeline.rows import PROGRAM, Vote
from tests.life import bytes_of, lived, unsynced

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    with unsynced():
        profile = lived(root, "a")
    films = profile.films()
    profile.save(str(films.rollout[0]), str(films.file[0]), {"params": {}, "seed": 1})
    People.of(profile).join("me", "Ann")
    assert profile.key
    profile.event("error", "a line")
    return root


@pytest.fixture
def profile(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """One that has lived, with one of everything."""
    shutil.copytree(made / "a", tmp_path / "profiles" / "a")
    monkeypatch.setenv("ALIFE_ROOT", str(tmp_path / "profiles"))
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Profile.open(tmp_path / "profiles", "a")


def examine(profile: Profile) -> doctor.Report:
    return doctor.examine(profile.root, profile.name)


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def files_of(profile: Profile, pattern: str) -> list[Path]:
    return sorted(profile.path.glob(pattern))


def test_a_whole_profile_is_called_whole(alife: Call, profile: Profile) -> None:
    before = bytes_of(profile.root)
    status, out, _ = alife("doctor", "a")
    assert status == 0
    assert "a is whole: 12 labels, 3 films, 1 events, " in out
    assert len(out.splitlines()) == 1
    assert bytes_of(profile.root) == before


@pytest.mark.parametrize(
    ("pattern", "means"),
    [
        ("labels/*.parquet", "answers are missing, unless a copy of this profile has that file"),
        ("rollouts/*.parquet", "worlds are missing"),
        ("films/*.parquet", "entries of the list of films are missing"),
        ("events/*.parquet", "1 lines of what happened are missing"),
        ("embeddings/*/*.parquet", "which alife run makes anew"),
        ("people/*.parquet", "1 entries about who may label are missing"),
        ("films/_mp4/*.mp4", "its world cannot be watched any more; no answer is lost"),
        ("rewardor/*.safetensors", "no answer is lost, and alife run trains it anew"),
        ("generator/*.json", "no answer is lost, and alife run trains it anew"),
        ("saved/*.mp4", "it can be saved again"),
    ],
)
def test_a_damaged_file_is_named_and_only_a_repair_moves_it(
    alife: Call, profile: Profile, pattern: str, means: str
) -> None:
    path = files_of(profile, pattern)[-1]
    spoil(path)
    key = path.relative_to(profile.path).as_posix()
    named = key.replace(".mp4", ".json") if key.startswith("saved/") else key
    before = bytes_of(profile.root)

    status, out, _ = alife("doctor", "a")
    (line,) = [line for line in out.splitlines() if line.startswith(f"{named}: ")]
    assert status == 1
    assert means in line
    assert "Nothing was changed" in out
    assert bytes_of(profile.root) == before

    status, out, _ = alife("doctor", "a", "--repair")
    assert status == 1
    assert "Moved 1 to" in out
    after = bytes_of(profile.root)
    assert after[f"a/quarantine/{key}"] == before[f"a/{key}"]
    assert set(before.values()) <= set(after.values())  # whatever was there is there, somewhere

    status, out, _ = alife("doctor", "a")
    assert status == 1
    assert f"quarantine/{named}: " in out
    assert "To move" not in out
    assert any(key in problem or named in problem for problem in Profile.open(profile.root, "a").problems())


def test_a_part_whose_rows_are_elsewhere_too_is_no_loss(profile: Profile) -> None:
    table = profile.tables()["labels/"]
    table.compact(grace_s=60, above=1)
    spoil(files_of(profile, "labels/*.parquet")[-1])
    (found,) = [each for each in examine(profile).damage if each.file.startswith("labels/")]
    assert "nothing seems to be lost" in found.means


def test_what_is_named_and_not_there_is_said(profile: Profile) -> None:
    for pattern in ("rollouts/*.parquet", "films/_mp4/*.mp4", "generator/*.safetensors", "saved/*.mp4"):
        files_of(profile, pattern)[0].unlink()
    said = "\n".join(map(str, examine(profile).damage))
    assert "answers are about worlds that are not in rollouts/" in said
    assert "films/_mp4/" in said
    assert "it is not there; its world cannot be watched" in said
    assert "the weights of version" in said
    assert "its film is not there; it is not among the saved worlds" in said
    assert "embeddings are of worlds that are not in rollouts/" in "\n".join(map(str, examine(profile).notes))


def test_an_answer_about_a_film_that_is_not_listed_is_said(profile: Profile) -> None:
    world = str(profile.rollouts().id[0])
    for labeler in ("me", PROGRAM):  # programs see no films
        vote = Vote(id=labeler, left=world, right=world, answer="tie", labeler=labeler, left_source="never seen")
        profile.add_votes([vote])
    (found,) = examine(profile).damage
    assert "1 answers name a film, shown left, that is not in the list" in found.what


def test_rows_that_nobody_writes_are_counted(profile: Profile) -> None:
    rollouts = profile.rollouts()
    row = {name: values[:1] for name, values in rollouts.columns().items()}
    odd = {"id": np.array(["f" * 32]), "status": np.array(["merry"]), "time": np.array([np.nan])}
    profile.add_rollouts(type(rollouts)(**row | odd))
    profile.undo(str(profile.labels().id[0]), "me")
    files_of(profile, "labels/*.parquet")[0].unlink()  # with the vote
    said = {each.what for each in examine(profile).damage}
    assert said >= {
        "1 of its rows have a status that does not exist",
        "1 of its rows are not called after their simulation, parameters and seed",
        "1 of its rows have a time that is no moment",
        "1 answers were taken back that are not there",
    }


def test_what_was_left_over_is_a_note(profile: Profile) -> None:
    (profile.path / "films" / "_mp4" / ".tmp-1").write_bytes(b"half")
    (profile.path / "films" / "_mp4" / f"{'0' * 32}.mp4").write_bytes(b"no row")
    (profile.path / "rewardor" / "000009-0123456789abcdef.safetensors").write_bytes(b"no manifest")
    (profile.path / "saved" / f"{'0' * 32}.mp4").write_bytes(b"no text")
    (profile.path / "mine.txt").write_bytes(b"")
    (profile.path / "secret.key").unlink()
    report = examine(profile)
    assert not report.damage
    assert {each.file for each in report.notes} == {
        "films/_mp4/.tmp-*", "films/_mp4/", "rewardor/000009-0123456789abcdef.safetensors",
        f"saved/{'0' * 32}.mp4", "mine.txt", "secret.key",
    }  # fmt: skip


def test_a_key_that_others_may_read_is_named(profile: Profile) -> None:
    (profile.path / "secret.key").chmod(0o644)
    assert "chmod 600" in examine(profile).damage[0].means


@pytest.mark.parametrize("text", ["seed = 'x'", "seed =", "colour = 1"])
def test_settings_that_cannot_be_read_hide_nothing_else(alife: Call, profile: Profile, text: str) -> None:
    (profile.path / "profile.toml").write_text(text)
    spoil(files_of(profile, "labels/*.parquet")[0])
    status, out, _ = alife("doctor", "a")
    assert status == 1
    assert "profile.toml: " in out
    assert "cannot be opened until that is mended by hand" in out
    assert "answers are missing" in out


@pytest.mark.parametrize("old, new", [("steps = 31", "steps = 30"), ("seed = 0", "seed = 1")])  # noqa: PT006
def test_settings_that_did_not_make_what_is_there_are_a_note(profile: Profile, old: str, new: str) -> None:
    path = profile.path / "profile.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    report = examine(profile)
    assert [each.file for each in report.notes] == ["profile.toml"]
    assert not report.damage


def test_a_fork_is_examined_with_what_it_inherits_and_its_parent_is_left_alone(profile: Profile) -> None:
    fork = shelf.fork(profile.root, "a", "b")
    assert not examine(fork).findings
    spoil(files_of(profile, "labels/*.parquet")[0])
    spoil(files_of(profile, "films/_mp4/*.mp4")[0])
    before = bytes_of(profile.root / "a")
    report = examine(fork)
    assert doctor.repair(report) == []
    said = "\n".join(map(str, report.damage))
    assert "to know more: alife doctor a" in said
    assert "films/_mp4/" in said
    assert bytes_of(profile.root / "a") == before
    assert not (fork.path / "quarantine").exists()
    shutil.rmtree(profile.path)
    assert 'forked from "a", which is not in' in examine(fork).damage[0].what


def test_who_runs_it_is_said_and_programs_can_read_it_all(alife: Call, profile: Profile) -> None:
    spoil(files_of(profile, "films/_mp4/*.mp4")[0])
    with profile.claim("page"):
        status, out, _ = alife("doctor", "a", "--json", "--repair")
    facts = json.loads(out)
    assert status == 1
    assert facts["healthy"] is False
    assert facts["running"] == ["page"]
    assert facts["counts"]["labels"] == 12
    assert [each["moved"] for each in facts["problems"]] == [True]
    assert facts["problems"][0]["file"].startswith("films/_mp4/")


@pytest.mark.parametrize("name", ["nobody", "../a", "A"])
def test_a_profile_that_is_not_there_is_bad_input(alife: Call, profile: Profile, name: str) -> None:
    status, out, err = alife("doctor", name)
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    assert profile.path.exists()


@pytest.mark.parametrize("prefix", ["labels/", "rewardor/00", "saved/", "films/_mp4/"])
def test_a_disk_that_does_not_give_a_file_is_no_reason_to_move_it(
    profile: Profile, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    read = Path.open

    def moody(path: Path, *given: object, **options: object) -> object:
        if path.is_relative_to(profile.path) and path.relative_to(profile.path).as_posix().startswith(prefix):
            raise OSError(5, "Input/output error")
        return read(path, *given, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", moody)
    report = examine(profile)
    assert {each.what for each in report.damage if each.file.startswith(prefix)} == {"[Errno 5] Input/output error"}
    assert doctor.repair(report) == []


def test_a_fresh_profile_is_whole(tmp_path: Path) -> None:
    assert not examine(Profile.create(tmp_path, "p", Config())).findings
