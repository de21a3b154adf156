"""A program in the labeler's chair: the very same loop, with nobody at the page.

A program answers in rounds and waits between rounds until both models know all its answers and the worlds that these
paid for are there. So what comes out depends on the seed, and not on how fast the machine is.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

from pipeline import checkpoint, cluster, evaluate, loop, plugins, select
from pipeline import train as training
from pipeline.driver import Driver, Embed
from pipeline.ending import unhurried
from pipeline.evaluate import Question
from pipeline.journal import Journal
from pipeline.oracles import Oracle
from pipeline.profile import Profile
from pipeline.rewards import rewards
from pipeline.rollouts import Pool
from pipeline.root import Root
from pipeline.rows import PROGRAM, Vote
from pipeline.teachers import make_panel

ROUND = 25
"""Answers between two looks at the models."""
MILESTONES = (0, 25, 50, 100, 200, 300)
"""Numbers of labels at which the Generator is measured; the last label is one too."""
PATIENCE = 5
"""Errors after which a run gives up: nobody is there to mend them."""


def run(root: Root, name: str, oracle: str, labels: int, report: Path | None = None) -> list[dict[str, float]]:
    """Let an oracle answer until there are `labels` labels, and measure the Generator on the way.

    Args:
        root: Where the profiles are.
        name: The profile; its seed fixes worlds and answers.
        oracle: Name of an oracle, or "package.module:Class".
        labels: How many labels there shall be.
        report: Where the measurements go, as JSON; what it holds already is not measured again.

    Returns:
        One row per milestone, see `evaluate.measure`.
    """
    profile = Profile.open(root, name)
    judge: Oracle = plugins.load("oracles", oracle, {})
    with profile.claim("train"):
        cluster.start()
        plan = cluster.plan(cluster.nodes(), train=True, actor=profile.config.rollouts.actor_cpus)
        print(f"Ray: {plan}", flush=True)
        there = str(root.resolve())
        jobs = [training.start(there, name, role, cpus=plan.train, head=plan.head) for role in checkpoint.ROLES]
        try:
            return _Run(profile, oracle, judge, plan, labels, report).go()
        finally:
            with unhurried():
                for job in jobs:
                    training.stop(job)
                cluster.stop()


class _Run:
    """One unattended run."""

    def __init__(
        self, profile: Profile, name: str, judge: Oracle, plan: cluster.ResourcePlan, labels: int, report: Path | None
    ) -> None:
        config = profile.config
        self.profile, self.labels, self.report = profile, labels, report
        self.sim = plugins.load("sims", config.sim.name, config.sim.options)
        worlds = config.rollouts
        self.pool = Pool(
            config.sim, places=plan.places, cpus=plan.actor, timeout=worlds.timeout_s, memory=worlds.memory_mb
        )
        self.utility, self.table = judge.utility, f"oracle-{name}"
        self.preference = getattr(judge, "preference", None)
        self.driver = Driver(profile, self.sim, self.pool, ask={self.table: self.utility}, patient=True)
        self.rows = _measured(report, profile.name)
        self.journal = Journal(profile)
        self.tolerated = int((profile.events().kind == "error").sum())
        self.spent_measuring = 0.0
        self.reach, self.look_at = cluster.Reach(plan), 0.0

    def go(self) -> list[dict[str, float]]:
        """Rounds until the last label."""
        self._say("simulating the prior")
        self._settle()
        self._say("simulating a reference")
        self._measure_time(self._refer)
        for target in self._milestones():
            while (count := self._count()) < target:
                self._answer(min(ROUND - count % ROUND, target - count))
                self._settle()
            if target not in {row["labels"] for row in self.rows}:
                self._measure_time(self._measure)
        return self.rows

    def _milestones(self) -> Iterator[int]:
        yield from (stone for stone in MILESTONES if stone < self.labels)
        yield self.labels

    def _count(self) -> int:
        return len(self.profile.labels().id)

    def _settle(self) -> None:
        """Until nothing is due.

        Raises:
            RuntimeError: Training fails again and again.
        """
        while self.pool.keys or self.driver.unanswered() or not loop.settled(self.profile):
            self.driver.tick()
            self._look()
            events = self.profile.events()
            errors = [text for text, kind in zip(events.text, events.kind, strict=True) if kind == "error"]
            if len(errors) - self.tolerated > PATIENCE:
                raise RuntimeError(f"training fails again and again: {errors[-1]}")

    def _look(self) -> None:
        if time.monotonic() > self.look_at:
            self.pool.spread(cluster.spread(self.reach, self.driver.waiting(), busy=bool(self.pool.keys)))
            self.look_at = time.monotonic() + cluster.LOOK_S

    def _refer(self) -> None:
        seed, plan = self.profile.config.seed, self.profile.config.rollouts
        drawn = plan.prior + plan.per_label * self.labels
        self.reference = evaluate.make_reference(
            self.pool, self.sim.space.dim, utility=self.utility, embed=self._embed, seed=seed, drawn=drawn
        )
        self.panel = make_panel("human", self.reference.standard, seed=seed, preference=self.preference)
        self.exam = self.reference.exam(self.panel, seed)

    @property
    def _embed(self) -> Question:
        return Embed(self.profile.config.rewardor)

    def _answer(self, count: int) -> None:
        """Choose pairs and answer them, all in one write: so a crash never leaves half a round."""
        votes = [self._vote(choice, asked) for asked, choice in enumerate(self._choose(count), self._count())]
        self.profile.add_votes(votes)

    def _choose(self, count: int) -> list[select.Choice]:
        rollouts, labels = self.profile.rollouts(), self.profile.labels()
        row = {id_: number for number, id_ in enumerate(rollouts.id.tolist())}
        reward = rewards(self.profile, rollouts.id)
        return select.choose(
            count,
            eligible=rollouts.status == "alive",
            reward=reward if reward.shape[1] else None,
            answered=[(row[a], row[b]) for a, b in zip(labels.left.tolist(), labels.right.tolist(), strict=True)],
            seed=self.profile.config.seed * 1_000_003 + len(labels.id),
        )

    def _vote(self, choice: select.Choice, asked: int) -> Vote:
        rollouts = self.profile.rollouts()
        left, right = str(rollouts.id[choice.left]), str(rollouts.id[choice.right])
        values = self._utilities
        return Vote(
            id=hashlib.blake2b(f"{PROGRAM}/{left}/{right}".encode(), digest_size=16).hexdigest(),
            left=left,
            right=right,
            left_source=self._sources[left],
            right_source=self._sources[right],
            answer=self.panel.answer(values[left], values[right], left, right, asked)[0],
            labeler=PROGRAM,
            how=choice.how,
            probability=choice.probability,
            rewardor=self._version("rewardor"),
            generator=self._version("generator"),
        )

    def _version(self, role: checkpoint.Role) -> int:
        newest = loop.newest(self.profile, role)
        return newest.number if newest else -1

    @property
    def _utilities(self) -> dict[str, np.ndarray]:
        table = self.profile.embeddings(self.table, 1)
        return dict(zip(table.rollout.tolist(), table.values, strict=True))

    @property
    def _sources(self) -> dict[str, str]:
        table = self.profile.embeddings(self.table, 1)
        return dict(zip(table.rollout.tolist(), table.source.tolist(), strict=True))

    def _measure(self) -> None:
        count = self._count()
        rewardor = loop.load_rewardor(self.profile) if count else None
        row = evaluate.measure(
            self.reference,
            self.pool,
            loop.load_generator(self.profile, self.sim.space.dim),
            rewardor,
            utility=self.utility,
            embed=self._embed,
            seed=self.profile.config.seed,
            simulated=len(self.profile.rollouts().id),
            exam=self.exam,
        )
        self.rows.append({"labels": count, **row, "cpu_s": cpu_seconds() - self.spent_measuring})
        if self.report:
            evaluate.write_report(self.report, self.profile.name, self.rows)
        self._say(f"beats {row['win_alive']:.0%} of living prior worlds, diversity {row['diversity']:.2f}")

    def _measure_time(self, work: Callable[[], None]) -> None:
        """Do work that belongs to the measuring and not to the loop: its CPU time is not the loop's."""
        before = cpu_seconds()
        work()
        self.spent_measuring += cpu_seconds() - before

    def _say(self, text: str) -> None:
        self.journal.tell()
        print(f"{time.strftime('%H:%M:%S')} {self._count():4d} labels · {text}", flush=True)


def cpu_seconds() -> float:
    """CPU time of this process and all that it started, as far as these still run."""
    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        try:
            spent = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system
    return total


def _measured(report: Path | None, name: str) -> list[dict[str, float]]:
    """The rows of an earlier, interrupted run."""
    if report is None or not report.exists():
        return []
    there = json.loads(report.read_text())
    return there["budgets"] if there.get("profile") == name else []
