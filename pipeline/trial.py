"""What options of a model are worth: plain functions, one fold at a time, whose costs in nats may be averaged.

A Rewardor is tested by held-out answers. A Generator cannot be: answers say nothing about worlds that it did not make,
and no weighting of those that are there makes up for that, since in ten or a hundred dimensions it emits points that
nobody emitted. So it simulates fresh worlds. It learns from the whole archive as scored by a Rewardor that knows one
half of the answers, and another Rewardor, which knows only the other half and none of the same worlds, says how often
people would call its worlds better than living worlds of the prior; one that is not alive loses. To emit a single
splendid world again and again would win that, so variety that is lost counts as much as duels that are; variety that
is gained beyond what there is now counts nothing, for how much of it is wanted is for people to say.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models import Generator, Rewardor
from models.fit import archive, fit_rewardor, take
from models.held_out import log_losses, parts
from models.preference import probability
from pipeline import evaluate, loop, plugins
from pipeline.checkpoint import Role
from pipeline.config import KINDS
from pipeline.roll import Roll, roll_here
from pipeline.study import FOLDS, Options, Study

WORLDS = 48
"""Worlds that a Generator emits in a fold."""

LEAST = 1e-3
"""Share of duels won below which nothing is worse."""


def costs(study: Study, options: Options, fold: int) -> list[float]:
    """What options cost in a fold: of a Rewardor each answer, of a Generator the worlds of each profile.

    What was measured before is not measured again.

    Args:
        study: In which.
        options: Beside those that a profile has chosen, or in place of them.
        fold: Below `FOLDS`.
    """
    found = _found(study, options, fold)
    if study.role == "rewardor":
        return found
    usual = _found(study, {}, fold)
    wins, varied, varied_now = found[::2], found[1::2], usual[1::2]
    return [
        -math.log(max(LEAST, win * min(1.0, variety / max(now, 1.0))))
        for win, variety, now in zip(wins, varied, varied_now, strict=True)
    ]


def _found(study: Study, options: Options, fold: int) -> list[float]:
    known = study.known(options, fold)
    if known is None:
        measure = _answers if study.role == "rewardor" else _worlds
        known = [number for name in study.profiles for number in measure(study, name, options, fold)]
        if not all(map(math.isfinite, known)):
            raise ValueError("what the model says of worlds is no number")
        study.keep(options, fold, known)
    return known


def _answers(study: Study, name: str, options: Options, fold: int) -> list[float]:
    """What each held-out answer of a profile costs a Rewardor."""
    data = study.data[name]
    split = parts(data.labels, FOLDS)[fold]
    rewardor = _model(study, name, "rewardor", options)
    return log_losses(rewardor, data.embedding, data.labels, data.reference, split).tolist()


def _worlds(study: Study, name: str, options: Options, fold: int) -> tuple[float, float]:
    """`worth` of a Generator that was told the archive of a profile."""
    chosen, data = study.config(name), study.data[name]
    teacher, judge = _strangers(study, name, fold)
    sim = plugins.load("sims", chosen.sim.name, chosen.sim.options)
    generator = _model(study, name, "generator", options, dim=sim.space.dim, seed=chosen.seed)
    generator.tell(archive(teacher, data.unit, data.alive, data.seen))
    seeds = loop.world_seeds(chosen.seed, "tune", fold, WORLDS)
    return worth(generator, judge, roll_here(sim), seeds, data.embedding[data.reference])


def worth(generator: Generator, judge: Rewardor, roll: Roll, seeds: np.ndarray, prior: Tensor) -> tuple[float, float]:
    """What a Generator emits: the share of duels that it would win, and its Vendi score.

    Args:
        generator: That was told.
        judge: A Rewardor.
        roll: How to simulate.
        seeds: (N,) of the worlds.
        prior: (R, F) of the living prior worlds that are the opponents.
    """
    unit = generator.ask(len(seeds), int(seeds[0])).numpy()
    rolled = roll(unit, seeds, {"embedding": judge.embed})
    embedding = torch.from_numpy(rolled.answers["embedding"][np.array(rolled.status) == "alive"])
    if not len(embedding):
        return 0.0, 0.0
    ours, theirs = judge.forward(embedding), judge.forward(prior)
    chance = [float(probability(one.expand_as(theirs), theirs).mean()) for one in ours]
    return sum(chance) / len(seeds), evaluate.vendi(embedding.numpy(), prior.numpy())


@lru_cache(maxsize=64)
def _strangers(study: Study, name: str, fold: int) -> tuple[Rewardor, Rewardor]:
    """Two Rewardors that have no answer and no judged world in common: each fold swaps them, each second cuts anew."""
    data, made = study.data[name], []
    for half in parts(data.labels, 2, seed=fold // 2)[fold % 2]:
        rewardor = _model(study, name, "rewardor", {})
        fit_rewardor(rewardor, data.embedding, take(data.labels, half), data.reference)
        made.append(rewardor)
    return made[0], made[1]


def _model(study: Study, name: str, role: Role, options: Options, **fixed: Any) -> Any:
    """A model of a profile that has learned nothing, with other options."""
    plugin = getattr(study.config(name), role)
    return plugins.load(KINDS[role], plugin.name, plugin.options | options, **fixed)
