"""What is lost, and for how long, when something is killed: python -m benchmarks.faults --kills 50 --out faults.

Starts `alife run` on a fresh profile, lets somebody label at a human pace (with double clicks, and undos), and ends one
process with `kill -9` at a random moment, again and again:

page     the process of `alife label`, while `alife train` trains beside it
actor    one simulator
trainer  one worker of a training job
driver   the process of `alife run`, which serves the page and drives the rest
tree     everything at once

A command that ended is given again. Measured are the seconds until an answer is acknowledged again (the person's look
at the pair included), until a world or a film is there, and until both models know all answers; then all that must hold
is checked (see `invariants`), and the processes that outlived their launcher are counted. With `--every 5` only each
fifth kill of a kind waits for the models, and the others meet a run that is still getting up. Each kill is a line of
`OUT/kills.jsonl`; the same command goes on where it stopped.
"""

import argparse
import json
import math
import os
import random
import re
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.invariants import violations
from benchmarks.launcher import PATIENCE_S, Visitor, free_port, kill_tree, launch, start
from benchmarks.person import Person
from pipeline import checkpoint, loop
from pipeline.profile import Profile

WHAT = ("page", "actor", "trainer", "driver", "tree")
APART = ("page",)
"""What is killed where the page and training are commands of their own."""
NAMED = {"actor": re.compile(r"ray::_Simulator"), "trainer": re.compile(r"ray::\w*TrainWorker")}
"""How Ray calls the processes."""
MEASURED = {
    "resume_s": "to the next answer",
    "cpu_s": "CPU of the new page until then",
    "simulated_s": "to the next world or film",
    "rewardor_s": "to a rewardor that knows all",
    "generator_s": "to its generator",
}
STOCK = 24
"""Films with which it begins: without any, nobody can label before simulators are up again, whatever was killed."""
GOAL_S = 30.0
"""Within this time labeling should go on."""


class Stage:
    """A launcher, somebody who labels, and a knife.

    Args:
        root: An empty folder.
        seed: Of all chances.
        apart: Whether page and training are commands of their own.
        patience_s: How long to wait for anything, in seconds.
    """

    name = "victim"

    def __init__(self, root: Path, seed: int, *, apart: bool = False, patience_s: float = PATIENCE_S) -> None:
        self.root, self.apart, self.patience_s = root, apart, patience_s
        self.chance, self.orphans = random.Random(seed), list[psutil.Process]()
        self.visitor = Visitor(free_port())
        self._port = int(self.visitor.url.rpartition(":")[2])
        self._closed = threading.Event()
        self._trainer = threading.Thread(target=self._train, daemon=True)
        self._training: subprocess.Popen[bytes] | None = None
        root.mkdir(parents=True)
        if apart:
            start(root, "new", self.name).wait(timeout=60)
            self._trainer.start()
        self.process = self._launch()
        self.person = Person(self.visitor, seed)

    def _launch(self) -> subprocess.Popen[bytes]:
        return launch(self.root, self.name, self._port, verb="label" if self.apart else "run")

    def _train(self) -> None:
        """Train whenever something is due, by a command that ends when nothing is."""
        profile = Profile.open(self.root, self.name)
        while not self._closed.is_set():
            if loop.due_fit(profile) or loop.due_tell(profile):
                self._training = start(self.root, "train", self.name)
                self._training.wait()
            time.sleep(0.2)

    def close(self) -> None:
        """End everything."""
        self._closed.set()
        self.person.close()
        while self.process.poll() is None or self._trainer.is_alive():  # which may be about to start another command
            for process in (self.process, self._training):
                if process and process.poll() is None:
                    kill_tree(process)
            time.sleep(0.1)
        for orphan in filter(psutil.Process.is_running, self.orphans):
            orphan.kill()

    def warm(self) -> None:
        """Return once people label, both models train and there are films for a while."""
        self.until(lambda: self.person.acknowledged > 0, "the first answer")
        profile = Profile.open(self.root, self.name)
        self.until(lambda: all(checkpoint.newest(profile, role) for role in checkpoint.ROLES), "both models")
        self.until(lambda: len(profile.films().file) >= STOCK, f"{STOCK} films")

    def kill(self, what: str) -> None:
        """End a process, and give the command again if it was the command's."""
        if what in NAMED:
            victim = self.chance.choice(self.until(lambda: self._named(NAMED[what]), f"a process of the {what}"))
            victim.kill()
            return
        self.orphans += psutil.Process(self.process.pid).children(recursive=True)
        if what == "tree":
            kill_tree(self.process)
        else:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=30)
        self.process = self._launch()

    def strike(self, what: str) -> float:
        """Kill, and wait until somebody's answer is acknowledged again; returns how many seconds that took."""
        at = time.monotonic()
        self.kill(what)
        self.until(lambda: self.person.acknowledged > at, f"an answer after the end of the {what}")
        return self.person.acknowledged - at

    def _named(self, pattern: re.Pattern[str]) -> list[psutil.Process]:
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if pattern.match(" ".join(process.cmdline())):
                    found.append(process)
        return found

    def until(self, done: Callable[[], Any], what: str) -> Any:
        """Wait for something; returns it.

        Raises:
            TimeoutError: It never came.
        """
        end = time.monotonic() + self.patience_s
        while not (found := done()):
            if time.monotonic() > end:
                raise TimeoutError(f"waited in vain for {what}")
            time.sleep(0.05)
        return found


