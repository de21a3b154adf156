"""How good what a Generator emits really is, by the noise-free utility of an oracle.

A `Reference` of prior worlds is simulated once per run. Each `measure` then simulates fresh worlds as the Generator
emits them: no rejection, no second try, and a world that is not alive has lost. Worlds made here enter no table, and
no Rewardor has learned from them.

Shapes: A alive prior worlds, R rivals among them, Q questions, N emitted worlds.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from torch import Tensor

from models import ANSWERS, Generator, Rewardor, fit
from models.preference import LEFT, RIGHT, probability
from pipeline.roll import Ask, Roll
from pipeline.teachers import Panel

Array: TypeAlias = NDArray[np.float64]
Embedding: TypeAlias = NDArray[np.float32]
Question: TypeAlias = Callable[[Tensor], Tensor]
"""From clips (B, T, H, W, 3) uint8 to numbers (B, k)."""

RIVALS = 500
"""Prior worlds, alive or raw, that emitted worlds are compared with."""

EMITTED = 200
"""Worlds that the Generator emits for one measurement, unless more are asked for."""

VARIED = 64
"""Worlds in a Vendi score."""

ELITE = 0.05
"""Share of the alive prior worlds that are its best, truly or as predicted."""

STANDARD = round(VARIED / ELITE)
"""Alive prior worlds that a teacher is calibrated on, and among whose true best diversity is measured."""

EXAM = 2000
"""Questions that calibration is measured with."""

CLEAR = 0.1
"""Pairs count for accuracy if their utilities differ by more than this, in standard deviations."""

BOOTSTRAPS = 1000
"""Draws for an interval."""

FEWEST = 0.02
"""Share of alive worlds below which no reference is made: the prior is then hardly one."""


@dataclass(frozen=True)
class Exam:
    """Questions about prior worlds with people's answers, only those that call a side better.

    Attributes:
        left: (Q,) int64 rows of the reference's alive worlds.
        right: (Q,).
        won: (Q,) bool, whether the left one was called better.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    won: NDArray[np.bool_]


@dataclass(frozen=True)
class Reference:
    """What the prior has to offer.

    Attributes:
        values: (A, k) of alive prior worlds, in the order in which they were drawn: all columns of an oracle.
        born: (A,) int64, how many worlds had been drawn before each.
        embedding: (A, F).
        raw: (R,) utilities of prior worlds as they come; -inf where not alive.
        varied: Vendi score of the true best.
    """

    values: Array
    born: NDArray[np.int64]
    embedding: Embedding
    raw: Array
    varied: float

    @property
    def utility(self) -> Array:
        """The column (A,) that figures are about."""
        return self.values[:, 0]

    @property
    def rivals(self) -> Array:
        """Utilities (R,) of the alive rivals."""
        return self.utility[:RIVALS]

    @property
    def standard(self) -> Array:
        """Values (STANDARD, k) of those alive worlds that are the same however many were drawn."""
        return self.values[:STANDARD]

    def exam(self, panel: Panel, seed: int) -> Exam:
        """Random pairs of different worlds, put to people in turn, none of whom tires."""
        draw = np.random.default_rng([seed, EXAM])
        left = draw.integers(STANDARD, size=EXAM)
        right = (left + draw.integers(1, STANDARD, size=EXAM)) % STANDARD
        names = [f"exam-{row}" for row in range(STANDARD)]  # another name, another luck than in any run
        told = [
            panel.answer(self.values[a], self.values[b], names[a], names[b], number % len(panel.people))[0]
            for number, (a, b) in enumerate(zip(left, right, strict=True))
        ]
        answer = np.array([ANSWERS.index(one) for one in told])
        decided = (answer == LEFT) | (answer == RIGHT)
        return Exam(left[decided], right[decided], answer[decided] == LEFT)


