"""A power cut at every step of labeling and merging: a disk that forgets whatever was not synced, and nothing else."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.rows import ANSWERS, Vote


class Disk:
    """What would be left after a power cut, in the worst case.

    A file has the bytes that it had when it was last synced. A folder has the names that it had when it was last
    synced, except for those that were deleted since: a deletion may reach the disk at once.

    Args:
        patch: Undoes the watching.
        watch: Called after each step that changes what is left.
    """

    def __init__(self, patch: pytest.MonkeyPatch, watch: Callable[["Disk"], None]) -> None:
        self.bytes: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, int]] = {}
        self.steps = 0
        self._watch, self._fsync, self._unlink = watch, os.fsync, os.unlink
        patch.setattr(os, "fsync", self._sync)
        patch.setattr(os, "unlink", self._delete)

    def _sync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self.names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self.bytes[path.stat().st_ino] = path.read_bytes()
        self._step()

    def _delete(self, path: Path) -> None:
        self._unlink(path)
        self.names.get(Path(path).parent, {}).pop(Path(path).name, None)
        self._step()

    def _step(self) -> None:
        self.steps += 1
        self._watch(self)

    def restore(self, folder: Path, into: Path) -> None:
        """Lay down what is left of a folder."""
        into.mkdir()
        for name, inode in self.names.get(folder, {}).items():
            if (folder / name) in self.names:
                self.restore(folder / name, into / name)
            elif inode in self.bytes:
                (into / name).write_bytes(self.bytes[inode])


def test_a_power_cut_at_any_step_loses_and_invents_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(0)
    sent: dict[str, str] = {}
    saved: dict[str, str] = {}
    root = tmp_path / "root"

    def look(disk: Disk) -> None:
        with monkeypatch.context() as unwatched:
            unwatched.setattr(os, "fsync", lambda _: None)
            unwatched.setattr(os, "unlink", disk._unlink)
            left = tmp_path / f"left{disk.steps}"
            disk.restore(root, left)
            if saved:
                profile = Profile.open(left, "p")
                labels = profile.labels()
                there = dict(zip(labels.id.tolist(), labels.answer.tolist(), strict=True))
                assert saved.items() <= there.items() <= sent.items()
                assert len(labels.id) == len(there)
                assert not profile.problems()

    disk = Disk(monkeypatch, look)
    profile = Profile.create(root, "p", Config())
    for number in range(40):
        sent[str(number)] = chance.choice(ANSWERS)
        profile.add_votes([Vote(id=str(number), left="a", right="b", answer=sent[str(number)], labeler="me")])
        saved[str(number)] = sent[str(number)]
        profile._labels.compact(grace_s=0, above=4)
    assert disk.steps > 200
    assert len(profile.store.list("labels/")) < 10
