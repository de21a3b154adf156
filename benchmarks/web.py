"""Many people label one profile at once, at human pace, while both models train: is anything lost, doubled or slow?

    python -m benchmarks.web --labelers 50 --votes 10000

Starts `alife run --share` on a fresh profile. Labelers join with the invitation and do what the page does: hold three
pairs, load their films, look for a while, answer, ask for more. A fifth of the answers is sent twice at once, as by a
double click; one in twenty goes to a connection that breaks before the receipt comes, and is sent again. Then
everything is stopped, and the files are compared with what was acknowledged.

Goals: none lost, none doubled; a vote's p95 below 250 ms, that of asking for the next pair below 300 ms. The traffic
stays on this computer.
"""

import argparse
import http.client
import json
import random
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.launcher import PATIENCE_S, free_port, kill_tree, launch
from pipeline import checkpoint, signing
from pipeline.people import People
from pipeline.profile import Profile

AHEAD = 3
"""Pairs that a page holds, the one on the stage included."""
RETRY_S = 0.4
NEWS_S = 1.0
"""Seconds between two questions what is going on: the stage of the page asks every 1.5 s, its header every 3 s."""
RAMP_S = 20.0
"""Seconds in which everybody arrives."""
TIMES = {
    "vote": "a vote, until it is on disk",
    "pairs": "asking for pairs",
    "news": "asking what is going on",
    "wait": "waiting for a pair to look at",
}
LINE = "{what:<34} median {median:7.1f} ms   p95 {p95:7.1f} ms   max {worst:8.1f} ms   ({count})"


@dataclass
class Tally:
    """What all labelers saw. Lists and counters take single appends from many threads."""

    goal: int
    sent: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=lambda: {what: [] for what in TIMES})
    events: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> bool:
        return len(self.acknowledged) >= self.goal


class Labeler(threading.Thread):
    """One person and their browser."""

    def __init__(self, number: int, port: int, key: str, tally: Tally, options: argparse.Namespace) -> None:
        super().__init__(daemon=True)
        self.number, self.port, self.key, self.tally, self.options = number, port, key, tally, options
        self.random = random.Random(number)
        self.cookie = ""
        self.connection = self.connect()
        self.pairs: list[dict[str, str]] = []
        self.asked = self.asked_pairs = 0.0
        self.patience = RETRY_S

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def request(self, method: str, path: str, body: Any = None, line: http.client.HTTPConnection | None = None) -> Any:
        """Status and answer of a request; a line that broke is opened again, as browsers do."""
        headers = {"cookie": self.cookie, "x-alife": "1", "content-type": "application/json"}
        for _ in range(5):
            used = line or self.connection
            try:
                used.request(method, path, None if body is None else json.dumps(body), headers)
                answer = used.getresponse()
                data = answer.read()
            except (OSError, http.client.HTTPException):
                self.tally.events["lines that broke"] += 1
                used.close()
                continue
            if answer.getheader("set-cookie"):
                self.cookie = answer.getheader("set-cookie", "").partition(";")[0]
            return answer.status, json.loads(data) if "json" in answer.getheader("content-type", "") else data
        raise ConnectionError("the server is away")

    def timed(
        self, what: str, path: str, body: Any, line: http.client.HTTPConnection | None = None, method: str = "POST"
    ) -> Any:
        start = time.perf_counter()
        status, answer = self.request(method, path, body, line)
        self.tally.times[what].append(1000 * (time.perf_counter() - start))
        if status != 200:
            self.tally.events[f"{path} {status}"] += 1
        return answer if status == 200 else None

    def run(self) -> None:
        time.sleep(RAMP_S * self.number / self.options.labelers)
        self.request("POST", "/api/join", {"key": self.key, "name": f"Labeler {self.number}"})
        since = time.perf_counter()
        while not self.tally.done:
            self.refill()
            if not self.pairs:
                time.sleep(RETRY_S)
                continue
            self.tally.times["wait"].append(1000 * (time.perf_counter() - since))
            pair = self.pairs[0]
            self.look()
            self.answer(pair["token"], self.random.choice(("left", "right", "left", "right", "tie", "neither")))
            since = time.perf_counter()
            self.pairs.remove(pair)

    def look(self) -> None:
        """Watch the pair on the stage, while the page goes on asking for what it lacks, and what is going on."""
        end = time.monotonic() + self.random.uniform(0.5, 1.5) * self.options.pace
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, RETRY_S))
            if time.monotonic() < end:
                self.refill()
            self.ask_what_happens()

    def ask_what_happens(self) -> None:
        if time.monotonic() > self.asked + NEWS_S:
            self.asked = time.monotonic()
            self.timed("news", "/api/activity", None, method="GET")

    def refill(self) -> None:
        pause = self.patience if len(self.pairs) > 1 else RETRY_S
        if len(self.pairs) >= AHEAD or time.monotonic() < self.asked_pairs + pause:
            return
        self.asked_pairs = time.monotonic()
        have = [pair["token"] for pair in self.pairs]
        answer = self.timed("pairs", "/api/pairs", {"want": AHEAD - len(have), "have": have})
        self.patience = max(RETRY_S, answer["after"] if answer else 0)
        for pair in answer["pairs"] if answer else ():
            for side in ("left", "right"):
                self.request("GET", f"/media/{answer['profile']}/{pair[side]}")
            self.pairs.append(pair)

    def answer(self, token: str, choice: str) -> None:
        """Send an answer until it is on disk, as the outbox of the page does."""
        body = {"token": token, "answer": choice, "response_ms": int(1000 * self.options.pace)}
        self.tally.sent[signing.fingerprint(token)] = choice
        if self.random.random() < self.options.dropped:
            self.drop(body)
        second = None
        if self.random.random() < self.options.twice:
            second = threading.Thread(target=self.timed, args=("vote", "/api/vote", body, self.connect()))
            second.start()
        while (receipt := self.timed("vote", "/api/vote", body)) is None:
            time.sleep(1.0)
        if second:
            second.join()
        assert receipt["saved"]
        self.tally.acknowledged[receipt["id"]] = choice

    def drop(self, body: dict[str, Any]) -> None:
        """Send an answer and hang up."""
        self.tally.events["receipts that never came"] += 1
        line = self.connect()
        headers = {"cookie": self.cookie, "x-alife": "1", "content-type": "application/json"}
        line.request("POST", "/api/vote", json.dumps(body), headers)
        line.close()


