"""Simulating many worlds at once, on the actors of a Ray cluster.

An actor is `roll_here` and nothing more; the pool hands out jobs, notices what died or hangs, and tries again. A job is
a pure function of its rows, so trying again is harmless. One bad world costs one rollout: a job that failed twice is
cut into single rows, and a row that still fails is recorded as failed, with the cause. Time and memory are bounded: a
simulator that hangs or leaks is ended, and replaced.
"""

import os
import resource
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
import psutil
import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline import cluster, plugins
from pipeline.config import Plugin, RolloutPlan
from pipeline.roll import Ask, Rolled, failure, join, roll_here

IN_FLIGHT = 2  # jobs per actor: one at work and one waiting, so that an actor never idles between two
ATTEMPTS = 2  # of a job as a whole; then its rows are tried one by one
ANYWHERE = ""
"""In place of a node's id: whichever Ray chooses."""


@dataclass
class Job:
    """Rows to simulate together, and what becomes of them.

    Attributes:
        key: Names the job to whoever submitted it.
        unit: (B, D) float32.
        seeds: (B,) int64.
        ask: What to compute of each clip.
        film: Whether people will see these worlds.
        urgent: Goes before jobs that are not: somebody waits for it.
    """

    key: Hashable
    unit: np.ndarray
    seeds: np.ndarray
    ask: Ask
    film: bool = False
    urgent: bool = False


@dataclass
class _Piece:
    """Some rows of a job, on their way."""

    job: Job
    rows: slice
    attempt: int = 0
    started: float = 0.0
    actor: ActorHandle = None

    @property
    def load(self) -> int:
        """How much of a simulator it takes: all of it, once it is suspected."""
        # otherwise it might be blamed for its neighbor: a sudden crash takes along the answer of the piece before
        return IN_FLIGHT if self.attempt else 1


@dataclass
class _Progress:
    """What has come back of a job so far, by first row."""

    job: Job
    done: dict[int, Rolled] = field(default_factory=dict)

    def complete(self) -> bool:
        return sum(len(rolled.status) for rolled in self.done.values()) == len(self.job.seeds)

    def result(self) -> Rolled:
        return join([self.done[start] for start in sorted(self.done)], self.job.ask)


UNREACHED = "its machine could not be reached"
MB = 1_000_000
LOOK_S = 0.2  # between two looks at a simulator's memory
NICE = 15  # how far simulators stand back, as in nice(1): further than `cluster.NICE` and what is beside training


class _Simulator:
    """One process of the pool; it has one thread that simulates, and one that watches its memory."""

    def __init__(self, sim: Plugin, memory_mb: float) -> None:
        self._roll, self._memory = roll_here(plugins.load("sims", sim.name, sim.options)), int(memory_mb * MB)
        # what is allocated at one stroke is refused at once: no watch would be fast enough
        most, (_, hard) = _memory() + 2 * self._memory, resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))

    def ready(self) -> int:
        """The process id, once the simulation is loaded."""
        return os.getpid()

    @ray.method(concurrency_group="watch")
    def watch(self) -> None:
        """Returns when this process takes too much memory."""
        process = psutil.Process()
        while process.memory_info().rss < self._memory:
            time.sleep(LOOK_S)

    def roll(self, unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool) -> Rolled:
        """Simulate rows. Ray hands out read-only arrays, torch wants to own them."""
        import torch

        torch.set_num_threads(1)  # this and the next concern the thread that calls them
        # people first: the page and the training jobs share these cores; who is nicer already may not be less nice
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
        return self._roll(unit.copy(), seeds.copy(), ask, film)


