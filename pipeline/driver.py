"""Feeding the simulators of one profile: what is due goes in, what comes out is written.

The driver is the only one that knows both the files and the pool. It keeps nothing: whatever it has handed out and not
yet written is due again after a crash.
"""

import functools
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from models import Rewardor
from pipeline import loop, plugins
from pipeline.config import Plugin
from pipeline.desk import Desk
from pipeline.loop import Block
from pipeline.profile import Profile
from pipeline.roll import Ask, Rolled
from pipeline.rollouts import Job, Pool
from pipeline.rows import EmbeddingTable, RolloutTable
from sims import Simulation

FILMS_TOGETHER = 4
"""Films made in one job: enough to share a batch, few enough that the first pair comes soon."""


TIDY_S = 30.0
"""Seconds between two looks at whether many small parts should become one."""


@dataclass(frozen=True)
class Films:
    """Worlds that a person will see."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class Embeddings:
    """Old worlds that a new Rewardor wants to see."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class Browse:
    """Fresh worlds of the Generator, to watch."""

    request: str
    seed: int
    count: int


@dataclass(frozen=True)
class Embed:
    """What a Rewardor keeps of a clip, as a question that travels to the clip."""

    plugin: Plugin

    def __call__(self, clip: Tensor) -> Tensor:
        """Embeddings (B, F) of clips (B, T, H, W, 3)."""
        return _embedder(self.plugin.name, json.dumps(self.plugin.options, sort_keys=True)).embed(clip)


@functools.lru_cache(maxsize=4)
def _embedder(name: str, options: str) -> Rewardor:
    return plugins.load("rewardors", name, json.loads(options))


