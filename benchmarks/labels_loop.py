"""The loop in one process, without Ray and without a profile, and the figures that it reaches at each budget of labels.

Rounds of a few labels: choose pairs, let a teacher answer them, fit the Rewardor, tell the Generator, simulate as many
worlds as labels pay for where it wants to explore. These are the functions that a real run calls, in the same order;
only files, actors and people are missing.
"""

import inspect
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.labels_cache import Question, Remembered, Rows, digest, source_digest
from models import ANSWERS, Generator, Labels, Rewardor, fit
from pipeline import config, evaluate, plugins, select
from pipeline.config import Config, RolloutPlan
from pipeline.roll import Roll, roll_here
from pipeline.teachers import Panel, Preference, make_panel

REFERENCE = 256
"""Alive prior worlds on which a Rewardor learns its normalisation."""

EVERY = 10
"""Labels between two fits."""

EMITTED = 400
"""Worlds that the Generator emits for a measurement."""


@dataclass(frozen=True)
class Worlds:
    """B simulated worlds: `unit` (B, D), `alive` (B,), `embedding` (B, F) and `utility` (B, k), NaN where not alive."""

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
        prior: How to simulate the worlds before the first label.
        utility: Of an oracle.
        embed: Of the Rewardor.
        panel: Who answers.
        rewardor: Fitted to all labels after each round.
        generator: Told the whole archive after each fit, and again at each budget, when the worlds that the labels paid
            for are there. A real run tells it these every time, which changes nothing: each `tell` replaces the last.
        seed: Fixes everything.
        plan: How many worlds.
        every: Labels in a round.
        fresh: Whether each answer of a round is learned before the next question is chosen, with settings as they are.
    """

    roll: Roll
    prior: Roll
    utility: evaluate.Question
    embed: evaluate.Question
    panel: Panel
    rewardor: Rewardor
    generator: Generator
    seed: int
    plan: RolloutPlan = field(default_factory=RolloutPlan)
    every: int = EVERY
    fresh: bool = False

    def run(self, budgets: Sequence[int]) -> Iterator[int]:
        """Learn from rounds of labels; yields 0 and each budget when the models know all that it paid for."""
        self.pairs: list[tuple[int, int]] = []
        self.answers: list[tuple[int, int]] = []
        self.fitted = False
        self.worlds = self._simulate(self.prior, 0, self.plan.prior)
        yield 0
        for budget in sorted(budgets):
            while (count := len(self.pairs)) < budget:
                self._label(min(self.every - count % self.every, budget - count))
                self._fit()
                start = len(self.worlds.unit)
                self.worlds += self._simulate(self.roll, start, self.plan.per_label * (len(self.pairs) - count))
            self._tell()
            yield budget

    def _simulate(self, roll: Roll, start: int, count: int) -> Worlds:
        unit = self.generator.ask(count, self.seed * 100_000 + start, explore=True).numpy()
        seeds = np.random.default_rng([self.seed, start]).integers(2**62, size=count)
        rolled = roll(unit, seeds, {"embedding": self.embed, "utility": self.utility})
        alive = np.array([status == "alive" for status in rolled.status])
        return Worlds(unit, alive, rolled.answers["embedding"], rolled.answers["utility"])

    def _label(self, count: int) -> None:
        for number in range(count if self.fresh else 1):
            if number and self.fitted and len(self.pairs) >= select.WARM_UP:  # before, questions are random
                self._refit()
            self._ask(1 if self.fresh else count)

    def _ask(self, count: int) -> None:
        worlds = self.worlds
        reward = self.rewardor.forward(torch.from_numpy(worlds.embedding)).numpy() if self.fitted else None
        seed = self.seed * 100_000 + len(self.pairs)
        chosen = select.choose(count, eligible=worlds.alive, reward=reward, answered=self.pairs, seed=seed)
        if not chosen:
            raise RuntimeError(f"of {len(worlds.alive)} worlds {worlds.alive.sum()} live: no pair is left to compare")
        for choice in chosen:
            left, right, asked = choice.left, choice.right, len(self.pairs)
            answer, who = self.panel.answer(worlds.utility[left], worlds.utility[right], str(left), str(right), asked)
            self.pairs.append((left, right))
            self.answers.append((ANSWERS.index(answer), who))

    def _fit(self) -> None:
        fit.fit_rewardor(self.rewardor, *self._known())
        self.fitted = True
        self._tell()

    def _refit(self) -> None:
        self.rewardor.refit(*self._known())

    def _known(self) -> tuple[torch.Tensor, Labels, torch.Tensor]:
        """Embeddings, labels and reference."""
        labels = Labels(*torch.tensor(self.pairs).T, *torch.tensor(self.answers).T)
        reference = np.zeros(len(self.worlds.alive), bool)
        reference[np.flatnonzero(self.worlds.alive[: self.plan.prior])[:REFERENCE]] = True
        return torch.from_numpy(self.worlds.embedding), labels, torch.from_numpy(reference)

    def _tell(self) -> None:
        columns = (torch.from_numpy(part) for part in (self.worlds.unit, self.worlds.alive, self.worlds.embedding))
        self.generator.tell(fit.archive(self.rewardor, *columns))


@dataclass(frozen=True)
class Run:
    """One line of the table, at all its budgets: everything that decides what comes out.

    Attributes:
        config: Simulation, models, numbers of worlds and the seed.
        oracle: Whose taste.
        teacher: How it answers, by name in `pipeline.teachers.PEOPLE`.
        budgets: Numbers of labels to measure at, ascending.
        every: Labels between two fits.
        fresh: See `Loop`.
        emitted: Worlds in a measurement.
        oracles: All oracles that are asked about the same prior worlds: a matter of speed alone.
    """

    config: Config
    oracle: str
    teacher: str
    budgets: tuple[int, ...]
    every: int = EVERY
    fresh: bool = False
    emitted: int = EMITTED
    oracles: tuple[str, ...] = ()

    @property
    def drawn(self) -> int:
        """Worlds that the longest of a run's budgets pays for."""
        return self.config.rollouts.prior + self.config.rollouts.per_label * max(self.budgets)

    def rows(self, cache: Path) -> Rows:
        """Where measurements are kept: budgets share a file if the others do not cut rounds short."""
        cuts = [budget for budget in self.budgets if budget % self.every]
        inputs = (config.dump(self.config), self.oracle, self.teacher, cuts, self.every, self.fresh, self.emitted)
        return Rows(cache / "runs" / f"{digest(inputs, source_digest(*self._sources()))}.json", repr(inputs))

    def _sources(self) -> list[Path]:
        chosen = (("sims", self.config.sim), ("rewardors", self.config.rewardor), ("generators", self.config.generator))
        classes = [plugins.find(kind, plugin.name) for kind, plugin in chosen]  # type: ignore[arg-type]
        return [Path(__file__), *map(_file, [*classes, plugins.find("oracles", self.oracle)])]


