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
    # A process of its own, small and without threads, so that a fork of it starts warm, in no time.
    command = [sys.executable, __file__, str(tmp_path), str(turns), str(crowd)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    told = [tuple(line.split()) for line in output.splitlines()]
    sent = {what[1:] for what in told if what[0] == "sent"}
    saved = {what[1:] for what in told if what[0] == "saved"}
    undone = {what[1] for what in told if what[0] == "undone"}
    undoing = {what[1] for what in told if what[0] == "undoing"}

    profile = Profile.open(tmp_path, "p")
    events, labels = profile.label_events(), profile.labels()
    there = list(zip(events.id.tolist(), events.answer.tolist(), events.event.tolist(), strict=True))
    votes = {(id_, answer) for id_, answer, event in there if event == "vote"}
    counting = set(labels.id.tolist())

    assert Counter(what[0] for what in told)["killed"] == turns * crowd
    assert len(saved) > turns  # they did work in between
    assert saved <= votes <= sent
    assert max(Counter(id_ for id_, _, _ in there).values()) == 1
    assert not undone & counting
    assert {id_ for id_, _ in votes} - undoing <= counting
    assert counting <= {id_ for id_, _ in votes}
    assert not profile.problems()
    assert again(profile) == (labels.id.tolist(), labels.answer.tolist())


def again(profile: Profile) -> tuple[list[str], list[str]]:
    """The votes that count after everything was merged."""
    profile.compact(grace_s=0)
    profile.compact(grace_s=0)
    labels = Profile.open(profile.root, profile.name).labels()
    return labels.id.tolist(), labels.answer.tolist()


def kill_writers(root: Path, turns: int, crowd: int) -> None:
    """Start some writers at once, kill them, again and again, and print what they told."""
    Profile.create(root, "p", Config())
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
    return Vote(id=id_, left="a", right="b", answer=chance.choice(ANSWERS), labeler="me")


def tell(*lines: str) -> None:
    os.write(1, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    kill_writers(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
