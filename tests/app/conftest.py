"""The whole studio in this process: real profiles, worlds, films and models; only Ray is left out."""

import time
from pathlib import Path

import pytest

from pipeline import loop
from pipeline.app.studio import State
from pipeline.app.visitors import Door
from pipeline.driver import Driver
from pipeline.profile import Profile
from pipeline.roll import Rolled, roll_here
from pipeline.rollouts import Job, Pool
from pipeline.session import Session
from pipeline.studio import RunningStudio
from tests.app.still import StillStudio


@pytest.fixture(scope="module")
def still() -> StillStudio:
    """Made once for an app that is made once; `studio` gives it another profile for each test."""
    return StillStudio()


@pytest.fixture
def studio(still: StillStudio, tmp_path: Path) -> StillStudio:
    """A studio in which nothing runs, over a fresh profile with some films."""
    still.begin(tmp_path)
    still.fill()
    return still


@pytest.fixture(scope="module")
def door(still: StillStudio, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """The door of a shared page, made once as `still` is."""
    still.begin(tmp_path_factory.mktemp("root"))
    return Door(still, shared=True)


class PoolHere(Pool):
    """Simulates in the thread that collects."""

    def __init__(self, session: Session) -> None:
        self._roll = roll_here(session.sim)
        self._queue: dict[object, Job] = {}

    @property
    def keys(self) -> set:
        return set(self._queue)

    @property
    def free(self) -> int:
        return max(0, 1 - len(self._queue))

    def submit(self, job: Job) -> None:
        self._queue.setdefault(job.key, job)

    def collect(self, timeout: float) -> list[tuple[Job, Rolled]]:
        if not self._queue:
            time.sleep(timeout)
            return []
        job = min(self._queue.values(), key=lambda job: not job.urgent)
        rolled = self._roll(job.unit, job.seeds, job.ask, job.film)
        del self._queue[job.key]
        return [(job, rolled)]

    def close(self) -> None:
        self._queue.clear()


class SessionHere(Session):
    """Simulates and trains in one thread."""

    def training(self, role: str) -> State:
        return "off" if not self._train else "paused" if self.profile.paused(role) else "idle"

    def _work(self) -> None:
        pool = PoolHere(self)
        self._driver = Driver(self.profile, self.sim, pool, self.desk, feed=self._feed)
        self.state = "idle"
        while not self._stop.is_set():
            self._driver.tick(timeout=0.02)
            if self._train and not self.profile.paused("rewardor") and loop.due_fit(self.profile):
                loop.fit(self.profile)
            if self._train and not self.profile.paused("generator") and loop.due_tell(self.profile):
                loop.tell(self.profile)


class StudioHere(RunningStudio):
    """A studio without Ray."""

    def _made(self, profile: Profile) -> SessionHere:
        return SessionHere(self._root, profile, train=self._train, feed=self._feed)


@pytest.fixture(scope="session")
def studio_here() -> type[StudioHere]:
    """Makes studios without Ray."""
    return StudioHere
