"""How long a person waits: for the page, for the first pair, and for their answers to be learned.

    python -m benchmarks.startup --runs 3

Starts `alife run` on a fresh profile each time, labels pairs over HTTP as the page does, and prints, with medians:
seconds from process start to the page and to the first pair, seconds from a vote to the Rewardor that knows it and from
there to the Generator that knows that, and the summed PSS of all processes while everything is busy.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.launcher import Visitor, free_port, kill_tree, launch
from pipeline import checkpoint
from pipeline.profile import Profile

VOTES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="how often to start")
    runs = [measure(number) for number in range(parser.parse_args().runs)]
    for key in runs[0]:
        values = [run[key] for run in runs]
        print(f"{key:28s} median {statistics.median(values):6.2f}   {'  '.join(f'{value:.2f}' for value in values)}")


def measure(number: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="alife-startup-") as folder:
        root = Path(folder) / "profiles"
        root.mkdir()
        visitor = Visitor(free_port())
        start = time.monotonic()
        process = launch(root, "timed", int(visitor.url.rpartition(":")[2]))
        try:
            figures = {"page answers, s": wait(visitor.up, start)}
            figures["first pair, s"] = wait(lambda: bool(visitor.post("/api/pairs", {"want": 1})["pairs"]), start)
            profile = Profile.open(root, "timed")
            wait(lambda: profile.held("rewardor") and profile.held("generator"), start)
            figures["both training jobs warm, s"] = time.monotonic() - start
            return figures | lags(profile, visitor) | {"summed PSS, GB": memory(process.pid)}
        finally:
            kill_tree(process)
            print(f"run {number + 1} done", flush=True)


def lags(profile: Profile, visitor: Visitor) -> dict[str, float]:
    """Medians over votes of what it takes until both models know them, each waited for before the next."""
    to_rewardor, to_generator = [], []
    for vote in range(1, VOTES + 1):
        visitor.label(1, "left" if vote % 2 else "right", pause=0)
        start = time.monotonic()
        to_rewardor.append(wait(lambda vote=vote: known(profile) >= vote, start))
        number = checkpoint.newest(profile, "rewardor").number
        start = time.monotonic()
        to_generator.append(wait(lambda number=number: told(profile) >= number, start))
    return {
        "vote to rewardor, s": statistics.median(to_rewardor),
        "vote to rewardor, worst, s": max(to_rewardor),
        "rewardor to generator, s": statistics.median(to_generator),
        "rewardor to generator, worst": max(to_generator),
    }


def known(profile: Profile) -> int:
    newest = checkpoint.newest(profile, "rewardor")
    return newest.snapshot["labels"] if newest else 0


def told(profile: Profile) -> int:
    newest = checkpoint.newest(profile, "generator")
    return newest.snapshot["rewardor"] if newest else 0


def memory(pid: int) -> float:
    """Proportional set size of a process and all that it started, in GB."""
    tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in tree if process.is_running()) / 1e9


def wait(done: Callable[[], bool], start: float, patience: float = 300.0) -> float:
    """Seconds from `start` until something is done."""
    while not done():
        if time.monotonic() - start > patience:
            raise TimeoutError("waited in vain")
        time.sleep(0.05)
    return time.monotonic() - start


if __name__ == "__main__":
    main()
