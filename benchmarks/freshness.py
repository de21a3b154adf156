"""How much the pairs that people see make use of what people said: python -m benchmarks.freshness [--people 4].

Starts `alife run` on a fresh profile and labels over HTTP as the page does: one pair on the screen, two that wait, the
newest first. Prints, over all pairs that were shown after the random first ones: how many labels the Rewardor that
chose a pair did not know when the pair was handed out and when it was answered; in how many hand-outs it knew all
labels that were older than two seconds; how long a label waits for the version that knows it; what a request for pairs
takes; how often somebody had nothing to look at; and how often two people had the same world or pair on their screens.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.launcher import Visitor, free_port, kill_tree, launch
from pipeline import checkpoint
from pipeline.profile import Profile
from pipeline.select import WARM_UP

WAITING = 2
"""Pairs that wait in the page."""
SETTLED_S = 2.0
"""Labels older than this should be known."""


@dataclass
class Person:
    """Somebody at a page.

    Attributes:
        visitor: The browser.
        pause: Seconds to look at a pair.
        shown: For each answer: its label's id, both films, when it was handed out, shown and answered.
        requests: Seconds that requests for pairs took.
        idle: Seconds without a pair.
    """

    visitor: Visitor
    pause: float
    shown: list[tuple[str, frozenset[str], float, float, float]] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    idle: float = 0.0
    _queue: list[dict[str, Any]] = field(default_factory=list)

    def label(self, count: int) -> None:
        """Answer so many pairs, the left one always."""
        while len(self.shown) < count:
            while not self._queue:
                self._refill(None)
                self.idle += 0 if self._queue else 0.1
                time.sleep(0 if self._queue else 0.1)
            pair, since = self._queue.pop(0), time.time()
            while time.time() < since + self.pause:
                if len(self._queue) < WAITING:
                    self._refill(pair)
                time.sleep(0.4)
            vote = {"token": pair["token"], "answer": "left", "response_ms": int(1000 * self.pause)}
            now = time.time()
            receipt = self.visitor.post("/api/vote", vote)
            films = frozenset((pair["left"], pair["right"]))
            self.shown.append((receipt["id"], films, pair["at"], since, now))

    def _refill(self, current: dict[str, Any] | None) -> None:
        have = [pair["token"] for pair in (current, *self._queue) if pair]
        start = time.monotonic()
        new = self.visitor.post("/api/pairs", {"want": WAITING + 1 - len(have), "have": have})["pairs"]
        self.requests.append(time.monotonic() - start)
        self._queue[:0] = [pair | {"at": time.time()} for pair in new]


def main() -> None:
    """Run, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--labels", type=int, default=60, help="of each person")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds to look at a pair")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alife-fresh-") as folder:
        root, port = Path(folder) / "profiles", free_port()
        root.mkdir()
        process = launch(root, "fresh", port)
        try:
            people = [Person(Visitor(port), given.pause) for _ in range(given.people)]
            _wait_for_training(root, people[0].visitor)
            threads = [threading.Thread(target=person.label, args=[given.labels]) for person in people]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for name, value in figures(Profile.open(root, "fresh"), people).items():
                print(f"{name:64s} {value:8.2f}")
        finally:
            kill_tree(process)


def _wait_for_training(root: Path, visitor: Visitor) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        if visitor.up():
            profile = Profile.open(root, "fresh")
            if profile.held("rewardor") and profile.held("generator") and len(profile.films().file) > 4:
                return
        time.sleep(0.5)
    raise TimeoutError("the training jobs did not start")


def figures(profile: Profile, people: Sequence[Person]) -> dict[str, float]:
    """What the label table and the clocks of all people say."""
    labels = profile.labels()
    made = {each.number: each.snapshot["labels"] for each in checkpoint.manifests(profile, "rewardor")}
    row = {id_: number for number, id_ in enumerate(labels.id.tolist())}
    handed, answered, knew = [], [], []
    for id_, _, at, _, _ in (shown for person in people for shown in person.shown):
        if labels.how[row[id_]] == "random":
            continue
        known = made.get(int(labels.rewardor[row[id_]]), 0)
        handed.append(int((labels.time <= at).sum()) - known)
        answered.append(row[id_] - known)
        knew.append(int((labels.time <= at - SETTLED_S).sum()) <= known)
    requests = sorted(time for person in people for time in person.requests)
    waits = sorted(learned(profile))
    both, same = overlaps(people)
    return {
        "pairs that rules chose": len(handed),
        "labels unknown to a pair's Rewardor when handed out, mean": statistics.fmean(handed),
        "the same when answered, mean": statistics.fmean(answered),
        "the same when answered, worst": max(answered),
        f"share of hand-outs that knew all labels older than {SETTLED_S:.0f} s": statistics.fmean(knew),
        "a label until the version that knows it, median, s": statistics.median(waits),
        "the same, 95 %": waits[int(0.95 * (len(waits) - 1))],
        "the same, worst": waits[-1],
        "a request for pairs, median, ms": 1e3 * statistics.median(requests),
        "a request for pairs, 95 %, ms": 1e3 * requests[int(0.95 * (len(requests) - 1))],
        "seconds without a pair, all people, after the first": sum(person.idle for person in people),
        "times that two screens had a world in common": both,
        "times that two screens had the same pair": same,
        "films made per label": len(profile.films().file) / len(labels.id),
        "share of random pairs after the first ones": float((labels.how[WARM_UP:] == "random").mean()),
    }


def learned(profile: Profile) -> list[float]:
    """Seconds that each label waited for the version of the Rewardor that knows it."""
    made = [(each.snapshot["labels"], each.time) for each in checkpoint.manifests(profile, "rewardor")]
    told = enumerate(profile.labels().time.tolist())
    return [min(at for known, at in made if known > row) - time for row, time in told if row < max(made)[0]]


def overlaps(people: Sequence[Person]) -> tuple[int, int]:
    """How often two people looked at a common world at the same time, and at the same pair."""
    both = same = 0
    for place, person in enumerate(people):
        for other in people[place + 1 :]:
            for _, films, _, since, until in person.shown:
                at_once = [shown for shown in other.shown if shown[3] < until and since < shown[4]]
                both += sum(bool(films & shown[1]) for shown in at_once)
                same += sum(films == shown[1] for shown in at_once)
    return both, same


if __name__ == "__main__":
    main()