def make_reference(roll: Roll, dim: int, *, utility: Question, embed: Question, seed: int, drawn: int = 0) -> Reference:
    """Simulate the prior until `STANDARD` of its worlds are alive.

    Args:
        roll: How to simulate.
        dim: D.
        utility: Of an oracle.
        embed: Of a Rewardor.
        seed: Fixes the worlds.
        drawn: How many to draw at least: as many as the run simulates, for best-of-N to be fair.

    Raises:
        ValueError: Hardly any world of the prior is alive.
    """
    ask: Ask = {"utility": utility, "embedding": embed}
    parts: list[dict[str, NDArray[np.float32]]] = []
    count = living = 0
    while living < STANDARD or count < drawn:
        if living < FEWEST * count:
            raise ValueError(f"of {count} prior worlds only {living} are alive: no reference to compare with")
        parts.append(draw_prior(roll, dim, ask, seed, count))
        count, living = count + RIVALS, living + int(np.isfinite(parts[-1]["utility"][:, 0]).sum())
    values = np.concatenate([part["utility"] for part in parts]).astype(np.float64)
    born = np.flatnonzero(np.isfinite(values[:, 0]))
    rows = np.concatenate([part["embedding"] for part in parts])[born]
    raw = np.where(np.isfinite(values[:, 0]), values[:, 0], -np.inf)[:RIVALS]
    best = np.argsort(-values[born[:STANDARD], 0], kind="stable")[:VARIED]
    return Reference(values[born], born, rows, raw, vendi(rows[best], rows[:RIVALS]))


def draw_prior(roll: Roll, dim: int, ask: Ask, seed: int, start: int) -> dict[str, NDArray[np.float32]]:
    """What `RIVALS` prior worlds answer, the `start`-th and those that follow it."""
    draw = np.random.default_rng([seed, start])
    unit = draw.random((RIVALS, dim), np.float32)
    return roll(unit, draw.integers(2**62, size=RIVALS), ask).answers


def measure(
    reference: Reference,
    roll: Roll,
    generator: Generator,
    rewardor: Rewardor | None,
    *,
    utility: Question,
    embed: Question,
    seed: int,
    simulated: int,
    exam: Exam,
    emitted: int = EMITTED,
) -> dict[str, float]:
    """What both models are worth now, compared with the prior.

    Args:
        reference: Made with the same `utility` and `embed`.
        roll: How to simulate.
        generator: Asked for worlds.
        rewardor: None before there is one: all worlds then score the same.
        utility: Of an oracle.
        embed: Of the Rewardor.
        seed: Fixes the worlds.
        simulated: How many worlds the run has simulated so far: N of best-of-N.
        exam: What the Rewardor has to predict.
        emitted: How many worlds.

    Returns:
        `win_alive` and `win_raw`: share of pairs of an emitted and a prior world that the emitted one wins.
        `win_best_of_n`: the same against the best `ELITE` of the alive among N prior worlds, by the same Rewardor:
        these very worlds, not new ones with their parameters, so luck is with them.
        `alive`: share of the emitted worlds.
        `top`: true percentile among the rivals of those `ELITE` of them that are predicted to be best.
        `pair_accuracy`: of the Rewardor on pairs of rivals; `pair_accuracy_own`: on pairs of alive emitted worlds.
        `calibration_error` and `log_loss` (in nats): of the predicted chance that the side is called better that is.
        `diversity`: Vendi score of alive emitted worlds over that of the prior's true best.
        `gap`: predicted minus true percentile among the rivals, mean over alive emitted worlds.
    """
    seeds = np.random.default_rng([seed, emitted]).integers(2**62, size=emitted)
    rolled = roll(generator.ask(emitted, seed).numpy(), seeds, {"utility": utility, "embedding": embed})
    value = rolled.answers["utility"][:, 0].astype(np.float64)
    alive = np.isfinite(value)
    value, embedding = value[alive], rolled.answers["embedding"][alive]
    believed, new = (_score(rewardor, rows) for rows in (reference.embedding, embedding))
    rivals, belief = reference.rivals, believed[:RIVALS]
    chosen = best_of_n(reference, believed, simulated)
    return {
        "win_alive": float(percentile(value, rivals).sum() / emitted),
        "win_raw": float(percentile(value, reference.raw).sum() / emitted),
        "win_best_of_n": float(percentile(value, reference.utility[chosen]).sum() / emitted),
        "alive": float(alive.mean()),
        "top": _mean(percentile(rivals[_best(belief)], rivals)),
        "pair_accuracy": pair_accuracy(belief, rivals, float(rivals.std())),
        "pair_accuracy_own": pair_accuracy(new, value, float(rivals.std())),
        **calibration(rewardor, reference, exam),
        "diversity": vendi(embedding[:VARIED], reference.embedding[:RIVALS]) / reference.varied,
        "gap": _mean(percentile(new, belief) - percentile(value, rivals)),
    }


def _score(rewardor: Rewardor | None, embedding: Embedding) -> Array:
    """(B,) float64, zeros where nobody knows anything yet."""
    if rewardor is None or not len(embedding):
        return np.zeros(len(embedding))
    return rewardor.score(torch.from_numpy(embedding)).double().numpy()


