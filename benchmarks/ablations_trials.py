"""The offline half of ablations.py: learning a taste from answers about worlds that are there already.

For each taste there is a pool of living worlds: random ones, and those that the loop proposed while it learned this
taste. Each trial splits it anew, learns from pairs of one part and is judged on the other, which it has never seen.

Shapes: B worlds, F features, k columns of an oracle, P pairs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ablations_variants import Fewer, Ties
from benchmarks.labels_cache import Rows, digest, source_digest, write
from benchmarks.labels_loop import EVERY, REFERENCE, Run, Stage, make_run
from models import ANSWERS, Labels, Rewardor
from models.rewardors._features import FAMILIES
from models.rewardors.common import Common
from pipeline import plugins, select
from pipeline.evaluate import ELITE, Array, pair_accuracy, percentile
from pipeline.teachers import Preference, Teacher, make_panel

SIM, SEED, LABELS = "lenia", 0, 80
"""What pools are made of: one run of the loop with so many labels."""

EACH = 600
"""Random worlds in a pool, and at most as many that the loop proposed."""

LEARNED = 2 / 3
"""Share of a pool that pairs are taken from."""

BUDGETS = (50, 100)

BEST = 0.3
"""Share of the worlds that are truly best, among which pairs are judged once more: a Generator lives there."""

RULES: Mapping[str, Mapping[str, float]] = {
    "random": {"learn": 0, "duel": 0, "random": 1},
    "information": {"learn": 1, "duel": 0, "random": 1e-9},
    "top two": {"learn": 0, "duel": 1, "random": 1e-9},
    "shipped": select.SHARES,
}
"""Shares of the rules of `select` by which pairs are chosen after the warm-up; none may leave nothing to draw."""


@dataclass(frozen=True)
class Pool:
    """Living worlds: `embedding` (B, F), `values` (B, k), `prior` (B,) bool; and `standard` (S, k) of random ones."""

    embedding: NDArray[np.float32]
    values: Array
    prior: NDArray[np.bool_]
    standard: Array


@dataclass(frozen=True)
class Trial:
    """One run of an ablation.

    Attributes:
        what: "features", "ties" or "rules".
        setting: Which of its variants.
        oracle: Whose taste.
        seed: Fixes the split, the answers and what is random about the pairs.
        ties: Share of pairs of random worlds that the teacher calls a tie.
    """

    what: str
    setting: str
    oracle: str
    seed: int
    ties: float = 0.1


def pool_run(oracle: str) -> Run:
    """The run of the loop that proposes the pool of a taste."""
    more: dict[str, Any] = {"oracles": plugins.names("oracles")}
    return make_run([f'sim.name="{SIM}"'], SEED, oracle, "human", [LABELS], **more)


def pool_path(oracle: str, cache: Path) -> Path:
    """Where a pool is kept."""
    run = pool_run(oracle)
    return cache / "pools" / f"{oracle}-{digest(run, EACH, source_digest(*run._sources()))}.npz"


def make_pool(oracle: str, cache: Path) -> None:
    """Run the loop, unless its worlds are there."""
    path, run = pool_path(oracle, cache), pool_run(oracle)
    if path.exists():
        return
    stage = Stage(run, cache)
    reference = stage.reference(run.drawn)
    panel = make_panel(run.teacher, reference.standard, seed=SEED, preference=stage.preference)
    loop = stage.loop(run, panel)
    list(loop.run(run.budgets))
    worlds = loop.worlds
    rows = np.flatnonzero(worlds.alive)
    rows = rows[rows >= run.config.rollouts.prior]
    rows = rows[np.linspace(0, len(rows) - 1, min(EACH, len(rows))).astype(int)]
    pool = Pool(
        np.concatenate([reference.embedding[:EACH], worlds.embedding[rows]]),
        np.concatenate([reference.values[:EACH], worlds.utility[rows].astype(np.float64)]),
        np.arange(EACH + len(rows)) < EACH,
        reference.standard,
    )
    write(path, lambda partial: _save(partial, pool))


def _save(path: Path, pool: Pool) -> None:
    with path.open("wb") as file:
        np.savez(file, **asdict(pool))


def read_pool(oracle: str, cache: Path) -> Pool:
    """What `make_pool` kept."""
    with np.load(pool_path(oracle, cache)) as kept:
        return Pool(**{field.name: kept[field.name] for field in fields(Pool)})


def figures(trial: Trial, cache: Path) -> dict[int, dict[str, float]]:
    """What a trial reaches at each of the `BUDGETS`, see `judge`; from the disk if it is there."""
    place = digest(trial, BUDGETS, pool_path(trial.oracle, cache).name, source_digest(Path(__file__)))
    rows = Rows(cache / "trials" / f"{place}.json", repr(trial))
    if not set(BUDGETS) <= rows.read().keys():
        preference = getattr(plugins.load("oracles", trial.oracle, {}), "preference", None)
        for labels, row in _learn(trial, read_pool(trial.oracle, cache), preference).items():
            rows.add(labels, row)
    return rows.read()


def make_rewardor(trial: Trial) -> Rewardor:
    """Who learns."""
    if trial.what == "ties":
        return Ties(rule=trial.setting)  # type: ignore[arg-type]
    return Fewer(families=families(trial.setting)) if trial.what == "features" else Common()


def families(setting: str) -> tuple[str, ...]:
    """Of "shipped" all, of "without look" all but one, of "look" one."""
    word, _, name = setting.rpartition(" ")
    if word == "without":
        return tuple(family for family in FAMILIES if family != name)
    return tuple(FAMILIES) if name == "shipped" else (name,)


def _learn(trial: Trial, pool: Pool, preference: Preference | None) -> dict[int, dict[str, float]]:
    """Pairs by the trial's rule, all of them random if it is about something else; a fit at least at each budget."""
    mixed = np.random.default_rng([trial.seed, len(pool.prior)]).permutation(len(pool.prior))
    known, unseen = np.split(mixed, [round(LEARNED * len(mixed))])
    teacher = Teacher.calibrated(pool.standard, seed=trial.seed, ties=trial.ties, preference=preference)
    embedding, values = torch.from_numpy(pool.embedding[known]), pool.values[known]
    reference = np.zeros(len(known), bool)
    reference[np.flatnonzero(pool.prior[known])[:REFERENCE]] = True
    rule = trial.setting if trial.what == "rules" else "random"
    rewardor, reward, found = make_rewardor(trial), None, {}
    pairs: list[tuple[int, int]] = []
    answers: list[int] = []
    while len(pairs) < max(BUDGETS):
        count = select.WARM_UP if not pairs else EVERY if rule != "random" else select.WARM_UP
        count = min(count, *(budget - len(pairs) for budget in BUDGETS if budget > len(pairs)))
        for left, right in choose(rule, count, len(known), reward, pairs, trial.seed):
            answers.append(ANSWERS.index(teacher.answer(values[left], values[right], str(left), str(right))))
            pairs.append((left, right))
        if rule == "random" and len(pairs) not in BUDGETS:
            continue
        left, right = torch.tensor(pairs).T
        labels = Labels(left, right, torch.tensor(answers), torch.zeros(len(answers), dtype=torch.int64))
        rewardor.fit(embedding, labels, torch.from_numpy(reference))
        reward = rewardor.forward(embedding).numpy()
        if len(pairs) in BUDGETS:
            score = rewardor.score(torch.from_numpy(pool.embedding[unseen])).double().numpy()
            told = {"tied": float(np.mean(np.array(answers) == ANSWERS.index("tie")))}
            found[len(pairs)] = judge(score, pool.values[unseen, 0], float(pool.standard[:, 0].std())) | told
    return found


def choose(
    rule: str, count: int, worlds: int, reward: NDArray[np.floating] | None, pairs: list[tuple[int, int]], seed: int
) -> list[tuple[int, int]]:
    """More pairs, by the product's own code with other shares; worlds are in random order, so none is newest."""
    with patch.dict(select.SHARES, RULES[rule]):
        chosen = select.choose(
            count, eligible=np.ones(worlds, bool), reward=reward, answered=pairs, seed=1000 * seed + len(pairs)
        )
    return [(choice.left, choice.right) for choice in chosen]


def judge(score: Array, utility: Array, scale: float) -> dict[str, float]:
    """How well scores (B,) of unseen worlds follow their utilities (B,).

    `pairs` and `best_pairs`: share of clear pairs ordered rightly, of all worlds and of the `BEST` truly; `top`: true
    percentile of those `ELITE` that are predicted to be best.
    """
    best = np.argsort(-utility, kind="stable")[: round(BEST * len(utility))]
    favourite = np.argsort(-score, kind="stable")[: max(1, round(ELITE * len(score)))]
    return {
        "pairs": pair_accuracy(score, utility, scale),
        "best_pairs": pair_accuracy(score[best], utility[best], scale),
        "top": float(percentile(utility[favourite], utility).mean()),
    }
