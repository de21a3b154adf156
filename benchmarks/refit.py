"""What it costs to learn one more label: python -m benchmarks.refit [--labels 100 300 1000 2000] [--worlds 3000].

A profile in a temporary folder with synthetic worlds, as many features as `common` has, and answers about some taste
for them. Printed are seconds of CPU and of the clock for what a training job does after one more answer, from looking
at the files to the version on disk: `refit` with the settings that are there, then `search` for new ones, which is due
when labels have grown by a quarter; and for a look at files that finds nothing due.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from models.rewardors._features import F
from models.rewardors.common import Common
from pipeline import loop
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
    print("labels  refit: CPU s, wall s   search: CPU s, wall s   a look: CPU s, wall s")
    for labels in given.labels:
        with tempfile.TemporaryDirectory() as root:
            rows = list(measure(make(Path(root), given.worlds), labels))
        print(f"{labels:6}" + "".join(f"{cpu:14.3f} {wall:8.3f}" for cpu, wall in rows), flush=True)


def measure(profile: Profile, labels: int) -> Iterator[tuple[float, float]]:
    """CPU and wall seconds of a refit after one more answer, of a search, and of a look."""
    answer(profile, labels - 1)
    search = _seconds(lambda: loop.fit(profile))  # the first version has no settings to start from
    answer(profile, 1)
    yield _seconds(lambda: loop.due_fit(profile) and loop.fit(profile))
    yield search
    yield _seconds(lambda: loop.due_fit(profile))


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
