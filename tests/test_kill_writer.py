"""Writers that are killed at random moments: whatever they had acknowledged is there, once, and nothing else is."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.rows import ANSWERS, Vote


@pytest.mark.slow
@pytest.mark.parametrize(("turns", "crowd"), [(200, 1), (20, 3)], ids=["200 one by one", "60 in crowds of three"])
def test_kills_of_writers_lose_double_and_break_nothing(tmp_path: Path, turns: int, crowd: int) -> None:
    # Here, since the process below runs this file, too, and should stay small and without threads.
    from benchmarks.invariants import Diary, violations
    from tests.life import worlds

    # A process of its own, so that a fork of it starts warm, in no time.
    pair = worlds(Profile.create(tmp_path, "p", Config()), 2)
    command = [sys.executable, __file__, str(tmp_path), str(turns), str(crowd), *pair]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    told = [tuple(line.split()) for line in output.splitlines()]
    diary = Diary(
        sent={what[1:] for what in told if what[0] == "sent"},
        saved=dict(what[1:] for what in told if what[0] == "saved"),
        undoing={what[1] for what in told if what[0] == "undoing"},
        undone={what[1] for what in told if what[0] == "undone"},
    )
    assert Counter(what[0] for what in told)["killed"] == turns * crowd
    assert len(diary.saved) > turns  # they did work in between
    assert len(diary.undone) > 0

    profile = Profile.open(tmp_path, "p")
    before = labels_of(profile)
    assert violations(tmp_path, "p", diary) == []
    profile.compact(grace_s=0)
    profile.compact(grace_s=0)
    assert violations(tmp_path, "p", diary) == []
    assert labels_of(Profile.open(tmp_path, "p")) == before


def labels_of(profile: Profile) -> list[tuple[str, str]]:
    """The votes that count."""
    labels = profile.labels()
    return list(zip(labels.id.tolist(), labels.answer.tolist(), strict=True))


def kill_writers(root: Path, turns: int, crowd: int) -> None:
    """Start some writers at once, kill them, again and again, and print what they told."""
    chance = random.Random(0)
    profile = Profile.open(root, "p")
    for turn in range(turns):
        profile.compact(grace_s=0)
        writers = [fork(root, turn * crowd + number) for number in range(crowd)]
        for _, ready in writers:
            os.read(ready, 1)
            os.close(ready)
        for writer, _ in writers:
            time.sleep(chance.uniform(0.0, 0.05))
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
            tell("killed")


def fork(root: Path, name: int) -> tuple[int, int]:
    """Start a writer; returns its process id, and where a byte can be read once it is about to write."""
    ready, say_ready = os.pipe()
    if writer := os.fork():
        os.close(say_ready)
        return writer, ready
    try:
        profile = Profile.open(root, "p")
        profile.labels()
        os.write(say_ready, b"!")
        write(profile, name)
    finally:
        os._exit(1)  # writers do not end by themselves


def write(profile: Profile, name: int) -> None:
    """Vote, undo and merge until killed. Each line is written at once, so it is complete or not there."""
    chance = random.Random(name)
    mine: list[str] = []
    while True:
        votes = [vote(f"{name}-{len(mine) + number}", chance) for number in range(chance.randint(1, 3))]
        tell(*(f"sent {each.id} {each.answer}" for each in votes))
        profile.add_votes(votes)
        tell(*(f"saved {each.id} {each.answer}" for each in votes))
        mine += [each.id for each in votes]
        if chance.random() < 0.2:
            taken = chance.choice(mine)
            tell(f"undoing {taken}")
            profile.undo(taken, "me")
            tell(f"undone {taken}")
        if chance.random() < 0.2:
            profile.compact(grace_s=0)


def vote(id_: str, chance: random.Random) -> Vote:
    return Vote(id=id_, left=sys.argv[4], right=sys.argv[5], answer=chance.choice(ANSWERS), labeler="me")


def tell(*lines: str) -> None:
    os.write(1, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    kill_writers(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