def _file(cls: type) -> Path:
    return Path(inspect.getfile(cls))


class Stage:
    """What the runs of one simulation, Rewardor and seed have in common.

    Attributes:
        sim: The simulation.
        roll: How to simulate.
        prior: The same, for worlds that others have simulated or will.
        embed: What the Rewardor keeps of a clip.
        utility: What the run's oracle thinks of it.
        preference: How this oracle compares two, if not by their utilities.
    """

    def __init__(self, run: Run, cache: Path) -> None:
        plugin = run.config.sim
        self.sim, self.seed = plugins.load("sims", plugin.name, plugin.options), run.config.seed
        self.roll = roll_here(self.sim)
        oracles = {name: plugins.load("oracles", name, {}) for name in (run.oracle, *run.oracles)}
        self.preference: Preference | None = getattr(oracles[run.oracle], "preference", None)
        self.utility, self.embed = _utility(oracles[run.oracle]), _embed(run.config)
        folder = cache / "prior" / digest(plugin, source_digest(_file(type(self.sim))))
        self.prior = Remembered(self.roll, folder, [*map(_utility, oracles.values()), self.embed])

    def draw(self, start: int) -> None:
        """Simulate a block of the reference; the others may be simulated elsewhere meanwhile."""
        evaluate.draw_prior(self.prior, self.sim.space.dim, {"embedding": self.embed}, self.seed, start)

    def reference(self, drawn: int) -> evaluate.Reference:
        """See `evaluate.make_reference`."""
        questions = {"utility": self.utility, "embed": self.embed}
        return evaluate.make_reference(self.prior, self.sim.space.dim, **questions, seed=self.seed, drawn=drawn)

    def loop(self, run: Run, panel: Panel) -> Loop:
        """A loop before its first label."""
        models = run.config
        dim, seed = self.sim.space.dim, models.seed
        generator = plugins.load("generators", models.generator.name, models.generator.options, dim=dim, seed=seed)
        rewardor = plugins.load("rewardors", models.rewardor.name, models.rewardor.options)
        asked: dict[str, Any] = {"utility": self.utility, "embed": self.embed, "panel": panel}
        plan: dict[str, Any] = {"plan": models.rollouts, "every": run.every, "fresh": run.fresh}
        return Loop(self.roll, self.prior, rewardor=rewardor, generator=generator, seed=seed, **asked, **plan)