def _memory() -> int:
    """Resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)


class Pool:
    """A bounded pool of simulators that survives the death of any of them.

    Args:
        sim: What to simulate.
        places: How many simulators on which nodes; those that find no room wait without harm.
        cpus: CPU tickets of each.
        timeout: Seconds that one job may take.
        memory: Megabytes that one simulator may take.
        event: Told about deaths and what follows: a kind, "simulators" or "recovered", and words.
    """

    def __init__(
        self,
        sim: Plugin,
        *,
        places: Mapping[str, int],
        cpus: float,
        timeout: float,
        memory: float = RolloutPlan.memory_mb,
        event: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._class = ray.remote(num_cpus=cpus, max_restarts=0, concurrency_groups={"watch": 1})(_Simulator)
        self._sim, self._timeout, self._memory, self._event = sim, timeout, memory, event
        self._missed = 0  # simulators that ended, and that no other has replaced yet
        self._places: dict[str, int] = {}
        self._node: dict[ActorHandle, str] = {}
        self._watches: dict[ray.ObjectRef, ActorHandle] = {}
        self._starting: dict[ray.ObjectRef, ActorHandle] = {}
        self._load: dict[ActorHandle, int] = {}
        self._waiting: deque[_Piece] = deque()
        self._flying: dict[ray.ObjectRef, _Piece] = {}
        self._jobs: dict[Hashable, _Progress] = {}
        self.spread(places)

    def spread(self, places: Mapping[str, int]) -> None:
        """Have so many simulators on these nodes and none elsewhere; what is at work on others is done again."""
        self._places = dict(places)
        for node in set(self._node.values()):
            there = [actor for actor in self._node if self._node[actor] == node]
            for actor in there[places.get(node, 0) :]:
                self._waiting.extendleft(self._end(actor))
        self._fill()

    def _fill(self) -> None:
        for node, count in self._places.items():
            for _ in range(count - sum(place == node for place in self._node.values())):
                self._start(node)

    def _start(self, node: str) -> None:
        where = "DEFAULT" if node == ANYWHERE else NodeAffinitySchedulingStrategy(node, soft=False)
        actor = self._class.options(scheduling_strategy=where).remote(self._sim, self._memory)
        self._starting[actor.ready.remote()] = actor
        self._node[actor] = node

    def _end(self, actor: ActorHandle) -> list[_Piece]:
        """End a simulator, if it has not ended already; returns what it had been given, the oldest first."""
        ray.kill(actor)
        self._node.pop(actor)
        self._load.pop(actor, None)
        self._starting = {ref: each for ref, each in self._starting.items() if each != actor}
        mine = [ref for ref, piece in self._flying.items() if piece.actor == actor]
        return [self._flying.pop(ref) for ref in mine]

    @property
    def size(self) -> int:
        """How many simulators there should be."""
        return sum(self._places.values())

    @property
    def ready(self) -> int:
        """How many simulators are up."""
        return len(self._load)

    @property
    def keys(self) -> set[Hashable]:
        """The jobs that are waiting or at work."""
        return set(self._jobs)

    @property
    def free(self) -> int:
        """How many more pieces the simulators would take at once."""
        return max(0, IN_FLIGHT * max(1, len(self._load)) - len(self._flying) - len(self._waiting))

    def submit(self, job: Job) -> None:
        """Queue a job. A key that is already on its way is not queued again."""
        if job.key in self._jobs:
            return
        self._jobs[job.key] = _Progress(job)
        piece = _Piece(job, slice(0, len(job.seeds)))
        if job.urgent:
            self._waiting.appendleft(piece)
        else:
            self._waiting.append(piece)

    def collect(self, timeout: float) -> list[tuple[Job, Rolled]]:
        """Jobs that were completed, after at most `timeout` seconds."""
        self._dispatch()
        refs = [*self._flying, *self._starting, *self._watches]
        if not refs:
            time.sleep(timeout)
            return []
        ready, _ = ray.wait(refs, num_returns=1, timeout=timeout)
        more, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        arrived = {*ready, *more}
        for ref in arrived & self._starting.keys():
            self._started(ref)
        for ref in [ref for ref in self._flying if ref in arrived]:  # in the order in which they were handed out
            self._landed(ref)
        for ref in arrived & self._watches.keys():
            self._grown(ref)
        self._end_overdue()
        self._dispatch()
        return self._completed()

    def __call__(self, unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool = False) -> Rolled:
        """Simulate rows and wait for them: the `Roll` of evaluations. Nothing else may be on its way."""
        chunk = 25
        for start in range(0, len(seeds), chunk):
            rows = slice(start, start + chunk)
            self.submit(Job(start, unit[rows], seeds[rows], ask, film))
        done: dict[Hashable, Rolled] = {}
        while self._jobs:
            done |= {job.key: rolled for job, rolled in self.collect(1.0)}
        return join([done[start] for start in range(0, len(seeds), chunk)], ask)

    def close(self) -> None:
        """End all simulators."""
        self.spread({})
        self._watches.clear()

    def _dispatch(self) -> None:
        while self._waiting and self._load:
            actor, piece = min(self._load, key=self._load.__getitem__), self._waiting[0]
            if self._load[actor] + piece.load > IN_FLIGHT:
                return
            self._waiting.popleft()
            job, rows = piece.job, piece.rows
            ref = actor.roll.remote(job.unit[rows], job.seeds[rows], job.ask, job.film)
            piece.actor, piece.started = actor, time.monotonic()
            self._load[actor] += piece.load
            self._flying[ref] = piece

    def _started(self, ref: ray.ObjectRef) -> None:
        actor = self._starting[ref]
        try:
            ray.get(ref)
        except ray.exceptions.RayError as error:
            lost = self._lost(self._node[actor])
            self._event("simulators", f"a simulator did not start: {UNREACHED if lost else _cause(error)}")
            if not lost:
                time.sleep(1.0)  # a broken installation must not turn into a storm of processes
            self._end(actor)
            self._fill()
        else:
            del self._starting[ref]
            self._load[actor] = 0
            self._watches[actor.watch.remote()] = actor
            if self._missed:
                self._missed -= 1
                self._event("recovered", "another simulator is up in place of the one that ended")

    def _lost(self, node: str) -> bool:
        """Whether a node is gone; it then has no places any more."""
        gone = node != ANYWHERE and node not in cluster.nodes()
        if gone:
            self._places.pop(node, None)
        return gone

    def _grown(self, ref: ray.ObjectRef) -> None:
        """End a simulator whose watch has ended, because it took too much memory or because it died."""
        actor = self._watches.pop(ref)
        if actor not in self._load:  # it was buried with its work
            return
        try:
            ray.get(ref)
        except ray.exceptions.RayError as error:
            self._bury(actor, f"a simulator died: {_cause(error)}", blame=_its_own(error))
        else:
            self._bury(actor, f"a simulator took more than {self._memory:g} MB of memory and was ended")

    def _landed(self, ref: ray.ObjectRef) -> None:
        piece = self._flying.get(ref)
        if piece is None:  # it was behind one that took its simulator along
            return
        try:
            rolled = ray.get(ref)
        except ray.exceptions.RayActorError as error:
            self._bury(piece.actor, f"a simulator died: {_cause(error)}", blame=_its_own(error))
            return
        except ray.exceptions.RayError as error:
            self._again(piece, _cause(error))
        else:
            self._jobs[piece.job.key].done[piece.rows.start] = rolled
        del self._flying[ref]
        self._load[piece.actor] -= piece.load

    def _bury(self, actor: ActorHandle, why: str, *, blame: bool = True) -> None:
        """Replace a simulator; the oldest of its pieces was at work and is to blame, the others only waited."""
        lost = self._lost(self._node[actor])
        self._event("simulators", why)
        self._missed += not lost
        pieces = self._end(actor)
        self._fill()
        guilty = 1 if blame and not lost else 0
        for piece in pieces[:guilty]:
            self._again(piece, why)
        self._waiting.extendleft(pieces[guilty:])

    def _again(self, piece: _Piece, why: str) -> None:
        rows, attempt = piece.rows, piece.attempt + 1
        single = rows.stop - rows.start == 1
        if attempt < ATTEMPTS:
            self._waiting.appendleft(_Piece(piece.job, rows, attempt))
        elif single:
            self._jobs[piece.job.key].done[rows.start] = failure(why)
        else:
            self._waiting.extendleft(_Piece(piece.job, slice(row, row + 1), 1) for row in range(rows.start, rows.stop))

    def _end_overdue(self) -> None:
        now = time.monotonic()
        # a piece waits for those that share its simulator, so it may take as many times as long
        late = {p.actor for p in self._flying.values() if now - p.started > self._timeout * IN_FLIGHT / p.load}
        for actor in late:
            self._bury(actor, f"a simulator hung for more than {self._timeout:g} s and was ended")

    def _completed(self) -> list[tuple[Job, Rolled]]:
        finished = [key for key, progress in self._jobs.items() if progress.complete()]
        return [(progress.job, progress.result()) for progress in map(self._jobs.pop, finished)]


def _its_own(error: Exception) -> bool:
    """Whether a simulator's process ended: not so where its machine could not be reached."""
    return not isinstance(error, ray.exceptions.ActorUnavailableError)


def _cause(error: Exception) -> str:
    """Why something failed, in words."""
    if not _its_own(error):
        return UNREACHED
    return last_words(str(error)) or type(error).__name__


def last_words(told: str) -> str:
    """The reason in what Ray tells about an error; empty if it tells nothing."""
    if "Worker unexpectedly exits" in told:  # Ray guesses at length, and does not know either
        return "its process ended without a word: it crashed outside Python, exited, or was killed"
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
