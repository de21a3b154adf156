"""`kill -9` of everything at once, then the same command again: nothing acknowledged is lost, nothing counts twice."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import checkpoint
from pipeline.profile import Profile

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = 5
PATIENCE_S = 240


class Visitor:
    """A labeler's browser, as far as the server can tell."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.acknowledged: dict[str, str] = {}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/json", "x-alife": "1"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with self.opener.open(request, timeout=20) as response:
            return json.load(response)

    def up(self) -> bool:
        try:
            with self.opener.open(self.url + "/healthz", timeout=2):
                return True
        except OSError:
            return False

    def label(self, count: int, answer: str) -> None:
        """Answer pairs until `count` are acknowledged."""
        end, done = time.monotonic() + PATIENCE_S, 0
        while done < count:
            assert time.monotonic() < end, "no pairs came"
            pairs = self.post("/api/pairs", {"want": 4, "have": []})["pairs"]
            for pair in pairs:
                vote = {"token": pair["token"], "answer": answer, "response_ms": 900}
                receipt = self.post("/api/vote", vote)
                assert receipt["saved"]
                assert self.post("/api/vote", vote)["duplicate"]  # a double click
                self.acknowledged[receipt["id"]] = answer
                done += 1
                time.sleep(0.3)
            time.sleep(0.3)


def start(root: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pipeline", "run", "victim", "--root", str(root), "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(root.parent / "log").open("ab"))


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for victim in tree:
        try:
            os.kill(victim.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait(timeout=30)
    psutil.wait_procs(tree, timeout=30)


def wait_for(what: str, done: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.3)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_nothing_acknowledged_is_lost_when_everything_is_killed(tmp_path: Path) -> None:
    root, port, rng = tmp_path / "profiles", free_port(), random.Random(0)
    root.mkdir()
    visitor = Visitor(port)
    process = start(root, port)
    try:
        for kill in range(KILLS):
            wait_for("the page", visitor.up)
            visitor.label(6, "left" if kill % 2 else "right")
            time.sleep(rng.uniform(0, 3))  # somewhere between votes, fits, rollouts and films
            kill_tree(process)
            process = start(root, port)
        wait_for("the page", visitor.up)
        visitor.label(2, "tie")
        profile = Profile.open(root, "victim")
        votes = len(visitor.acknowledged)
        wait_for("the rewardor to learn the last label", lambda: knows(profile, votes))
    finally:
        kill_tree(process)
    labels = Profile.open(root, "victim").labels()
    assert dict(zip(labels.id.tolist(), labels.answer.tolist(), strict=True)) == visitor.acknowledged
    rollouts = profile.rollouts().id.tolist()
    assert len(rollouts) == len(set(rollouts))
    assert set(labels.left) | set(labels.right) <= set(rollouts)
    assert profile.problems() == []


def knows(profile: Profile, votes: int) -> bool:
    newest = checkpoint.newest(profile, "rewardor")
    return newest is not None and newest.snapshot["labels"] == votes
