"""A profile as one file: nothing is lost on the way, and nothing comes in that could do harm."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline import checkpoint, loop, parcel, shelf
from pipeline.census import listing
from pipeline.config import ConfigError
from pipeline.desk import Desk, DeskError
from pipeline.parcel import ParcelError
from pipeline.profile import Profile, ProfileError
from tests.life import answer, bytes_of, film, lived, settle


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    profile = lived(root, "a")
    file = profile.films().file[0]
    profile.save(str(profile.films().rollout[0]), file, {"seed": 1})
    parcel.pack(profile, root / "a.zip")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A folder with a profile "a" that has lived."""
    shutil.copytree(made / "a", tmp_path / "profiles" / "a")
    return tmp_path / "profiles"


def unpack(root: Path, path: Path, name: str = "") -> Profile:
    """Trusting whoever sent it: the simulation of these tests is not in the catalogue."""
    return parcel.unpack(root, path, name, trust=True)


def everything(profile: Profile) -> dict:
    """All that a profile holds, key and locks aside."""
    tables = {folder: {k: v.tolist() for k, v in table.read().items()} for folder, table in profile.tables().items()}
    versions = {role: checkpoint.manifests(profile, role) for role in checkpoint.ROLES}
    films = {file: profile.film_bytes(file) for file in profile.films().file.tolist()}
    saved = [(each.rollout, profile.saved_bytes(each.rollout, "mp4"), each.params) for each in profile.saved()]
    return {"tables": tables, "versions": repr(versions), "films": films, "saved": saved}


# -- there and back ---------------------------------------------------------------------------------------------------


def test_a_profile_comes_back_exactly(root: Path, made: Path) -> None:
    profile, back = Profile.open(root, "a"), unpack(root, made / "a.zip", "b")
    assert everything(back) == everything(profile)
    assert back.config == profile.config
    assert (back.path / "profile.toml").read_bytes() == (profile.path / "profile.toml").read_bytes()
    for role in checkpoint.ROLES:
        last = checkpoint.newest(back, role)
        ours, theirs = (checkpoint.weights(each, role, last.number) for each in (profile, back))
        assert ours.keys() == theirs.keys()
        assert all(bool((ours[name] == theirs[name]).all()) for name in ours)
    assert loop.settled(back)
    assert not back.problems()


def test_it_is_unpacked_under_its_own_name_by_default(tmp_path: Path, made: Path) -> None:
    assert unpack(tmp_path / "elsewhere", made / "a.zip").name == "a"
    assert listing(tmp_path / "elsewhere") == ["a"]


