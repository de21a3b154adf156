"""How good what a Generator emits really is, by the noise-free utility of an oracle.

A `Reference` of prior worlds is simulated once per run. Each `measure` then simulates fresh worlds as the Generator
emits them: no rejection, no second try, and a world that is not alive has lost. Worlds made here enter no table.
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

from models import Generator
from pipeline.roll import Roll

Array: TypeAlias = NDArray[np.float64]
Embedding: TypeAlias = NDArray[np.float32]
Question: TypeAlias = Callable[[Tensor], Tensor]
"""From clips (B, T, H, W, 3) uint8 to numbers (B, k)."""

RIVALS = 500
"""Prior worlds, alive or raw, that emitted worlds are compared with."""

EMITTED = 200
"""Worlds that the Generator emits for one measurement."""

VARIED = 64
"""Worlds in a Vendi score."""

ELITE = 0.05
"""Share of the alive prior worlds that are its true best."""

CLEAR = 0.1
"""Pairs count for accuracy if their utilities differ by more than this, in standard deviations."""

BOOTSTRAPS = 1000
"""Draws for an interval."""

FEWEST = 0.02
"""Share of alive worlds below which no reference is made: the prior is then hardly one."""


@dataclass(frozen=True)
class Reference:
    """What the prior has to offer.

    Attributes:
        utility: (A,) of alive prior worlds.
        raw: (R,) of prior worlds as they come; -inf where not alive.
        embedding: (R, F) of the first R alive ones: the rivals.
        varied: Vendi score of the true best.
    """

    utility: Array
    raw: Array
    embedding: Embedding
    varied: float

    @property
    def rivals(self) -> Array:
        """Utilities (R,) of the alive rivals."""
        return self.utility[: len(self.embedding)]


def make_reference(roll: Roll, dim: int, *, utility: Question, embed: Question, seed: int) -> Reference:
    """Simulate the prior until the share `ELITE` of its alive worlds is `VARIED` worlds.

    Args:
        roll: How to simulate.
        dim: D.
        utility: Of an oracle.
        embed: Of a Rewardor. Only worlds that need it are embedded: it costs more than simulating them.
        seed: Fixes the worlds.

    Raises:
        ValueError: Hardly any world of the prior is alive.
    """
    wanted = round(VARIED / ELITE)
    unit, seeds, value = np.empty((0, dim), np.float32), np.empty(0, np.int64), np.empty(0)
    while (living := int(np.isfinite(value).sum())) < wanted:
        if living < FEWEST * len(value):
            raise ValueError(f"of {len(value)} prior worlds only {living} are alive: no reference to compare with")
        draw = np.random.default_rng([seed, len(value)])
        unit = np.concatenate([unit, draw.random((RIVALS, dim), np.float32)])
        seeds = np.concatenate([seeds, draw.integers(2**62, size=RIVALS)])
        told = roll(unit[-RIVALS:], seeds[-RIVALS:], {"utility": utility}).answers["utility"]
        value = np.concatenate([value, told[:, 0]])
    alive = np.flatnonzero(np.isfinite(value))[:wanted]
    best = alive[np.argsort(-value[alive], kind="stable")[:VARIED]]
    needed = np.concatenate([alive[:RIVALS], best])
    embedding = roll(unit[needed], seeds[needed], {"embedding": embed}).answers["embedding"]
    rivals, elite = embedding[:RIVALS], embedding[RIVALS:]
    raw = np.where(np.isfinite(value), value, -np.inf)[:RIVALS]
    return Reference(value[alive], raw, rivals, vendi(elite, rivals))


def measure(
    reference: Reference,
    roll: Roll,
    generator: Generator,
    score: Callable[[Tensor], Tensor] | None,
    *,
    utility: Question,
    embed: Question,
    seed: int,
) -> dict[str, float]:
    """What the Generator emits now, compared with the prior.

    Args:
        reference: Made with the same `utility` and `embed`.
        roll: How to simulate.
        generator: Asked for `EMITTED` worlds.
        score: Of the Rewardor, embeddings (B, F) -> (B,); None before there is one: all worlds then score the same.
        utility: Of an oracle.
        embed: Of the Rewardor.
        seed: Fixes the worlds.

    Returns:
        `win_alive` and `win_raw`: share of pairs of an emitted and a prior world that the emitted one wins.
        `pair_accuracy`: of the Rewardor on pairs of alive prior worlds, none of which it has seen.
        `diversity`: Vendi score of alive emitted worlds over that of the prior's true best.
        `gap`: predicted minus true percentile among alive prior worlds, mean over alive emitted worlds.
    """
    seeds = np.random.default_rng([seed, EMITTED]).integers(2**62, size=EMITTED)
    unit = generator.ask(EMITTED, seed).numpy()
    rolled = roll(unit, seeds, {"utility": utility, "embedding": embed})
    value = rolled.answers["utility"][:, 0].astype(np.float64)
    alive = np.isfinite(value)
    embedding, believed = rolled.answers["embedding"][alive], score or _indifferent
    prior, new = (believed(torch.from_numpy(rows)).numpy() for rows in (reference.embedding, embedding))
    return {
        "win_alive": float(percentile(value[alive], reference.rivals).sum() / EMITTED),
        "win_raw": float(percentile(value[alive], reference.raw).sum() / EMITTED),
        "pair_accuracy": pair_accuracy(prior, reference.rivals),
        "diversity": vendi(embedding[:VARIED], reference.embedding) / reference.varied,
        "gap": _mean(percentile(new, prior) - percentile(value[alive], reference.rivals)),
    }


def _indifferent(embedding: Tensor) -> Tensor:
    return torch.zeros(len(embedding))


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


def pair_accuracy(predicted: NDArray[np.floating], utility: Array) -> float:
    """Share of the clear pairs of worlds (N,) that a prediction orders as the utility does; ties count half."""
    left, right = np.triu_indices(len(utility), 1)
    true, guess = utility[left] - utility[right], predicted[left] - predicted[right]
    clear = np.abs(true) > CLEAR * utility.std()
    return float(((np.sign(guess[clear]) * np.sign(true[clear]) + 1) / 2).mean())


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
