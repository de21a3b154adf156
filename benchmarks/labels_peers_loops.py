"""What labels_peers.py compares: loops in which the peers choose pairs, or search, as they would by themselves."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.labels_loop import Loop, Worlds
from benchmarks.labels_peers_models import Foreign, Imitation, Single, compact, ordered
from benchmarks.labels_peers_search import GENERATION, Thompson
from models import ANSWERS, fit
from pipeline.roll import Roll


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


class ChoosyLoop(RandomLoop):
    """Pairs are random in the first round, and then the peer's choice."""

    rewardor: Foreign

    @abstractmethod
    def _choose(self, count: int) -> Iterable[tuple[int, int]]:
        """Rows of pairs of living worlds that were not asked about; each is asked before the next is chosen."""

    def _ask(self, count: int) -> None:
        if not self.pairs:
            super()._ask(count)
            return
        values = self.worlds.utility
        for left, right in self._choose(count):
            answer, who = self.panel.answer(values[left], values[right], str(left), str(right), len(self.pairs))
            self.pairs.append((left, right))
            self.answers.append((ANSWERS.index(answer), who))


class ActiveLoop(ChoosyLoop):
    """A round's pairs are those of twice as many random ones about which the peer's networks differ most."""

    rewardor: Imitation

    def _choose(self, count: int) -> list[tuple[int, int]]:
        alive = np.flatnonzero(self.worlds.alive)
        points = self.rewardor.points(torch.from_numpy(self.worlds.embedding[alive]))
        seed = self.seed * 100_000 + len(self.pairs)
        drawn = alive[self.rewardor.peer("choose", points=points, n=2 * count, seed=seed)].tolist()
        known, new = {frozenset(pair) for pair in self.pairs}, []
        for left, right in drawn:
            if left != right and frozenset((left, right)) not in known:
                known.add(frozenset((left, right)))
                new.append((left, right))
        return new[:count]


class PlainLoop(Loop):
    """Nothing is held out: chances are not calibrated, and a round costs one fit of a slow learner instead of six."""

    def _fit(self) -> None:
        fit.fit_rewardor(self.rewardor, *self._known(), folds=0)
        self.fitted = True
        self._tell()


class EuboLoop(ChoosyLoop):
    """Each pair has the highest EUBO, by a posterior that knows all answers so far."""

    def _choose(self, count: int) -> Iterator[tuple[int, int]]:
        for _ in range(count):
            self._update()
            yield self._best_pair()

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
        return self.rewardor.points(torch.from_numpy(self.worlds.embedding))


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
