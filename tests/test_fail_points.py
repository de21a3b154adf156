"""A process that ends at each step of each write: whoever comes next finds the old or the new, and can go on."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.invariants import violations
from pipeline import checkpoint, doctor, parcel, plugins, shelf
from pipeline.census import listing
from pipeline.config import Config
from pipeline.driver import Driver
from pipeline.profile import Profile
from pipeline.rows import Vote
from tests.life import Here, bytes_of, unsynced, worlds, written

STEPS = ("open", "write", "fsync", "link", "unlink", "rename", "replace", "mkdir")
"""The calls by which files are changed."""
KEPT = 12
"""Versions of the model in the profile: committing another one forgets weights, too."""


class Killed(BaseException):
    """The process has ended."""


class Knife:
    """Ends the process, as far as the disk can tell, at the n-th step: this one and all later ones do nothing.

    A write at that step still writes half.

    Args:
        patch: Undoes it.
        at: At which step; 0 for none.
    """

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.steps, self._at = 0, at
        for name in STEPS:
            patch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, call: Callable) -> Callable:
        def step(*given: object, **options: object) -> object:
            if name == "open" and not given[1] & os.O_CREAT:  # type: ignore[operator]
                return call(*given, **options)
            self.steps += 1
            if not self._at or self.steps < self._at:
                return call(*given, **options)
            if name == "write" and self.steps == self._at:
                call(given[0], given[1][: len(given[1]) // 2])  # type: ignore[index, arg-type]
            raise Killed

        return step


# -- what a profile does ----------------------------------------------------------------------------------------------


def vote(profile: Profile) -> None:
    left, right = profile.rollouts().id[:2].tolist()
    profile.add_votes([Vote(id=id_, left=left, right=right, answer="tie", labeler="me") for id_ in ("new", "newer")])


def undo(profile: Profile) -> None:
    profile.undo("3", "me")


def merge(profile: Profile) -> None:
    for _ in range(2):
        profile._labels.compact(grace_s=0, above=2)


def commit(profile: Profile) -> None:
    checkpoint.commit(profile, "rewardor", {"w": torch.ones(50)}, {"snapshot": {"labels": 99}})


def film(profile: Profile) -> None:
    world = str(profile.rollouts().id[1])
    profile.add_film(world, b"\0\0\0\x18ftyp another", "source", 96, 24.0, 256)


def save(profile: Profile) -> None:
    films = profile.films()
    profile.save(str(films.rollout[0]), str(films.file[0]), {"params": {}})


def settings(profile: Profile) -> None:
    shelf.opened(profile.root, profile.name, ["rollouts.prior=600"])


ACTS = (vote, undo, merge, commit, film, save, settings)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The power stays on here: see `test_power_cut`."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    with unsynced():
        profile = Profile.create(root, "p", Config())
        ids = worlds(profile, 3)
        profile.add_film(ids[0], b"\0\0\0\x18ftyp one", "source", 96, 24.0, 256)
        for number in range(5):
            given = {"left": ids[0], "right": ids[1], "answer": "left", "labeler": "me", "left_source": "source"}
            profile.add_votes([Vote(id=str(number), **given)])  # type: ignore[arg-type]
        for number in range(KEPT):
            checkpoint.commit(profile, "rewardor", {"w": torch.full((50,), float(number))}, {"snapshot": {}})
    return root


def facts(profile: Profile) -> tuple:
    """What readers see."""
    labels, films = profile.labels(), profile.films()
    newest = checkpoint.newest(profile, "rewardor")
    assert newest is not None
    weight = float(checkpoint.weights(profile, "rewardor", newest.number)["w"][0])
    answers = list(zip(labels.id.tolist(), labels.answer.tolist(), strict=True))
    return answers, films.file.tolist(), weight, len(profile.saved()), profile.config.rollouts.prior


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_whoever_comes_after_a_kill_at_any_step_finds_the_old_or_the_new_and_goes_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Profile], None]
) -> None:
    def killed_at(step: int, root: Path) -> int:
        """The steps that were made, 0 if it was not killed."""
        profile = Profile.open(root, "p")
        facts(profile)  # as a process that has been at it for a while
        with monkeypatch.context() as patch:
            knife = Knife(patch, step)
            try:
                act(profile)
            except Killed:
                return knife.steps
        return 0

    shutil.copytree(made, tmp_path / "whole")
    assert killed_at(0, tmp_path / "whole") == 0
    old, new = facts(Profile.open(made, "p")), facts(Profile.open(tmp_path / "whole", "p"))
    before, after = written(Profile.open(made, "p")), written(Profile.open(tmp_path / "whole", "p"))
    step, root = 1, tmp_path / "killed"
    shutil.copytree(made, root)
    while killed_at(step, root):
        found = Profile.open(root, "p")
        assert facts(found) in (old, new)
        diary = written(found)
        assert before.saved.items() <= diary.saved.items() <= after.saved.items()
        assert before.undone <= diary.undone <= after.undone
        assert violations(root, "p", diary) == []
        act(found)
        assert facts(Profile.open(root, "p")) == new
        assert doctor.examine(root, "p").damage == []
        shutil.rmtree(root)
        shutil.copytree(made, root)
        step += 1
    assert step > 4  # there were steps to be killed at


def test_what_killed_writers_left_goes_once_it_is_older_than_any_writer(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "p", tmp_path / "p")
    for folder in ("films/_mp4", "saved", "rewardor", "labels"):
        (tmp_path / "p" / folder).mkdir(exist_ok=True)
        for name, age_s in ((".tmp-old", 3700), (".tmp-new", 10)):
            path = tmp_path / "p" / folder / name
            path.write_bytes(b"half")
            os.utime(path, (time.time() - age_s,) * 2)
    profile = Profile.open(tmp_path, "p")
    sim = plugins.load("sims", "tests.sims.toy:Toy", {})
    Driver(profile, sim, Here(sim), feed=False).tick(0)  # type: ignore[arg-type]
    commit(profile)
    assert {path.name for path in (tmp_path / "p").rglob(".tmp-*")} == {".tmp-new"}


def test_a_new_profile_is_there_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, killed = 1, True
    while killed:
        root = tmp_path / str(step)
        with monkeypatch.context() as patch:
            Knife(patch, step)
            try:
                Profile.create(root, "p", Config())
                killed = False
            except Killed:
                step += 1
        if listing(root):
            assert doctor.examine(root, "p").damage == []
        else:
            Profile.create(root, "p", Config())
    assert step > 6


def test_a_parcel_is_unpacked_or_not(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parcel.pack(Profile.open(made, "p"), tmp_path / "p.zip")
    truth = facts(Profile.open(made, "p"))
    step, killed = 1, True
    while killed:
        root = tmp_path / str(step)
        with monkeypatch.context() as patch:
            Knife(patch, step)
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # no clean-up after the end
            try:
                parcel.unpack(root, tmp_path / "p.zip", "q")
                killed = False
            except Killed:
                step += 29  # there are hundreds, most of them alike
        if listing(root):
            assert facts(Profile.open(root, "q")) == truth
        else:
            assert facts(parcel.unpack(root, tmp_path / "p.zip", "q")) == truth
    assert step > 100


def test_a_damaged_file_is_never_lost_on_the_way_to_quarantine(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, killed = 1, True
    while killed:
        root = tmp_path / str(step)
        shutil.copytree(made, root)
        part = sorted((root / "p" / "labels").iterdir())[2]
        part.write_bytes(b"rotten")
        with monkeypatch.context() as patch:
            Knife(patch, step)
            try:
                doctor.repair(doctor.examine(root, "p"))
                killed = False
            except Killed:
                step += 1
        assert b"rotten" in bytes_of(root).values()
        assert [each for each in doctor.examine(root, "p").damage if part.name in each.file]
        doctor.repair(doctor.examine(root, "p"))
        assert (root / "p" / "quarantine" / "labels" / part.name).read_bytes() == b"rotten"
        assert not part.exists()
    assert step > 8
