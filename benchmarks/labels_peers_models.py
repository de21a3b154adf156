"""What labels_peers.py compares: the peers' learners and searchers behind the interfaces of ours, and loops for them.

Shapes: B worlds, F features, D parameters, P labels, C components.
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

from benchmarks.labels_loop import Loop, Worlds
from models import ANSWERS, Archive, Generator, Labels
from models.generators._archive import stream
from models.generators._chains import reflect
from models.preference import LEFT, RIGHT, TIE
from models.rewardors.common import Common
from pipeline.roll import Ask, Roll, Rolled

SERVE = Path(__file__).with_name("labels_peers_serve.py")

COMPONENTS = 12
"""C, principal components of the features that peers learn from."""

RIDGES = (1.0, 10.0, 100.0, 1000.0)
"""Penalties on squared weights that Bradley-Terry chooses from."""

THOMPSON, POOL, TOP = 1000, 20_000, 0.01
"""Random parameters per round of Thompson draws, among how many the best are emitted, and their share."""

GENERATION, SIGMA = 15, 0.2
"""Worlds that a searcher simulates before it learns, and how wide CMA-ES begins."""

ELITE = 0.75
"""Quantile of the elites' scores above which MAP-Elites emits them."""


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
        self.peer(do, points=self.components(points), pairs=pairs)

    def forward(self, embedding: Tensor) -> Tensor:
        """See `Rewardor.forward`; NaN where not alive."""
        reward, alive = torch.full((len(embedding), 1), torch.nan), embedding.isfinite().all(1)
        reward[alive, 0] = torch.tensor(self.peer("mean", points=self.components(embedding[alive])))
        return reward


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
        y = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)[labels.answer[told]].numpy()
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