@dataclass
class Driver:
    """What keeps a pool busy with the worlds that a profile needs.

    Attributes:
        profile: Whose worlds.
        sim: The profile's simulation.
        pool: Who simulates.
        desk: Which films people need; None where no person is there.
        ask: Further questions about each clip, by name; the answers are kept as embeddings of that name.
        patient: See `loop.due_blocks`.
        feed: Whether worlds are made to learn from, or only to be watched.
        browsed: Ids of the worlds made for each request to browse.
    """

    profile: Profile
    sim: Simulation
    pool: Pool
    desk: Desk | None = None
    ask: Ask = field(default_factory=dict)
    patient: bool = False
    feed: bool = True
    browsed: dict[str, list[str]] = field(default_factory=dict)
    _requests: list[Browse] = field(default_factory=list)
    _lost: set[str] = field(default_factory=set)
    _tidy_at: float = 0.0

    def __post_init__(self) -> None:
        """Prepare the questions that travel with each job."""
        self._embedder = loop.new_rewardor(self.profile)
        self._questions: Ask = {"embedding": Embed(self.profile.config.rewardor), **self.ask}

    def tick(self, timeout: float = 0.1) -> None:
        """Write what came back, then hand out what is due; takes at most about `timeout` seconds."""
        for job, rolled in self.pool.collect(timeout):
            self._store(job, rolled)
        self._hand_out_films()
        self._hand_out_browsing()
        if self.feed and self.pool.free:
            self._hand_out_blocks()
        if time.monotonic() > self._tidy_at:
            self.profile.compact()
            for folder in ("films/_mp4/", "saved/"):
                self.profile.store.sweep(folder)
            self._tidy_at = time.monotonic() + TIDY_S

    def browse(self, count: int, seed: int) -> str:
        """Ask for fresh worlds of the Generator; returns the key under which `browsed` will list them."""
        request = f"browse-{uuid.uuid4().hex[:12]}"
        for start in range(0, count, FILMS_TOGETHER):
            size = min(FILMS_TOGETHER, count - start)
            self._requests.append(Browse(request, seed + start, size))
        return request

    def unanswered(self) -> set[str]:
        """Ids of living worlds that some question was never put to: they were made before it was asked."""
        tables = map(self._table, self._questions)
        return {id_ for table in tables for id_ in loop.unanswered(self.profile, *table).tolist()} - self._lost

    def pending(self, request: str) -> int:
        """How many worlds of a request are still to come."""
        keys = [*self._requests, *self.pool.keys]
        return sum(key.count for key in keys if isinstance(key, Browse) and key.request == request)

    def waiting(self) -> int:
        """How many jobs are due that the pool has not been given, since it is full."""
        if not self.feed:
            return 0
        flying = {key.number for key in self.pool.keys if isinstance(key, Block)}
        due = loop.due_blocks(self.profile, patient=self.patient)
        return sum(block.number not in flying for block in due)

    # -- handing out --------------------------------------------------------------------------------------------------

    def _hand_out_films(self) -> None:
        if self.desk is None:
            return
        flying = {id_ for key in self.pool.keys if isinstance(key, Films) for id_ in key.ids}
        wanted = [id_ for id_ in self.desk.wanted() if id_ not in flying]
        for ids in _groups(wanted, FILMS_TOGETHER):
            self._replay(Films, ids, film=True)

    def _hand_out_browsing(self) -> None:
        while self._requests:
            request = self._requests[0]
            generator = loop.load_generator(self.profile, self.sim.space.dim)
            unit = generator.ask(request.count, request.seed).numpy()
            seeds = loop.world_seeds(self.profile.config.seed, request.request, request.seed, request.count)
            self.pool.submit(Job(request, unit, seeds, self._questions, film=True, urgent=True))
            self._requests.pop(0)

    def _hand_out_blocks(self) -> None:
        flying = {key.number for key in self.pool.keys if isinstance(key, Block)}
        due = [block for block in loop.due_blocks(self.profile, patient=self.patient) if block.number not in flying]
        for block in due[: self.pool.free]:
            unit, seeds = loop.ask(self.profile, block, self.sim.space.dim)
            self.pool.submit(Job(block, unit, seeds, self._questions))
        if not due:
            self._hand_out_embeddings()

    def _hand_out_embeddings(self) -> None:
        flying = {id_ for key in self.pool.keys if isinstance(key, Embeddings) for id_ in key.ids}
        due = sorted(self.unanswered() - flying)
        for ids in _groups(due, self.profile.config.rollouts.block)[: self.pool.free]:
            self._replay(Embeddings, ids, film=False)

    def _replay(self, what: type[Films] | type[Embeddings], wanted: Sequence[str], *, film: bool) -> None:
        rollouts = self.profile.rollouts()
        row = {id_: number for number, id_ in enumerate(rollouts.id.tolist())}
        ids = tuple(id_ for id_ in wanted if id_ in row)  # a file that was put aside takes its worlds along
        if not ids:
            return
        worlds = rollouts.where(np.array([row[id_] for id_ in ids]))
        self.pool.submit(Job(what(ids), worlds.unit, worlds.seed, self._questions, film=film, urgent=film))

    # -- writing ------------------------------------------------------------------------------------------------------

    def _store(self, job: Job, rolled: Rolled) -> None:
        match job.key:
            case Block(number, generator):
                self._store_worlds(job, rolled, block=number, generator=generator)
            case Browse(request):
                newest = loop.newest(self.profile, "generator")
                ids = self._store_worlds(job, rolled, block=-1, generator=newest.number if newest else -1)
                self._store_films(ids, rolled)
                self.browsed.setdefault(request, []).extend(ids)
            case Films(ids):
                self._store_embeddings(ids, rolled)
                self._store_films(ids, rolled)
            case Embeddings(ids):
                self._store_embeddings(ids, rolled)
                # A replay may differ. A world that does not live twice is not tried for ever.
                self._lost.update(id_ for id_, status in zip(ids, rolled.status, strict=True) if status != "alive")

    def _store_worlds(self, job: Job, rolled: Rolled, *, block: int, generator: int) -> tuple[str, ...]:
        pairs = zip(job.unit, job.seeds, strict=True)
        ids = tuple(self.profile.rollout_id(unit, int(seed)) for unit, seed in pairs)
        # embeddings first: a world in the table always has its embedding, whatever happens in between
        self._store_embeddings(ids, rolled)
        count = len(ids)
        origin = "browse" if block < 0 else "generator" if generator >= 0 else "prior"
        self.profile.add_rollouts(
            RolloutTable(
                id=np.array(ids),
                block=np.full(count, block, np.int64),
                unit=job.unit.astype(np.float32),
                seed=job.seeds,
                status=np.array(rolled.status),
                origin=np.full(count, origin),
                generator=np.full(count, generator, np.int64),
                time=np.full(count, time.time()),
                error=np.array(rolled.errors),
            )
        )
        self._tell_failures(job, rolled)
        return ids

    def _tell_failures(self, job: Job, rolled: Rolled) -> None:
        failed = [row for row, status in enumerate(rolled.status) if status == "failed"]
        if not failed:
            return
        row = failed[0]
        params = self.sim.space.decode(torch.from_numpy(job.unit[row : row + 1]))
        numbers = torch.cat([value.flatten() for value in params.values()]).tolist()
        world = ", ".join(f"{name}={value:.4g}" for name, value in zip(self.sim.space.names, numbers, strict=True))
        first = f"{self.profile.config.sim.name} with {world}, seed {job.seeds[row]}: {rolled.errors[row]}"
        self.profile.event("failed", f"{len(failed)} of {len(rolled.status)} worlds failed; {first}")

    def _store_embeddings(self, ids: Sequence[str], rolled: Rolled) -> None:
        alive = np.array(rolled.status) == "alive"
        rollout, source = np.array(ids)[alive], np.array(rolled.source)[alive]
        for question, answers in rolled.answers.items():
            name, version = self._table(question)
            self.profile.add_embeddings(name, version, EmbeddingTable(rollout, source, answers[alive]))

    def _table(self, question: str) -> tuple[str, int]:
        if question == "embedding":
            return self.profile.config.rewardor.name, self._embedder.version
        return question, 1

    def _store_films(self, ids: Sequence[str], rolled: Rolled) -> None:
        for id_, film, source in zip(ids, rolled.films, rolled.source, strict=True):
            if film is not None:
                self.profile.add_film(id_, film.mp4, source, film.frames, film.fps, film.size)
        if self.desk is not None:
            self.desk.drop(id_ for id_, film in zip(ids, rolled.films, strict=True) if film is None)
            self.desk.wake()


def _groups(items: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]
