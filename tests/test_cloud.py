"""A profile's whole life on S3: the same as in a folder, seen by several processes."""

import contextlib
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from pipeline import checkpoint, leases, loop, objects, parcel, shelf, study
from pipeline.census import listing
from pipeline.config import Config
from pipeline.leases import Lease
from pipeline.people import People
from pipeline.profile import Profile, ProfileBusyError, ProfileError
from pipeline.root import Url, place
from pipeline.rows import Vote
from pipeline.store import KeyTakenError
from tests.life import SMALL, answer, lived, settle


@pytest.fixture
def root(bucket: str) -> Url:
    found = place(f"{bucket}/a/b")
    assert isinstance(found, Url)
    return found


def again(profile: Profile) -> Profile:
    """The same profile, as a process that has just started sees it."""
    objects._bucket.cache_clear()
    return Profile.open(str(profile.root), profile.name)


def votes(*ids: str) -> list[Vote]:
    return [Vote(id=id_, left="a", right="b", answer="left", labeler="me") for id_ in ids]


def everything(profile: Profile) -> dict[str, dict[str, list]]:
    tables = {"rollouts": profile.rollouts(), "labels": profile.labels(), "films": profile.films()}
    tables["embeddings"] = profile.embeddings("common", loop.new_rewardor(profile).version)
    return {key: {name: rows.tolist() for name, rows in table.columns().items()} for key, table in tables.items()}


def test_a_life_on_s3_is_the_same_as_in_a_folder(root: Url, tmp_path: Path) -> None:
    there, here = lived(root, "a"), lived(tmp_path, "a")
    assert listing(root) == listing(tmp_path) == ["a"]
    found, known = everything(again(there)), everything(here)
    for table, columns in known.items():
        assert found[table] | {"time": []} == columns | {"time": []}
    for role in checkpoint.ROLES:
        numbers = [[made.number for made in checkpoint.manifests(profile, role)] for profile in (again(there), here)]
        assert numbers[0] == numbers[1] != []
        mine, other = (checkpoint.weights(profile, role, numbers[0][-1]) for profile in (there, here))
        assert mine.keys() == other.keys()
        assert all(torch.equal(mine[name], other[name]) for name in mine)
    file = there.films().file[0]
    assert again(there).film_bytes(file) == here.film_bytes(file)
    assert loop.settled(again(there))
    assert not there.problems()


def test_a_fork_reads_its_parent_and_travels_as_a_file(root: Url, tmp_path: Path) -> None:
    lived(root, "a")
    fork = shelf.fork(root, "a", "b")
    answer(fork, 4, "you")
    settle(fork)
    assert len(Profile.open(root, "a").labels().id) == 12
    assert again(fork).labels().labeler.tolist() == ["me"] * 12 + ["you"] * 4
    parcel.pack(fork, tmp_path / "b.zip")
    landed = parcel.unpack(root, tmp_path / "b.zip", "c", trust=True)
    assert everything(again(landed)) == everything(fork)
    assert landed.key != fork.key
    with pytest.raises(ProfileError, match='something called "c" in s3://'):
        parcel.unpack(root, tmp_path / "b.zip", "c", trust=True)
    assert shelf.table(root).count("\n") == 3
    shelf.archive(root, "a")
    assert listing(root) == ["b", "c"]
    with pytest.raises(ProfileError, match="--out FOLDER"):
        study.begin([landed], "rewardor")


def test_writers_at_once_lose_and_double_nothing(root: Url) -> None:
    profile = Profile.create(root, "p", Config())
    writers = [again(profile) for _ in range(4)]  # each with listings of its own, as processes have

    def write(name: int) -> None:
        for number in range(12):
            writers[name].add_votes(votes("same", f"{name}-{number}"))
            if number % 4 == 3:
                writers[name].undo(f"{name}-{number}", "me")
                writers[name]._labels.compact(grace_s=0, above=4)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    undone = {f"{name}-{number}" for name in range(4) for number in (3, 7, 11)}
    wanted = {"same"} | {f"{name}-{number}" for name in range(4) for number in range(12)} - undone
    for _ in range(2):
        found = again(profile).labels().id.tolist()
        assert len(found) == len(set(found))
        assert set(found) == wanted
        again(profile)._labels.compact(grace_s=0, above=1)
    assert len(again(profile).store.list("labels/")) < 10
    assert not profile.problems()