def test_the_same_profile_is_the_same_bytes(root: Path, made: Path, tmp_path: Path) -> None:
    profile = Profile.open(root, "a")
    with profile.claim("page"):
        parcel.pack(profile, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (made / "a.zip").read_bytes()


def test_what_is_secret_or_of_the_moment_stays(root: Path, tmp_path: Path) -> None:
    profile = Profile.open(root, "a")
    profile.pause("rewardor")
    shelf.archive(root, "a")
    part = sorted((profile.path / "labels").iterdir())[0]
    part.write_bytes(b"rotten")
    (profile.path / "notes.txt").write_text("mine")
    with profile.claim("page"):
        parcel.pack(profile, tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names} == {
        *("alife.json", "profile.toml", "labels", "films", "rollouts", "embeddings"),
        *("rewardor", "generator", "saved"),
    }
    assert profile.key not in (tmp_path / "x.zip").read_bytes()
    assert f"labels/{part.name}" not in names
    assert len(unpack(root, tmp_path / "x.zip", "b").labels().id) == 6


def test_a_fork_travels_with_what_it_went_on_from_and_nothing_later(root: Path, tmp_path: Path) -> None:
    parent = Profile.open(root, "a")
    first = shelf.fork(root, "a", "b", ["generator.name=gibbs"])
    settle(first)
    answer(first, 4, who="b")
    second = shelf.fork(root, "b", "c")
    answer(second, 2, who="c")
    answer(parent, 5, who="late")
    film(parent, 12)
    settle(parent)
    for table in parent.tables().values():
        table.compact(grace_s=0, above=1)
        table.compact(grace_s=0, above=1)
    parcel.pack(second, tmp_path / "c.zip")
    back = unpack(tmp_path / "elsewhere", tmp_path / "c.zip")
    assert back.config.parents == ()
    for table in ("rollouts", "labels", "films"):
        assert columns(getattr(back, table)()) == columns(getattr(second, table)())
    assert len(back.films().file) == 3
    assert [back.film_bytes(file) for file in back.films().file] == [second.film_bytes(f) for f in second.films().file]
    assert b"late" not in (tmp_path / "c.zip").read_bytes()
    settle(back)
    assert loop.settled(back)


def columns(table: object) -> dict[str, list]:
    return {name: values.tolist() for name, values in table.columns().items()}


def test_nothing_that_was_signed_before_is_valid(root: Path, made: Path) -> None:
    desk = Desk(Profile.open(root, "a"))
    film(Profile.open(root, "a"), 12)
    desk.wanted()
    [pair] = desk.offer("me", 1)
    back = unpack(root, made / "a.zip", "b")
    with pytest.raises(DeskError, match="not of this profile"):
        Desk(back).vote(pair.token, "left", "me", 900, 0)
    key = back.path / "secret.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_bytes() != (root / "a" / "secret.key").read_bytes()


def test_files_and_profiles_that_are_there_stay(root: Path, made: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("mine")
    with pytest.raises(ParcelError, match="already"):
        parcel.pack(Profile.open(root, "a"), tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_text() == "mine"
    with pytest.raises(ParcelError, match="not written"):
        parcel.pack(Profile.open(root, "a"), tmp_path / "nowhere" / "x.zip")
    (root / "half").mkdir()
    (root / "half" / "labels").mkdir()
    before = bytes_of(root)
    for name, message in (("a", 'a profile "a"'), ("half", 'a folder "half"')):
        with pytest.raises(ProfileError, match=message):
            unpack(root, made / "a.zip", name)
    with pytest.raises(ConfigError, match="cannot be called"):
        unpack(root, made / "a.zip", "../b")
    assert bytes_of(root) == before


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_an_import_can_be_killed_at_any_moment(root: Path, made: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from pipeline import parcel; from pipeline.census import listing\n"
    )
    code += "root, file = map(Path, sys.argv[1:])\n"
    code += "for n in range(10**6): os.write(1, b'!'); parcel.unpack(root, file, f'n{n}-{os.getpid()}', trust=True)"
    whole = everything(Profile.open(root, "a"))
    draw = np.random.default_rng(1)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code, root, made / "a.zip"], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            time.sleep(draw.uniform(0.02, 0.4))
            os.kill(process.pid, signal.SIGKILL)
        there = [path.name for path in root.iterdir()]
        assert sorted(name for name in there if not name.startswith(".import-")) == listing(root)
    for name in listing(root):
        assert everything(Profile.open(root, name)) == whole
    left = [path for path in root.iterdir() if path.name.startswith(".import-")]
    assert left, "none was killed at work"
    for path in left:
        os.utime(path, (0, 0))
    unpack(root, made / "a.zip", "last")
    assert not [path for path in root.iterdir() if path.name.startswith(".")]


def test_a_full_disk_leaves_nothing(root: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import store

    real, left = os.write, [20]

    def write(descriptor: int, data: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(store.os, "write", write)
    with pytest.raises(store.StoreError, match="No space left"):
        unpack(root, made / "a.zip", "new")
    assert sorted(path.name for path in root.iterdir()) == ["a"]


def test_a_parcel_that_is_cut_short_or_flipped(root: Path, made: Path, tmp_path: Path) -> None:
    data = (made / "a.zip").read_bytes()
    draw = np.random.default_rng(0)
    for place in draw.integers(len(data), size=20).tolist():
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(draw.integers(8))
        (tmp_path / "x.zip").write_bytes(flipped)
        try:
            back = unpack(root, tmp_path / "x.zip", "new")
        except ParcelError:
            assert sorted(path.name for path in root.iterdir()) == ["a"]
        else:  # a date, an attribute
            assert everything(back) == everything(Profile.open(root, "a"))
            shutil.rmtree(back.path)
        (tmp_path / "x.zip").write_bytes(data[:place])
        with pytest.raises(ParcelError, match="not imported"):
            unpack(root, tmp_path / "x.zip", "new")
        assert sorted(path.name for path in root.iterdir()) == ["a"]


# -- lists ------------------------------------------------------------------------------------------------------------


def test_an_archived_profile_leaves_the_list_and_comes_back(root: Path) -> None:
    shelf.fork(root, "a", "b")
    before = bytes_of(root / "a")
    shelf.archive(root, "a")
    shelf.archive(root, "a")
    assert listing(root) == ["b"]
    assert listing(root, archived=True) == ["a", "b"]
    assert len(shelf.table(root).splitlines()) == 2
    assert len(shelf.table(root, archived=True).splitlines()) == 3
    assert len(Profile.open(root, "b").labels().id) == 12
    with pytest.raises(ProfileError, match='there is a profile "a"'):
        shelf.create(root, "a")
    assert shelf.open_or_create(root, "a").name == "a"
    shelf.archive(root, "a", back=True)
    shelf.archive(root, "a", back=True)
    assert listing(root) == ["a", "b"]
    assert bytes_of(root / "a") == before
    with pytest.raises(ProfileError, match='no profile "x"'):
        shelf.archive(root, "x")
