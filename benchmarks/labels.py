"""How much is learned from how many labels: the loop in one process, without Ray and without a profile.

    python -m benchmarks.labels --sims lenia --oracles movers,symmetry --generators gibbs,filter --budgets 25,50,100

Rounds of 25 labels: choose pairs, let the oracle's teacher answer them, fit the Rewardor, tell the Generator, simulate
six worlds per label where it wants to explore. These are the functions that a real run calls, in the same order; only
files, actors and people are missing.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models import ANSWERS, Generator, Labels, Rewardor, fit
from pipeline import evaluate, plugins, select
from pipeline.config import RolloutPlan
from pipeline.oracles import Oracle
from pipeline.roll import Roll, roll_here
from pipeline.teachers import Teacher

PLAN = RolloutPlan()
ROUND = 25
REFERENCE = 256


@dataclass(frozen=True)
class Worlds:
    """B simulated worlds: `unit` (B, D), `alive` (B,), `embedding` (B, F) and `utility` (B,), NaN where not alive."""

    unit: NDArray[np.float32]
    alive: NDArray[np.bool_]
    embedding: NDArray[np.float32]
    utility: NDArray[np.float32]

    def __add__(self, other: "Worlds") -> "Worlds":
        """All worlds of both."""
        columns = [(getattr(self, field.name), getattr(other, field.name)) for field in fields(self)]
        return Worlds(*[np.concatenate(pair) for pair in columns])


@dataclass
class Loop:
    """One oracle's taste, being learned.

    Attributes:
        roll: How to simulate.
        dim: D.
        oracle: Whose taste.
        teacher: How it answers.
        rewardor: Fitted to all labels after each round.
        generator: Told the whole archive after each round.
        seed: Fixes everything.
    """

    roll: Roll
    dim: int
    oracle: Oracle
    teacher: Teacher
    rewardor: Rewardor
    generator: Generator
    seed: int

    def run(self, labels: int) -> Iterator[int]:
        """Learn from rounds of labels; yields how many there are, 0 first, whenever the models know them all."""
        self.pairs: list[tuple[int, int]] = []
        self.answers: list[int] = []
        self.worlds = self._simulate(PLAN.prior)
        yield 0
        while len(self.pairs) < labels:
            self._label()
            self._fit()
            self.worlds += self._simulate(PLAN.per_label * ROUND)
            self._tell()
            yield len(self.pairs)

    def _simulate(self, count: int) -> Worlds:
        start = len(self.worlds.unit) if self.pairs else 0
        unit = self.generator.ask(count, self.seed * 100_000 + start, explore=True).numpy()
        seeds = np.random.default_rng([self.seed, start]).integers(2**62, size=count)
        rolled = self.roll(unit, seeds, {"embedding": self.rewardor.embed, "utility": self.oracle.utility})
        alive = np.array([status == "alive" for status in rolled.status])
        return Worlds(unit, alive, rolled.answers["embedding"], rolled.answers["utility"][:, 0])

    def _label(self) -> None:
        worlds, known = self.worlds, bool(self.pairs)
        reward = self.rewardor.forward(torch.from_numpy(worlds.embedding)).numpy() if known else None
        seed = self.seed * 100_000 + len(self.pairs)
        for choice in select.choose(ROUND, eligible=worlds.alive, reward=reward, answered=self.pairs, seed=seed):
            left, right = choice.left, choice.right
            answer = self.teacher.answer(worlds.utility[left], worlds.utility[right], str(left), str(right))
            self.pairs.append((left, right))
            self.answers.append(ANSWERS.index(answer))

    def _fit(self) -> None:
        left, right = torch.tensor(self.pairs).T
        labels = Labels(left, right, torch.tensor(self.answers), torch.zeros(len(left), dtype=torch.int64))
        reference = np.zeros(len(self.worlds.alive), bool)
        reference[np.flatnonzero(self.worlds.alive[: PLAN.prior])[:REFERENCE]] = True
        fit.fit_rewardor(self.rewardor, torch.from_numpy(self.worlds.embedding), labels, torch.from_numpy(reference))
        self._tell()

    def _tell(self) -> None:
        columns = (torch.from_numpy(part) for part in (self.worlds.unit, self.worlds.alive, self.worlds.embedding))
        self.generator.tell(fit.archive(self.rewardor, *columns))

    def measure(self, reference: evaluate.Reference) -> dict[str, float]:
        """What the Generator emits now."""
        score = self.rewardor.score if self.pairs else None
        questions = {"utility": self.oracle.utility, "embed": self.rewardor.embed}
        return evaluate.measure(reference, self.roll, self.generator, score, **questions, seed=self.seed)


@lru_cache
def make_reference(sim: str, oracle: str, seed: int) -> evaluate.Reference:
    """What all generators are measured against, simulated once."""
    world = plugins.load("sims", sim, {})
    utility, embed = plugins.load("oracles", oracle, {}).utility, plugins.load("rewardors", "common", {}).embed
    return evaluate.make_reference(roll_here(world), world.space.dim, utility=utility, embed=embed, seed=seed)


def make_loop(sim: str, oracle: str, generator: str, seed: int, teacher: Teacher) -> Loop:
    """A loop before its first label."""
    world = plugins.load("sims", sim, {})
    dim = world.space.dim
    made = plugins.load("generators", generator, {}, dim=dim, seed=seed)
    taste, rewardor = plugins.load("oracles", oracle, {}), plugins.load("rewardors", "common", {})
    return Loop(roll_here(world), dim, taste, teacher, rewardor, made, seed)


def curve(sim: str, oracle: str, generator: str, seed: int, budgets: Sequence[int]) -> Iterator[dict[str, float | str]]:
    """One row of figures per budget of labels; `cpu_s` is what learning took, without measuring."""
    reference = make_reference(sim, oracle, seed)
    loop = make_loop(sim, oracle, generator, seed, Teacher.calibrated(reference.utility, seed=seed))
    spent, start = 0.0, time.process_time()
    for labels in loop.run(max(budgets)):
        spent += time.process_time() - start
        if labels in budgets:
            row = loop.measure(reference)
            yield {
                "sim": sim,
                "oracle": oracle,
                "generator": generator,
                "seed": seed,
                "labels": labels,
                **row,
                "cpu_s": spent,
            }
        start = time.process_time()


def main() -> None:
    """Run all combinations, print a row for each, and write them to DIR/labels.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sims", default="lenia")
    parser.add_argument("--oracles", default=",".join(plugins.names("oracles")))
    parser.add_argument("--generators", default="gibbs,filter")
    parser.add_argument("--budgets", default="25,50,100")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    budgets = [int(budget) for budget in given.budgets.split(",")]
    names = [text.split(",") for text in (given.sims, given.oracles, given.generators)]
    rows = []
    for sim, oracle, seed, generator in product(*names[:2], range(given.seeds), names[2]):
        for row in curve(sim, oracle, generator, seed, budgets):
            rows.append(row)
            print(_line(row), flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "labels.json").write_text(json.dumps(rows, indent=2) + "\n")


def _line(row: dict[str, float | str]) -> str:
    return "  ".join(
        f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
    )


if __name__ == "__main__":
    main()