def test_of_many_versions_at_once_each_has_a_number_of_its_own(root: Url) -> None:
    profile = Profile.create(root, "p", Config())
    makers = [again(profile) for _ in range(5)]
    numbers: list[int] = []

    def commit(name: int) -> None:
        weights = {"w": torch.full((3,), float(name))}
        numbers.append(checkpoint.commit(makers[name], "rewardor", weights, {"maker": name}))

    threads = [threading.Thread(target=commit, args=(name,)) for name in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [1, 2, 3, 4, 5]
    made = checkpoint.manifests(again(profile), "rewardor")
    assert sorted(each.more["maker"] for each in made) == [0, 1, 2, 3, 4]
    newest = checkpoint.weights(again(profile), "rewardor", 5)["w"]
    assert newest.tolist() == [float(made[-1].more["maker"])] * 3


def test_what_is_damaged_is_moved_away_and_named(root: Url) -> None:
    profile = Profile.create(root, "p", Config())
    for number in range(3):
        profile.add_votes(votes(str(number)))
    file = profile.add_film("a", b"mp4", "source", 90, 24.0, 256)
    [_, broken, _] = profile.store.list("labels/")
    for key in (broken, f"films/_mp4/{file}"):
        profile.store.replace(key, b"PAR1 no more")
    fresh = again(profile)
    assert fresh.labels().id.tolist() == ["0", "2"]
    with pytest.raises(ProfileError, match="damaged"):
        fresh.film_bytes(file)
    for each in (fresh, again(profile)):
        assert [line.partition(":")[0] for line in each.problems()] == [f"films/_mp4/{file}", broken]


def test_settings_people_pauses_and_kept_worlds_are_there_for_the_next_process(root: Url) -> None:
    profile = shelf.open_or_create(root, "p", ["seed=3"])
    shelf.opened(root, "p", ["rollouts.per_label=8"])
    profile.pause("rewardor")
    file = profile.add_film("a", b"mp4", "source", 90, 24.0, 256)
    profile.save("a", file, {"mu": 0.15})
    People.of(profile).join("x", "Ann")
    fresh = again(profile)
    assert (fresh.config.seed, fresh.config.rollouts.per_label, fresh.key) == (3, 8, profile.key)
    assert fresh.paused("rewardor")
    assert fresh.saved_bytes("a", "mp4") == b"mp4"
    assert json.loads(fresh.saved_bytes("a", "json"))["params"] == {"mu": 0.15}
    assert [each.name for each in People.of(fresh).everybody()] == ["Ann"]
    assert People.of(fresh).invitation == People.of(profile).invitation
    assert pickle.loads(pickle.dumps(fresh)).key == profile.key
    with pytest.raises(KeyTakenError):
        fresh.store.put("secret.key", b"another")


def test_names_that_are_no_places_are_refused() -> None:
    for text in ("http://x/y", "s3:///x", "s3://b/../c", "s3://b//c", "s3://b/c?d", "file:///tmp", "s3:/b/c", "gs:b"):
        with pytest.raises(ValueError, match="is no place for profiles"):
            place(text)
    assert str(place("s3://b/c/") / "d") == "s3://b/c/d"
    assert str(place("gs://b") / "d") == "gs://b/d"
    assert place("some/folder") == Path("some/folder")


def wait_until_free(profile: Profile, role: checkpoint.Role) -> None:
    """Ray's processes may outlive by a moment who started them; far less than a lease lasts."""
    end = time.monotonic() + leases.LASTS_S / 2
    while profile.held(role):
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.ray
@pytest.mark.slow
def test_a_program_labels_on_s3_while_both_models_train(root: Url) -> None:
    few = "evaluate.RIVALS, evaluate.EMITTED, evaluate.VARIED, evaluate.STANDARD = 80, 20, 8, 40"
    code = f"from pipeline import cli, evaluate; {few}; cli.main()"
    words = ["run", "auto", "--root", str(root), "--oracle", "movers", "--labels", "10"]
    settings = {"sim.name": '"tests.sims.toy:Toy"', "sim.steps": 31}
    settings |= {"rollouts.prior": 40, "rollouts.per_label": 2, "rollouts.block": 20}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run = subprocess.run([sys.executable, "-c", code, *words, *sets], capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stderr[-3000:]
    profile = Profile.open(root, "auto")
    assert len(profile.labels().id) == 10
    assert len(profile.rollouts().id) >= 40 + 2 * 10
    for role in checkpoint.ROLES:
        assert loop.newest(profile, role) is not None
        wait_until_free(profile, role)
    assert loop.settled(profile)
    assert not profile.problems()
    assert "error" not in profile.events().kind.tolist()


def test_the_command_line_takes_places_and_refuses_what_is_none(alife: Callable, root: Url, monkeypatch) -> None:
    monkeypatch.setenv("ALIFE_ROOT", str(root))
    assert alife("new", "mine")[:2] == (
        0,
        f"Made {root}/mine. Its settings: {root}/mine/profile.toml. Next: alife run mine\n",
    )
    assert "mine" in alife("list")[1]
    assert alife("status", "mine")[0] == 0
    status, _, err = alife("status", "yours")
    assert (status, f'no profile "yours" in {root}; there are: mine' in err) == (2, True)
    status, _, err = alife("list", "--root", "ftp://x/y")
    assert (status, '"ftp://x/y" is no place for profiles' in " ".join(err.split())) == (2, True)


# -- roles ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # the server rounds times of objects to whole seconds
    for name, seconds in {"BEAT_S": 0.1, "LASTS_S": 1.0, "SKEW_S": 5.0, "_WATCH_S": 0.05}.items():
        monkeypatch.setattr(leases, name, seconds)


@pytest.mark.usefixtures("quick")
def test_a_role_is_held_once_and_says_by_whom(root: Url) -> None:
    profile = Profile.create(root, "p", SMALL)
    assert not profile.held("train")
    with profile.claim("train"), profile.claim("page"):
        assert again(profile).held("train")
        with pytest.raises(ProfileBusyError, match=r'"train" is held by process \d+ on '):
            again(profile).claim("train")
    assert not profile.held("train")
    claim = profile.claim("train")
    claim.release()
    claim.release()
    profile.claim("train").release()


@pytest.mark.usefixtures("quick")
def test_the_role_of_a_holder_that_was_lost_is_free_after_a_while_for_one(root: Url, monkeypatch) -> None:
    lost = Lease(root / "p", "train")
    lost._released.set()  # its process is no more
    lost._thread.join()
    assert leases.is_leased(root / "p", "train")
    began = time.monotonic()
    got: list[Lease] = []

    def claim() -> None:
        with contextlib.suppress(leases.RoleTakenError):
            got.append(Lease(root / "p", "train"))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert got[0].orphaned
    assert time.monotonic() - began >= leases.LASTS_S
    monkeypatch.setattr(leases, "_lives", lambda _: False)  # it was killed on this very machine
    got[0]._released.set()
    got[0]._thread.join()
    assert not leases.is_leased(root / "p", "train")
    monkeypatch.setattr(leases, "LASTS_S", 1000.0)
    for orphaned in (True, False):
        with Lease(root / "p", "train") as lease:
            assert lease.orphaned == orphaned
    assert np.isinf(objects.ObjectStore(root / "p").age("train.lock"))


def test_a_holder_that_ended_holds_nothing_even_if_nobody_looks_after_it(root: Url) -> None:
    """As in a container whose first process is not made for that: the kernel goes on listing who ended."""
    claim = f"Lease(place({str(root / 'a')!r}), 'train')"
    code = f"import os; from pipeline.leases import Lease; from pipeline.root import place; {claim}; os._exit(0)"
    with subprocess.Popen([sys.executable, "-c", code]) as holder:
        while psutil.Process(holder.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)
        assert np.isfinite(objects.ObjectStore(root / "a").age("train.lock"))
        assert not leases.is_leased(root / "a", "train")