def best_of_n(reference: Reference, score: Array, n: int) -> NDArray[np.int64]:
    """Rows of the best `ELITE`, by score (A,), of the alive among the first n prior worlds; at least one."""
    return _best(score[: max(1, int(np.searchsorted(reference.born, n)))])


def _best(score: Array) -> NDArray[np.int64]:
    """Rows of the best `ELITE`, at least one."""
    return np.argsort(-score, kind="stable")[: max(1, round(ELITE * len(score)))]


def calibration(rewardor: Rewardor | None, reference: Reference, exam: Exam) -> dict[str, float]:
    """`calibration_error` and `log_loss` in nats of what a Rewardor predicts about an exam.

    The error is about the side that is predicted to be called better. Finite samples keep it above zero: 1700 answers
    of which 87 % are as predicted give about 0.02, however right the chances.
    """
    chance, won = torch.full((len(exam.won),), 0.5, dtype=torch.float64), torch.from_numpy(exam.won)
    if rewardor is not None:
        reward = rewardor.forward(torch.from_numpy(reference.embedding[:STANDARD])).double()
        chance = probability(reward[exam.left], reward[exam.right])
    told = torch.where(won, chance, 1 - chance)
    return {
        "calibration_error": fit.calibration_error(torch.maximum(chance, 1 - chance), won == (chance >= 0.5)),
        "log_loss": -float(told.clamp_min(1e-12).log().mean()),
    }


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else 0.0


def percentile(value: NDArray[np.floating], among: NDArray[np.floating]) -> Array:
    """Share (B,) of `among` (R,) that each value (B,) is better than; ties count half."""
    rank = np.sort(among)
    below, upto = np.searchsorted(rank, value, "left"), np.searchsorted(rank, value, "right")
    return (below + upto) / (2 * len(among))


def win_rate(ours: Array, theirs: Array, seed: int) -> tuple[float, float, float]:
    """Share of pairs of one of ours (N,) and one of theirs (R,) that ours wins, ties half, and its 95 % interval.

    A bootstrap over worlds, since pairs that share a world are not independent. -inf, the dead, lose to the living.
    """
    wins = (ours[:, None] > theirs).astype(float) + (ours[:, None] == theirs) / 2
    draw = np.random.default_rng(seed)
    left, right = (draw.multinomial(n, np.full(n, 1 / n), size=BOOTSTRAPS) / n for n in wins.shape)
    low, high = np.quantile(((left @ wins) * right).sum(1), (0.025, 0.975))
    return float(wins.mean()), float(low), float(high)


def pair_accuracy(predicted: Array, utility: Array, scale: float) -> float:
    """Share of the clear pairs of worlds (N,) that a prediction orders as the utility does; ties count half.

    Args:
        predicted: (N,).
        utility: (N,).
        scale: A standard deviation of utilities: pairs are clear that differ by `CLEAR` of it. Without any: 0.5.
    """
    left, right = np.triu_indices(len(utility), 1)
    true, guess = utility[left] - utility[right], predicted[left] - predicted[right]
    clear = np.abs(true) > CLEAR * scale
    return float(((np.sign(guess[clear]) * np.sign(true[clear]) + 1) / 2).mean()) if clear.any() else 0.5


def vendi(embedding: Embedding, prior: Embedding) -> float:
    """Effective number of different worlds (N, F), between 1 and N; 0 of none.

    The exponential of the entropy of the eigenvalues of a similarity matrix [1], here of Gaussians in features that are
    standardised on the prior's alive worlds (R, F), as wide as the median distance between these.

    [1] D. Friedman, A. B. Dieng. The Vendi Score: a diversity evaluation metric for machine learning, 2022.
    """
    if not len(embedding):
        return 0.0
    scale = prior.std(0)
    used = scale > 1e-6
    width = np.median(pdist(prior[:, used] / scale[used]))
    distance = squareform(pdist(embedding[:, used] / scale[used]))
    share = np.linalg.eigvalsh(np.exp(-((distance / width) ** 2) / 2) / len(embedding))
    share = share[share > 1e-12]
    return float(np.exp(-(share * np.log(share)).sum()))


def write_report(path: Path, profile: str, budgets: Sequence[Mapping[str, float]]) -> None:
    """Write the rows of `measure`, one per budget of labels, with `labels` and `cpu_s` added, as JSON."""
    text = json.dumps({"profile": profile, "budgets": [dict(row) for row in budgets]}, indent=2, allow_nan=False)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text + "\n")
    partial.replace(path)
