"""Two launchers on one profile: one gets the role; where locks do not work both run, and nothing is lost or doubled."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.invariants import violations
from pipeline import checkpoint, loop
from pipeline.profile import Profile
from tests.life import SMALL, lived, written

ROOT = Path(__file__).parents[1]
RACES, RUNNERS = 20, 4

RACER = """
import sys
from pathlib import Path
from pipeline.roles import Claim, RoleTakenError
for line in sys.stdin:
    try:
        claim = Claim(Path(line.strip()))
    except RoleTakenError:
        print("taken", flush=True)
    else:
        print("mine", flush=True)
    sys.stdin.readline()
    claim = None
    print("free", flush=True)
"""

LAUNCHER = """
import fcntl, json, os, sys
from pathlib import Path
fcntl.flock = lambda *_: None  # as on a network folder whose locks are a fiction
os.fsync = lambda _: None
from pipeline.profile import Profile
from tests.life import answer, settle
profile = Profile.open(Path(sys.argv[1]), "p")
with profile.claim("page"), profile.claim("train"):
    print("claimed", flush=True)
    sys.stdin.readline()
    for _ in range(3):
        answer(profile, 5, sys.argv[2])
        settle(profile)
    mine = [id_ for id_ in profile.labels().id.tolist() if id_.startswith(sys.argv[2])]
    print(json.dumps(mine), flush=True)
"""


def started(code: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def tell(process: subprocess.Popen[str], line: str = "") -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_many_who_claim_a_role_at_once_one_gets_it(tmp_path: Path) -> None:
    racers = [started(RACER) for _ in range(RUNNERS)]
    try:
        for race in range(RACES):
            for racer in racers:
                tell(racer, str(tmp_path / f"{race % 3}.lock"))
            assert sorted(map(said, racers)) == ["mine", *["taken"] * (RUNNERS - 1)]
            for racer in racers:
                tell(racer)
            assert {said(racer) for racer in racers} == {"free"}
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


@pytest.mark.slow
def test_two_who_both_run_a_profile_lose_and_double_nothing(tmp_path: Path) -> None:
    lived(tmp_path, "p", SMALL)
    launchers = [started(LAUNCHER, str(tmp_path), name) for name in ("ann", "bob")]
    try:
        assert [said(each) for each in launchers] == ["claimed", "claimed"]
        for each in launchers:
            tell(each)
        theirs = [json.loads(said(each)) for each in launchers]
        assert [each.wait(timeout=120) for each in launchers] == [0, 0]
    finally:
        for each in launchers:
            each.kill()
            each.communicate()
    profile = Profile.open(tmp_path, "p")
    labels = profile.labels().id.tolist()
    assert [len(each) for each in theirs] == [15, 15]
    assert sorted(labels) == sorted({*labels}) == sorted([*labels[:12], *theirs[0], *theirs[1]])
    assert violations(tmp_path, "p", written(profile)) == []
    rollouts = profile.rollouts()
    assert len(set(zip(rollouts.block.tolist(), rollouts.seed.tolist(), strict=True))) == len(rollouts.id)
    for role in checkpoint.ROLES:
        numbers = [each.number for each in checkpoint.manifests(profile, role)]
        assert numbers == sorted(set(numbers))
    newest = checkpoint.newest(profile, "rewardor")
    assert newest is not None
    assert newest.snapshot["digest"] == loop.digest(profile.labels(), len(labels))