def once(stage: Stage, what: str, longest_s: float = 6.0, *, patient: bool = True) -> dict[str, Any]:
    """Kill once, after at most `longest_s` seconds, and measure what follows, for the patient until models know all."""
    profile = Profile.open(stage.root, stage.name)
    pause = stage.chance.uniform(0.0, longest_s)
    time.sleep(pause)
    votes, simulated = len(stage.visitor.diary.saved), made(profile)
    at = time.monotonic()
    times = {"resume_s": stage.strike(what)}
    if what not in NAMED:
        cpu = psutil.Process(stage.process.pid).cpu_times()
        times["cpu_s"] = cpu.user + cpu.system
    if patient:
        stage.until(lambda: made(profile) > simulated, "a world or a film")
        times["simulated_s"] = time.monotonic() - at
    stage.person.pause()
    if patient:
        stage.until(lambda: knows(profile), "the rewardor")
        times["rewardor_s"] = time.monotonic() - at
        stage.until(lambda: knows(profile) and told(profile), "the generator")
        times["generator_s"] = time.monotonic() - at
    wrong = violations(stage.root, stage.name, stage.visitor.diary) + stage.person.trouble
    stage.person.go()
    return times | {
        "waited_s": pause,
        "answers": votes,
        "undone": len(stage.visitor.diary.undone),
        "orphans": sum(map(psutil.Process.is_running, stage.orphans)),
        "load": os.getloadavg()[0],
        "violations": wrong,
    }


def made(profile: Profile) -> int:
    """How much was simulated."""
    return len(profile.rollouts().id) + len(profile.films().file)


def knows(profile: Profile) -> bool:
    """Whether the newest Rewardor knows exactly the answers that count."""
    newest, labels = checkpoint.newest(profile, "rewardor"), profile.labels()
    return newest is not None and newest.snapshot["digest"] == loop.digest(labels, len(labels.id))


def told(profile: Profile) -> bool:
    """Whether the newest Generator knows the newest Rewardor."""
    newest = [checkpoint.newest(profile, role) for role in checkpoint.ROLES]
    rewardor, generator = newest
    return rewardor is not None and generator is not None and generator.snapshot["rewardor"] == rewardor.number


@contextmanager
def staged(root: Path, seed: int, *, apart: bool = False, patience_s: float = PATIENCE_S) -> Iterator[Stage]:
    """A stage that is warm, and ended afterwards."""
    stage = Stage(root, seed, apart=apart, patience_s=patience_s)
    try:
        stage.warm()
        yield stage
    finally:
        stage.close()


def run(asked: Sequence[str], given: argparse.Namespace) -> None:
    """Kill by turns until there are so many of each; where something never comes back, say so and go on afresh."""
    out = given.out
    while due := _due(asked, given.kills, out):
        seed = given.seed + len(rows(out))
        with (
            tempfile.TemporaryDirectory(prefix="alife-faults-") as folder,
            staged(Path(folder) / "profiles", seed, apart="page" in asked, patience_s=given.patience) as stage,
        ):
            for what in due:
                patient = (1 + _done(out)[what]) % given.every == 0
                row = {"what": what, "seed": seed, **_survived(stage, what, patient)}
                with (out / "kills.jsonl").open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
                if "events" in row:
                    break


def _due(asked: Sequence[str], kills: int, out: Path) -> list[str]:
    """What is still to be killed, by turns."""
    done = _done(out)
    return [what for turn in range(kills) for what in asked if done[what] <= turn]


def _done(out: Path) -> Counter[str]:
    return Counter(row["what"] for row in rows(out))


def _survived(stage: Stage, what: str, patient: bool) -> dict[str, Any]:
    """What followed a kill; where something never came back, the last that the profile says."""
    try:
        return once(stage, what, patient=patient)
    except TimeoutError as error:
        events = Profile.open(stage.root, stage.name).events().text.tolist()
        return {"violations": [str(error)], "events": events[-3:]}


def rows(out: Path) -> list[dict[str, Any]]:
    """The kills so far."""
    path = out / "kills.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(all_rows: list[dict[str, Any]]) -> str:
    """What was measured, in Markdown: medians and the worst."""
    head = ["killed", "kills", *MEASURED.values(), "load", "violations"]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for what in WHAT:
        of = [row for row in all_rows if row["what"] == what]
        if of:
            cells = [_cell([row[key] for row in of if key in row]) for key in MEASURED]
            loads = sorted(row["load"] for row in of if "load" in row) or [math.nan]
            cells += [f"{loads[0]:.0f} to {loads[-1]:.0f}", str(sum(len(row["violations"]) for row in of))]
            lines.append(f"| {what} | {len(of)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.1f} s, {max(seconds):.1f} s" if seconds else ""


def main() -> None:
    """Kill what was asked for, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", default=",".join(WHAT), help="which, separated by commas")
    parser.add_argument("--kills", type=int, default=50, help="of each")
    parser.add_argument("--every", type=int, default=1, help="only each so many kills wait for both models")
    parser.add_argument("--out", type=Path, required=True, help="a folder to keep what was measured")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds to wait for anything")
    given = parser.parse_args()
    asked = given.what.split(",")
    if unknown := set(asked) - set(WHAT):
        parser.error(f"{', '.join(sorted(unknown))} cannot be killed; allowed: {', '.join(WHAT)}")
    given.out.mkdir(parents=True, exist_ok=True)
    for together in (APART, tuple(what for what in WHAT if what not in APART)):
        run([what for what in asked if what in together], given)
    print(table(rows(given.out)))
    slow = [row for row in rows(given.out) if row.get("resume_s", math.inf) > GOAL_S]
    wrong = sorted({each for row in rows(given.out) for each in row["violations"]})
    print(f"\nslower than {GOAL_S:.0f} s: {len(slow)}; violations: {wrong or 'none'}")


if __name__ == "__main__":
    main()