class Guest(Generator):
    """A Generator that lives as long as its peer: nothing of it is stored."""

    version = 1

    def __init__(self, dim: int, seed: int, peer: Peer) -> None:
        super().__init__(dim, seed=seed)
        self.peer, self.told = peer, 0

    def tell(self, archive: Archive) -> dict[str, float]:
        """See `Generator.tell`."""
        del archive
        return {}

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Of nothing."""


class Thompson(Guest):
    """Explores by Thompson draws of a Gaussian process on parameters, emits its favorites of a large random pool."""

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        """See `Generator.ask`."""
        draw = stream(seed)
        if explore and not self.told:
            return torch.rand(n, self.dim, generator=draw)
        pool = torch.rand(THOMPSON if explore else POOL, self.dim, generator=draw)
        if explore:
            return pool[self.peer("draws", points=pool, n=n, seed=seed)]
        best = torch.tensor(self.peer("mean", points=pool)).topk(round(TOP * POOL)).indices
        return pool[best[torch.randint(len(best), (n,), generator=draw)]]


class CmaEs(Guest):
    """Begins at the best of the prior worlds; emits its last distribution, reflected at the faces of the cube."""

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        """See `Generator.ask`."""
        draw = stream(seed)
        if not self.told:
            return torch.rand(n, self.dim, generator=draw)
        if explore:
            return torch.tensor(self.peer("ask"), dtype=torch.float32)
        now = {name: torch.tensor(values, dtype=torch.float64) for name, values in self.peer("distribution").items()}
        noise = torch.randn(n, self.dim, generator=draw, dtype=torch.float64)
        return reflect((now["mean"] + noise @ torch.linalg.cholesky(now["covariance"]).T).float())

    def tell(self, archive: Archive) -> dict[str, float]:
        """What is new is the generation that it asked for last."""
        count = len(archive.unit)
        if not self.told:
            best = archive.unit[archive.score.argmax()]
            self.peer("start", best=best, sigma=SIGMA, batch=GENERATION, seed=self.seed + 1)
        elif count > self.told:
            self.peer("tell", score=archive.score[self.told :])
        self.told = count
        return {}


class MapElites(Guest):
    """An archive of elites on two components of the features, made anew of all worlds; emits the better elites."""

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        """See `Generator.ask`."""
        draw = stream(seed)
        if not self.told:
            return torch.rand(n, self.dim, generator=draw)
        if explore:
            return torch.tensor(self.peer("ask", n=n, seed=seed), dtype=torch.float32)
        elites = {name: torch.tensor(values, dtype=torch.float32) for name, values in self.peer("elites").items()}
        best = elites["unit"][elites["score"] >= elites["score"].quantile(ELITE)]
        return best[torch.randint(len(best), (n,), generator=draw)]

    def tell(self, archive: Archive) -> dict[str, float]:
        """The grid is laid over the middle 98 % of the first worlds that it is told of."""
        alive = archive.alive
        if not self.told:
            self.components = Components.learn(archive.embedding[alive], 2)
            first = self.components(archive.embedding[alive])
            self.low, self.high = first.quantile(0.01, dim=0), first.quantile(0.99, dim=0)
        measures = self.components(archive.embedding[alive])
        given = {"score": archive.score[alive], "measures": measures, "low": self.low, "high": self.high}
        self.peer("tell", unit=archive.unit[alive], **given)
        self.told = len(archive.unit)
        return {}


class SearchLoop(Loop):
    """Worlds that labels pay for are simulated a generation at a time, each told before the next is asked for."""

    def _simulate(self, roll: Roll, start: int, count: int) -> Worlds:
        if start == 0:
            return super()._simulate(roll, start, count)
        before, end = self.worlds, start + count
        for at in range(start, end, GENERATION):
            self.worlds = self.worlds + super()._simulate(roll, at, min(GENERATION, end - at))
            self._tell()
        every, self.worlds = self.worlds, before
        return Worlds(*[getattr(every, name)[len(before.unit) :] for name in Worlds.__dataclass_fields__])


class RandomLoop(Loop):
    """All pairs are random, and nothing is held out."""

    rewardor: Single

    def _fit(self) -> None:
        self.rewardor.fit(*self._known())  # `fitted` stays false: so there is nothing to choose pairs by
        self._tell()


class EuboLoop(RandomLoop):
    """After the first random round each pair has the highest EUBO, by a posterior that knows all answers so far."""

    rewardor: Foreign

    def _ask(self, count: int) -> None:
        if not self.pairs:
            super()._ask(count)
            return
        values = self.worlds.utility
        for _ in range(count):
            self._update()
            left, right = self._best_pair()
            answer, who = self.panel.answer(values[left], values[right], str(left), str(right), len(self.pairs))
            self.pairs.append((left, right))
            self.answers.append((ANSWERS.index(answer), who))

    def _best_pair(self) -> tuple[int, int]:
        alive = np.flatnonzero(self.worlds.alive)
        place = {row: number for number, row in enumerate(alive.tolist())}
        asked = [(place[left], place[right]) for left, right in self.pairs]
        seed = self.seed * 100_000 + len(self.pairs)
        left, right = self.rewardor.peer("choose", points=self._points()[alive], asked=asked, seed=seed)
        return int(alive[left]), int(alive[right])

    def _update(self) -> None:
        self.rewardor.update(*self._known()[:2])

    def _points(self) -> Tensor:
        return self.rewardor.components(torch.from_numpy(self.worlds.embedding))


class ParametersLoop(EuboLoop):
    """The same on parameters. With each label the peer is told once that a world that lives beats one that died."""

    generator: Thompson

    def _fit(self) -> None:
        self._teach("fit")
        self.generator.told = len(self.pairs)

    def _tell(self) -> None:
        """The Generator asks the peer itself."""

    def _update(self) -> None:
        self._teach("update")

    def _points(self) -> Tensor:
        return torch.from_numpy(self.worlds.unit)

    def _teach(self, do: str) -> None:
        draw, alive = np.random.default_rng(self.seed), self.worlds.alive
        sides = [draw.choice(np.flatnonzero(side), len(self.pairs)) for side in (alive, ~alive)]
        pairs = torch.cat([ordered(self._known()[1]), torch.from_numpy(np.stack(sides, 1))])
        points, pairs = compact(self._points(), pairs)
        self.rewardor.peer(do, points=points, pairs=pairs)
