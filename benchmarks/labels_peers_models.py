"""What labels_peers.py compares: the peers' learners behind the interface of our Rewardors.

Shapes: B worlds, F features, P labels, C components.
"""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor

from models import Labels
from models.preference import LEFT, RIGHT, TIE
from models.rewardors.common import Common
from pipeline.roll import Ask, Roll, Rolled

SERVE = Path(__file__).with_name("labels_peers_serve.py")

COMPONENTS = 12
"""C, principal components of the features that peers learn from."""

RIDGES = (1.0, 10.0, 100.0, 1000.0)
"""Penalties on squared weights that Bradley-Terry chooses from."""

WON = torch.tensor([1.0, 0.0, 0.5])
"""Wins of the left side, by answer: left, right, tie."""


class Peer:
    """A process of another interpreter that answers requests, see `labels_peers_serve`.

    Attributes:
        cpu_s: CPU seconds that its answers took.
    """

    def __init__(self, python: str, name: str) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([python, str(SERVE), name], **pipes)
        self.cpu_s = 0.0

    def __call__(self, do: str, **given: Any) -> Any:
        """The result of a method; arrays and tensors come back as lists."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps({"do": do, **given}, default=lambda a: a.tolist()), file=self.process.stdin, flush=True)
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"the peer failed at {do}")
        reply = json.loads(line)
        self.cpu_s += reply["cpu_s"]
        return reply["result"]

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


@dataclass
class Clocked:
    """A roll with the CPU seconds that it took."""

    roll: Roll
    cpu_s: float = 0.0

    def __call__(self, unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool = False) -> Rolled:
        """See `Roll`."""
        start = time.process_time()
        try:
            return self.roll(unit, seeds, ask, film)
        finally:
            self.cpu_s += time.process_time() - start


@dataclass(frozen=True)
class Components:
    """Standardised features, and their principal components on the reference.

    Attributes:
        mean: (F,).
        scale: (F,), infinite where nothing varies.
        axes: (F, C).
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor

    @classmethod
    def learn(cls, embedding: Tensor, count: int = COMPONENTS) -> "Components":
        """From reference worlds (B, F)."""
        mean, scale = embedding.mean(0), embedding.std(0)
        scale[scale < 1e-6] = torch.inf
        return cls(mean, scale, torch.linalg.svd((embedding - mean) / scale, full_matrices=False)[2][:count].T)

    def standardise(self, embedding: Tensor) -> Tensor:
        """(B, F)."""
        return (embedding - self.mean) / self.scale

    def __call__(self, embedding: Tensor) -> Tensor:
        """(B, C)."""
        return self.standardise(embedding) @ self.axes


def ordered(labels: Labels) -> Tensor:
    """Rows (m, 2), winners first, of the labels that call a world better."""
    won = torch.stack([labels.left, labels.right], 1)[labels.answer == LEFT]
    return torch.cat([won, torch.stack([labels.right, labels.left], 1)[labels.answer == RIGHT]])


def compact(points: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Only those points (n, d) that pairs (m, 2) are about, and the pairs' rows among these."""
    rows, place = pairs.unique(return_inverse=True)
    return points[rows], place


class Single(Common):
    """The features of ours, and one member that learns from them in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.members = 1


class Foreign(Single):
    """A peer that learns from components of the features."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self.peer = peer

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """See `Rewardor.fit`."""
        self.components = Components.learn(embedding[reference])
        self._ask("fit", embedding, labels)
        return {}

    def update(self, embedding: Tensor, labels: Labels) -> None:
        """Learn from all labels with the settings of the last fit."""
        self._ask("update", embedding, labels)

    def _ask(self, do: str, embedding: Tensor, labels: Labels) -> None:
        points, pairs = compact(embedding, ordered(labels))
        self.peer(do, points=self.points(points), pairs=pairs)

    def points(self, embedding: Tensor) -> Tensor:
        """What the peer sees (B, d) of worlds (B, F)."""
        return self.components(embedding)

    def forward(self, embedding: Tensor) -> Tensor:
        """See `Rewardor.forward`; NaN where not alive."""
        reward, alive = torch.full((len(embedding), 1), torch.nan), embedding.isfinite().all(1)
        reward[alive, 0] = torch.tensor(self.peer("mean", points=self.points(embedding[alive])))
        return reward


class Imitation(Foreign):
    """A peer that learns from all features, and from ties too: half a win for either side."""

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """See `Rewardor.fit`."""
        self.components = Components.learn(embedding[reference])
        told = labels.answer <= TIE
        pairs = torch.stack([labels.left, labels.right], 1)[told]
        points, rows = compact(self.points(embedding), pairs)
        more = {"reference": self.points(embedding[reference]), "seed": len(told)}
        self.peer("fit", points=points, pairs=rows, chance=WON[labels.answer[told]], **more)
        return {}

    def points(self, embedding: Tensor) -> Tensor:
        """See `Foreign.points`."""
        return self.components.standardise(embedding)


class BradleyTerry(Single):
    """Logistic regression on differences of standardised features; its penalty is chosen by five folds.

    A tie is half a win for either side.
    """

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """See `Rewardor.fit`; returns the chosen `penalty`."""
        self.components = Components.learn(embedding[reference])
        told = labels.answer <= TIE
        z = self.components.standardise(embedding).double()
        x = (z[labels.left[told]] - z[labels.right[told]]).numpy()
        y = WON[labels.answer[told]].double().numpy()
        penalty = min(RIDGES, key=lambda ridge: held_out_loss(x, y, ridge))
        self.weight = torch.from_numpy(logistic(x, y, penalty)).float()
        return {"penalty": penalty}

    def forward(self, embedding: Tensor) -> Tensor:
        """See `Rewardor.forward`."""
        return (self.components.standardise(embedding) @ self.weight)[:, None]


def logistic(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Weights (F,) that explain shares of wins (P,) by differences (P, F)."""

    def loss(weight: np.ndarray) -> tuple[float, np.ndarray]:
        slope = x.T @ (expit(x @ weight) - y) + penalty * weight
        return cross_entropy(x @ weight, y) + penalty * weight @ weight / 2, slope

    return minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x


def cross_entropy(logit: np.ndarray, y: np.ndarray) -> float:
    """Sum over shares of wins (P,), in nats."""
    return float((np.logaddexp(0, logit) - y * logit).sum())


def held_out_loss(x: np.ndarray, y: np.ndarray, penalty: float, folds: int = 5) -> float:
    """Of predictions for each fold by the others, in nats."""
    fold = np.arange(len(y)) % folds
    parts = [(x[fold == k] @ logistic(x[fold != k], y[fold != k], penalty), y[fold == k]) for k in range(folds)]
    return sum(cross_entropy(*part) for part in parts)