def _utility(oracle: Any) -> Question:
    """What an oracle thinks of clips; it changes with its own file, not with those of other oracles."""
    return Question(f"{digest(type(oracle).__name__, source_digest(_file(type(oracle))))}-utility", oracle.utility)


def _embed(chosen: Config) -> Question:
    """Rewardors raise their version when they embed differently: learning differently needs no new embeddings."""
    rewardor = plugins.load("rewardors", chosen.rewardor.name, chosen.rewardor.options)
    return Question(f"{digest(chosen.rewardor, rewardor.version)}-embedding", rewardor.embed)


def measured(run: Run, cache: Path) -> list[dict[str, float]]:
    """The run's figures at each budget, see `evaluate.measure`, with `labels` and `cpu_s`: CPU without measuring."""
    rows = run.rows(cache)
    if not set(run.budgets) <= rows.read().keys():
        _measure_missing(run, rows, Stage(run, cache))
    return [{"labels": budget, **rows.read()[budget]} for budget in run.budgets]


def _measure_missing(run: Run, rows: Rows, stage: Stage) -> None:
    reference = stage.reference(run.drawn)
    panel = make_panel(run.teacher, reference.standard, seed=run.config.seed, preference=stage.preference)
    exam, loop = reference.exam(panel, run.config.seed), stage.loop(run, panel)
    there, progress = rows.read(), loop.run(run.budgets)
    stage.prior.cpu_s = 0.0
    assert next(progress) == 0  # the worlds before the first label may come from the disk: their cost is remembered
    spent, start = stage.prior.cpu_s, time.process_time()
    for labels in progress:
        spent += time.process_time() - start
        if labels not in there:
            rows.add(labels, _measure(loop, reference, exam, run.emitted) | {"cpu_s": spent})
        start = time.process_time()


def _measure(loop: Loop, reference: evaluate.Reference, exam: evaluate.Exam, emitted: int) -> dict[str, float]:
    return evaluate.measure(
        reference,
        loop.roll,
        loop.generator,
        loop.rewardor if loop.fitted else None,
        utility=loop.utility,
        embed=loop.embed,
        seed=loop.seed,
        simulated=len(loop.worlds.unit),
        exam=exam,
        emitted=emitted,
    )


def make_run(settings: Sequence[str], seed: int, oracle: str, teacher: str, budgets: Sequence[int], **more: Any) -> Run:
    """A run of settings as `alife --set` takes them: "sim.name=lenia", "generator.kl=3".

    Raises:
        ConfigError: Unknown, or out of range.
    """
    made = replace(Config(), seed=seed)
    for setting in settings:
        made = config.set_value(made, setting)
    return Run(made, oracle, teacher, tuple(sorted(budgets)), **more)