def label(port: int, profile: Profile, options: argparse.Namespace) -> Tally:
    """Let everybody label until there are enough votes."""
    tally = Tally(options.votes)
    key = People.of(profile).invitation
    crowd = [Labeler(number, port, key, tally, options) for number in range(options.labelers)]
    for each in crowd:
        each.start()
    end = time.monotonic() + options.minutes * 60
    while any(each.is_alive() for each in crowd) and time.monotonic() < end:
        time.sleep(5)
        print(f"  {len(tally.acknowledged)} votes, load {psutil.getloadavg()[0]:.1f}", flush=True)
    tally.goal = 0  # whoever is still at it leaves
    for each in crowd:
        each.join(timeout=60)
    return tally


def check(profile: Profile, tally: Tally) -> dict[str, int]:
    """What the files say, after everything has stopped."""
    labels = profile.labels()
    there = dict(zip(labels.id.tolist(), labels.answer.tolist(), strict=True))
    return {
        "votes acknowledged": len(tally.acknowledged),
        "lost": sum(id_ not in there for id_ in tally.acknowledged),
        "changed": sum(there.get(id_, choice) != choice for id_, choice in tally.acknowledged.items()),
        "doubled": len(labels.id) - len(there),
        "never sent": sum(id_ not in tally.sent for id_ in there),
    }


def tell(tally: Tally, seconds: float, spent: float, profile: Profile) -> None:
    for what, name in TIMES.items():
        values = sorted(tally.times[what]) or [0.0]
        p95 = values[int(0.95 * (len(values) - 1))]
        median = statistics.median(values)
        print(LINE.format(what=name, median=median, p95=p95, worst=values[-1], count=len(values)))
    votes = len(tally.acknowledged)
    print(f"{votes / seconds:.1f} votes a second, {1000 * spent / votes:.0f} ms of the server's CPU for each")
    print(dict(tally.events))
    chosen = Counter(profile.labels().how.tolist()).most_common()
    print("pairs chosen: " + ", ".join(f"{how} {count / votes:.0%}" for how, count in chosen))
    newest = {role: checkpoint.newest(profile, role) for role in checkpoint.ROLES}
    print(", ".join(f"{role} version {made.number if made else 0}" for role, made in newest.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelers", type=int, default=50)
    parser.add_argument("--votes", type=int, default=10_000)
    parser.add_argument("--pace", type=float, default=2.0, help="seconds that a person looks at a pair, on average")
    parser.add_argument("--twice", type=float, default=0.2, help="share of answers sent twice")
    parser.add_argument("--dropped", type=float, default=0.05, help="share of answers whose receipt is lost")
    parser.add_argument("--minutes", type=float, default=60.0, help="after which it ends, however many votes there are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alife-web-") as folder:
        root, port = Path(folder) / "profiles", free_port()
        root.mkdir()
        process = launch(root, "crowd", port, "--share", "--host", "127.0.0.1")
        try:
            profile = wait_for_films(root, process)
            start, server = time.monotonic(), psutil.Process(process.pid)
            before = sum(server.cpu_times()[:2])
            tally = label(port, profile, options)
            seconds, spent = time.monotonic() - start, sum(server.cpu_times()[:2]) - before
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)
        finally:
            if process.poll() is None:
                kill_tree(process)
        tell(tally, seconds, spent, profile)
        found = check(Profile.open(root, "crowd"), tally)
        print(", ".join(f"{what}: {count}" for what, count in found.items()))


def wait_for_films(root: Path, process: Any) -> Profile:
    """The profile, as soon as there is something to look at and both models are about to train."""
    end = time.monotonic() + 2 * PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if (root / "crowd" / "profile.toml").exists():
            profile = Profile.open(root, "crowd")
            if len(profile.films().file) >= 4:
                return profile
        time.sleep(1)
    raise SystemExit("no films came")


if __name__ == "__main__":
    main()
