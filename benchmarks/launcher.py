"""A whole launcher in a process of its own, and a labeler's browser as far as the server can tell."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import psutil

from benchmarks.invariants import Diary
from pipeline import signing

PATIENCE_S = 240


class Visitor:
    """A labeler's browser, as far as the server can tell."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.diary = Diary()

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

    def label(self, count: int, answer: str, pause: float = 0.3) -> None:
        """Answer pairs until `count` are acknowledged, with `pause` seconds after each."""
        end, done = time.monotonic() + PATIENCE_S, 0
        while done < count:
            assert time.monotonic() < end, "no pairs came"
            pairs = self.post("/api/pairs", {"want": min(4, count - done), "have": []})["pairs"]
            for pair in pairs:
                self.vote(pair["token"], answer)
                assert self.vote(pair["token"], answer)["duplicate"]  # a double click
                done += 1
                time.sleep(pause)
            time.sleep(0 if pairs else 0.1)

    def vote(self, token: str, answer: str) -> dict[str, Any]:
        """Answer a pair; the diary says so, whatever comes of it."""
        id_ = signing.fingerprint(token)
        self.diary.sent.add((id_, answer))
        receipt = self.post("/api/vote", {"token": token, "answer": answer, "response_ms": 900})
        assert receipt["saved"]
        assert receipt["id"] == id_
        self.diary.saved.setdefault(id_, answer)
        return receipt

    def undo(self) -> None:
        """Take back the last answer. Nobody knows whether that was done if no receipt comes."""
        self.diary.undoing.add([id_ for id_ in self.diary.saved if id_ not in self.diary.undone][-1])
        self.diary.undone.add(self.post("/api/undo", {})["id"])


def launch(root: Path, name: str, port: int, *more: str, verb: str = "run") -> subprocess.Popen[bytes]:
    """`alife run NAME`, or another verb that has a page, with its output in `root.parent / "log"`."""
    return start(root, verb, name, "--port", str(port), *more)


def start(root: Path, verb: str, name: str, *more: str) -> subprocess.Popen[bytes]:
    """Any verb, with its output in `root.parent / "log"`."""
    command = [sys.executable, "-m", "pipeline", verb, name, "--root", str(root), *more]
    log = (root.parent / "log").open("ab")
    return subprocess.Popen(command, stdout=log, stderr=log)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for victim in tree:
        try:
            os.kill(victim.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait(timeout=30)
    psutil.wait_procs(tree, timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
