"""A profile that lives in this process: the driver sees no difference, and a test need not wait for Ray."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.invariants import Diary
from pipeline import checkpoint, plugins, train
from pipeline.config import Config, Plugin, RolloutPlan
from pipeline.driver import Driver
from pipeline.profile import Profile
from pipeline.roll import roll_here
from pipeline.rollouts import Job
from pipeline.rows import RolloutTable, Vote

SMALL = Config(
    sim=Plugin(name="tests.sims.toy:Toy", options={"steps": 31}),
    generator=Plugin(name="filter"),
    rollouts=RolloutPlan(prior=40, per_label=2, block=20),
)


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """The power stays on meanwhile: what is written need not be synced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


class Here:
    """A pool of one, that simulates while it is asked to."""

    def __init__(self, sim) -> None:
        self.jobs: dict[object, Job] = {}
        self.free = 100
        self.roll = roll_here(sim)

    @property
    def keys(self) -> set[object]:
        return set(self.jobs)

    def submit(self, job: Job) -> None:
        self.jobs.setdefault(job.key, job)

    def collect(self, _timeout: float) -> list:
        done = [(job, self.roll(job.unit, job.seeds, job.ask, job.film)) for job in self.jobs.values()]
        self.jobs.clear()
        return done


def settle(profile: Profile) -> None:
    """Simulate and train until nothing is due, with a film of each living world of the first block."""
    sim = plugins.load("sims", profile.config.sim.name, profile.config.sim.options)
    one = Driver(profile, sim, Here(sim))
    for _ in range(2):
        for _ in range(3):
            one.tick(0)
        for role in checkpoint.ROLES:
            train.train(profile, role, once=True)


def worlds(profile: Profile, count: int) -> list[str]:
    """Living worlds that nobody simulated; returns their ids."""
    unit = np.random.default_rng(0).random((count, 3), np.float32)
    ids = [profile.rollout_id(row, seed) for seed, row in enumerate(unit)]
    texts = {"status": "alive", "origin": "browse", "error": ""}
    numbers = {"block": np.full(count, -1), "seed": np.arange(count), "generator": np.full(count, -1)}
    columns = numbers | {name: np.full(count, text) for name, text in texts.items()}
    profile.add_rollouts(RolloutTable(id=np.array(ids), unit=unit, time=np.zeros(count), **columns))
    return ids


def answer(profile: Profile, count: int, who: str = "me") -> None:
    """Some votes on pairs of living worlds, for the one with the smaller id."""
    rollouts, start = profile.rollouts(), len(profile.label_events().id)
    alive = rollouts.id[rollouts.status == "alive"].tolist()
    pairs = [(alive[n % len(alive)], alive[(n + 3) % len(alive)]) for n in range(start, start + count)]
    told = [(f"{who}{start + n}", a, b, "left" if a < b else "right") for n, (a, b) in enumerate(pairs)]
    profile.add_votes([Vote(id=id_, left=a, right=b, answer=said, labeler=who) for id_, a, b, said in told])


def film(profile: Profile, count: int) -> list[str]:
    """Short films of the first living worlds; returns their files."""
    rollouts = profile.rollouts()
    alive = rollouts.id[rollouts.status == "alive"].tolist()[:count]
    return [profile.add_film(id_, b"\0\0\0\x18ftypmp42" + id_.encode(), "ab" * 8, 96, 24, 256) for id_ in alive]


def lived(root: Path, name: str, config: Config = SMALL) -> Profile:
    """A profile with worlds, films, answers and two versions of each model."""
    profile = Profile.create(root, name, config)
    settle(profile)
    film(profile, 3)
    for _ in range(2):
        answer(profile, 6)
        settle(profile)
    return profile


def written(profile: Profile) -> Diary:
    """What clients would have written down who did just what is there."""
    events = profile.label_events()
    votes = events.where(events.event == "vote")
    answers = dict(zip(votes.id.tolist(), votes.answer.tolist(), strict=True))
    undone = set(events.target[events.event == "undo"].tolist())
    return Diary(set(answers.items()), answers, set(undone), undone)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
