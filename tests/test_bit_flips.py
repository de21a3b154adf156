"""One wrong bit, or a file cut short, in each kind of file: found, or without effect, never read as something else."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import checkpoint, doctor
from pipeline.config import ConfigError
from pipeline.people import People
from pipeline.profile import Profile
from tests.life import answer, lived, settle, unsynced

KINDS = (
    "labels/*.parquet",
    "rollouts/*.parquet",
    "films/*.parquet",
    "events/*.parquet",
    "embeddings/*/*.parquet",
    "people/*.parquet",
    "films/_mp4/*.mp4",
    "saved/*.mp4",
    "*/*.safetensors",
    "*or/*.json",
)
"""Files whose bytes have a hash."""
FLIPS, CUTS = int(os.environ.get("ALIFE_FLIPS", "36")), 6
"""Bits flipped, and truncations, in each file."""

DANGLING = {"films": {"films"}, "rollouts": {"labels", "films"}}
"""Tables that name what is then not there any more, by what was damaged."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The power stays on here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile with one or two files of each kind."""
    root = tmp_path_factory.mktemp("made")
    with unsynced():
        profile = lived(root, "p")
        profile.save(str(profile.films().rollout[0]), str(profile.films().file[0]), {"params": {}, "seed": 1})
        profile.event("error", "a line")
        People.of(profile).join("me", "Ann")
        assert profile.key
        for table in profile.tables().values():
            table.compact(grace_s=0, above=1)
            table.compact(grace_s=0, above=1)
    return root


@pytest.fixture
def profile(made: Path, tmp_path: Path) -> Profile:
    shutil.copytree(made / "p", tmp_path / "p")
    return Profile.open(tmp_path, "p")


def spoiled(data: bytes, seed: object) -> Iterator[bytes]:
    """These bytes with one bit flipped, again and again, then cut short."""
    chance = random.Random(str(seed))
    for _ in range(FLIPS):
        bit = chance.randrange(len(data) * 8)
        yield data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
    yield from (data[: chance.randrange(len(data))] for _ in range(CUTS - 1))
    yield b""


def everything(profile: Profile) -> dict[str, set]:
    """All that can be read, as items that are there or not."""
    tables = profile.tables() | {"people/": People.of(profile)._table}
    found = {}
    for folder, table in tables.items():
        rows = table.read()
        found[folder] = {repr([values[row].tolist() if values.ndim > 1 else values[row] for values in rows.values()])
                         for row in range(len(rows["id"]))}  # fmt: skip
    for role in checkpoint.ROLES:
        found[role] = {repr(each) for each in checkpoint.manifests(profile, role)}
        newest = checkpoint.newest(profile, role)
        tensors = checkpoint.weights(profile, role, newest.number) if newest else {}
        found[role] |= {f"{newest and newest.number} {name} {tensor.tolist()}" for name, tensor in tensors.items()}
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_or_a_cut_is_found_and_nothing_else_is_read(profile: Profile, kind: str) -> None:
    paths = sorted(profile.path.glob(kind))
    truth = everything(profile)
    older = {role: newest_but_one(profile, role) for role in checkpoint.ROLES}
    for path in paths[-2:]:
        key, whole = path.relative_to(profile.path).as_posix(), path.read_bytes()
        for bad in spoiled(whole, key):
            path.write_bytes(bad)
            report = doctor.examine(profile.root, profile.name)
            read = everything(report.profile)
            harmless = not report.findings and read == truth
            named = key.replace(".mp4", ".json") if key.startswith("saved/") else key
            assert harmless or [each.file for each in report.damage if each.file == named]
            assert not harmless or kind == "*or/*.json"  # where a space may become a tab
            for what, rows in read.items():
                assert rows <= truth[what] | older.get(what, set())
        path.write_bytes(whole)
    assert not doctor.examine(profile.root, profile.name).findings


def newest_but_one(profile: Profile, role: checkpoint.Role) -> set[str]:
    """The weights of the version before the newest, as `everything` has them."""
    number = checkpoint.last_number(profile, role) - 1
    tensors = checkpoint.weights(profile, role, number)
    return {f"{number} {name} {tensor.tolist()}" for name, tensor in tensors.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_run_goes_on_after_any_damage_and_the_doctor_then_knows_only_of_what_was_put_away(
    profile: Profile, kind: str
) -> None:
    path = sorted(profile.path.glob(kind))[-1]
    votes, whole = len(profile.labels().id), path.read_bytes()
    path.write_bytes(next(spoiled(whole, kind)))
    fresh = Profile.open(profile.root, profile.name)
    settle(fresh)
    answer(fresh, 6, "you")
    settle(fresh)
    assert len(fresh.labels().id) == (6 if kind.startswith("labels") else votes + 6)
    doctor.repair(doctor.examine(profile.root, profile.name))
    left = {each.file.split("/")[0] for each in doctor.examine(profile.root, profile.name).damage}
    assert "quarantine" in left
    assert left <= {"quarantine"} | DANGLING.get(kind.split("/")[0], set())


def test_settings_have_no_hash_and_a_flipped_bit_is_refused_in_words_or_is_another_setting(profile: Profile) -> None:
    path, truth = profile.path / "profile.toml", profile.config
    whole = path.read_bytes()
    refused = other = 0
    for bad in spoiled(whole, "settings"):
        path.write_bytes(bad)
        report = doctor.examine(profile.root, profile.name)
        try:
            config = Profile.open(profile.root, profile.name).config
        except ConfigError:
            refused += 1
            (said,) = report.damage
            assert said.file == "profile.toml"
            continue
        other += config != truth
        if config.sim != truth.sim or config.seed != truth.seed:
            assert "profile.toml" in {each.file for each in report.notes}
    assert refused > other


def test_a_saved_text_has_no_hash_and_a_flipped_bit_never_stops_the_page(profile: Profile) -> None:
    (path,) = (profile.path / "saved").glob("*.json")
    whole = path.read_bytes()
    for bad in spoiled(whole, "saved"):
        path.write_bytes(bad)
        doctor.examine(profile.root, profile.name)
        for each in Profile.open(profile.root, profile.name).saved():
            assert isinstance(each.params, dict)


def test_a_key_of_another_length_is_named(profile: Profile) -> None:
    path = profile.path / "secret.key"
    path.write_bytes(path.read_bytes()[:31])
    assert "secret.key" in {each.file for each in doctor.examine(profile.root, profile.name).damage}
