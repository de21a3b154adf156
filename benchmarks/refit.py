"""What it costs to learn one more label: python -m benchmarks.refit [--labels 100 300 1000 2000] [--worlds 3000].

A profile in a temporary folder with synthetic worlds, as many features as `common` has, and answers about some taste
for them. Printed are seconds of CPU and of the clock for what a training job does after one more answer, from looking
at the files to the version on disk: `refit` with the settings that are there; `search` for new ones, which is due when
labels have grown by a quarter; a look at files that finds nothing due; and the mean and the longest wall time of refits
while such a search is under way in the process beside, with the memory of that process (its share, PSS).
"""

import argparse
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import torch

from models.rewardors._features import F
from models.rewardors.common import Common
from pipeline import loop
from pipeline.beside import Beside
from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.rows import EmbeddingTable, RolloutTable, Vote
from sims.lenia import Lenia

PRIOR = 300


def main() -> None:
    """Print a row for each number of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 300, 1000, 2000])
    parser.add_argument("--worlds", type=int, default=3000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("labels  refit: CPU s, wall s   search: CPU s, wall s   a look: CPU s, wall s   beside: mean s, most s   MB")
    for labels in given.labels:
        with tempfile.TemporaryDirectory() as root:
            profile = make(Path(root), given.worlds)
            rows = [*measure(profile, labels), beside(profile)]
        print(f"{labels:6}" + "".join(f"{a:14.3f} {b:8.3f}" for a, b, *_ in rows), f"{rows[-1][-1]:6.0f}", flush=True)


def measure(profile: Profile, labels: int) -> Iterator[tuple[float, float]]:
    """CPU and wall seconds of a refit after one more answer, of a search, and of a look."""
    answer(profile, labels - 1)
    search = _seconds(lambda: loop.fit(profile))  # the first version has no settings to start from
    answer(profile, 1)
    yield _seconds(lambda: loop.due_refit(profile) and loop.refit(profile))
    yield search
    yield _seconds(lambda: loop.due_fit(profile))


def beside(profile: Profile) -> tuple[float, float, float]:
    """Wall seconds of refits while a search is under way, mean and most; and the megabytes that this takes."""
    times = []
    with contextlib.closing(Beside(loop.search)) as other:
        while other(profile) is None:  # until its process has started
            time.sleep(0.1)
        while other(profile) is None:
            answer(profile, 1)
            times.append(_seconds(lambda: loop.refit(profile))[1])
        memory = sum(psutil.Process(each.pid).memory_full_info().pss for each in multiprocessing.active_children())
    return float(np.mean(times)), max(times), memory / 2**20


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def make(root: Path, worlds: int) -> Profile:
    """A profile with as many living worlds, whose features are random; some are of the prior."""
    profile = Profile.create(root, "synthetic", Config())
    draw = np.random.default_rng(0)
    text = {name: np.full(worlds, value, object) for name, value in {"status": "alive", "error": ""}.items()}
    text["id"] = np.array([f"world{n}" for n in range(worlds)], object)
    text["origin"] = np.where(np.arange(worlds) < PRIOR, "prior", "generator").astype(object)
    rows = {"block": np.arange(worlds), "seed": np.arange(worlds), "generator": np.zeros(worlds, np.int64)}
    values = draw.normal(size=(worlds, F)).astype(np.float32)
    unit = draw.random((worlds, Lenia().space.dim), np.float32)
    profile.add_rollouts(RolloutTable(**text, **rows, unit=unit, time=np.zeros(worlds)))
    source = np.array([f"{n:016x}" for n in range(worlds)], object)
    profile.add_embeddings("common", Common.version, EmbeddingTable(rollout=text["id"], source=source, values=values))
    return profile


def answer(profile: Profile, count: int) -> None:
    """Answers about any two worlds, by a taste for a few features."""
    table, start = profile.embeddings("common", Common.version), len(profile.labels().id)
    draw = np.random.default_rng(start)
    left = draw.integers(len(table.rollout), size=count)
    right = (left + draw.integers(1, len(table.rollout), size=count)) % len(table.rollout)
    better = table.values[left, :9].sum(1) + draw.logistic(size=count) > table.values[right, :9].sum(1)
    told = zip(table.rollout[left], table.rollout[right], np.where(better, "left", "right").tolist(), strict=True)
    profile.add_votes(
        [Vote(id=f"v{start + n}", left=a, right=b, answer=said, labeler="me") for n, (a, b, said) in enumerate(told)]
    )


if __name__ == "__main__":
    main()
