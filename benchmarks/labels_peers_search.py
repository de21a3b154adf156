"""What labels_peers.py compares: the peers' searchers behind the interface of our Generators.

Shapes: D parameters.
"""

import torch
from torch import Tensor

from benchmarks.labels_peers_models import Components, Peer
from models import Archive, Generator
from models.generators._archive import stream
from models.generators._chains import reflect

THOMPSON, POOL, TOP = 1000, 20_000, 0.01
"""Random parameters per round of Thompson draws, among how many the best are emitted, and their share."""

GENERATION, SIGMA = 15, 0.2
"""Worlds that a searcher simulates before it learns, and how wide CMA-ES begins."""

ELITE = 0.75
"""Quantile of the elites' scores above which MAP-Elites emits them."""

GENERATION, SIGMA = 15, 0.2
"""Worlds that a searcher simulates before it learns, and how wide CMA-ES begins."""

ELITE = 0.75
"""Quantile of the elites' scores above which MAP-Elites emits them."""

ELITE = 0.75
"""Quantile of the elites' scores above which MAP-Elites emits them."""


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
