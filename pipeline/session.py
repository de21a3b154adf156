"""One profile, running: its desk, its simulators and its training jobs."""

import contextlib
import threading
import time
from collections.abc import Callable

from pipeline import checkpoint, cluster, loop, meters, plugins
from pipeline import train as training
from pipeline.app.studio import State
from pipeline.desk import Desk
from pipeline.driver import Block, Browse, Driver, Films
from pipeline.journal import Journal
from pipeline.profile import Profile
from pipeline.rollouts import Pool
from pipeline.root import Root
from pipeline.store import StoreError

FIRST_PAIR_S = 30.0
"""After this long training starts even if there is no pair yet."""
LOOK_S = 0.05
"""For so long listings are believed: what other processes write is seen that much later, however many ask."""
SOON_S, LATE_S = 3.0, 60.0
"""How long to wait before simulators are started again, the first time and at most; each start costs a machine much.

After simulators have worked for as long as the latter, it is the first time again.
"""


def patience(before: float, lasted: float) -> float:
    """How many seconds to wait before starting again what ended.

    Args:
        before: How long was waited the last time, 0 the first time.
        lasted: How long it worked since, in seconds.
    """
    return min(2 * before, LATE_S) if before and lasted < LATE_S else SOON_S


class Session:
    """Runs a profile in threads of this process and in Ray, until it is closed.

    Things start in the order in which a person waits for them: one simulator, the first pair of films, then the
    training jobs and the other simulators.

    Args:
        root: Where the profiles are.
        profile: What to run.
        train: Whether both models train.
        feed: Whether worlds are made to learn from, or only to be watched.
    """

    def __init__(self, root: Root, profile: Profile, *, train: bool, feed: bool = True) -> None:
        self.profile = profile
        profile.store.believe(LOOK_S)
        self.desk = Desk(profile)
        self.sim = plugins.load("sims", profile.config.sim.name, profile.config.sim.options)
        self.state: State = "starting"
        self._journal = Journal(profile)
        self._root, self._train, self._feed = root, train, feed
        self._driver: Driver | None = None
        self._jobs: dict[checkpoint.Role, training.Job] = {}
        self._wishes: list[Callable[[Driver], None]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"session-{profile.name}", daemon=True)

    def start(self) -> None:
        """Start everything in the background."""
        self._thread.start()

    def close(self) -> None:
        """End what runs; nothing needs to be saved."""
        self._stop.set()
        self._thread.join(timeout=30)

    def browse(self, count: int, seed: int) -> str:
        """Ask for fresh worlds; returns the key of `browsed`."""
        if self._driver is None:
            raise ValueError("the simulators are still starting; try again in a few seconds")
        return self._driver.browse(count, seed)

    def browsed(self, request: str) -> tuple[list[str], bool]:
        """Ids of the worlds of a request so far, and whether more will come."""
        driver = self._driver
        return ([], False) if driver is None else (driver.browsed.get(request, []), driver.pending(request) > 0)

    def flying(self) -> tuple[int, int]:
        """How many worlds are being simulated to learn from, and how many films are being made."""
        keys = self._driver.pool.keys if self._driver else set()
        rolling = sum(isinstance(key, Block) for key in keys) * self.profile.config.rollouts.block
        films = sum(len(key.ids) for key in keys if isinstance(key, Films))
        return rolling, films + sum(key.count for key in keys if isinstance(key, Browse))

    def training(self, role: checkpoint.Role) -> State:
        """What a training job does: off, starting, idle, working or paused."""
        if not self._train:
            return "off"
        if self.profile.paused(role):
            return "paused"
        if role not in self._jobs or not self.profile.held(role):
            return "starting"
        due = loop.due_fit(self.profile) if role == "rewardor" else loop.due_tell(self.profile)
        return "working" if due else "idle"

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                self._work()
            except Exception as error:
                self.state = "lost"
                pause = patience(pause, time.monotonic() - begun)
                text = f"simulators: {type(error).__name__}: {error}; starting them again in {pause:.0f} s"
                self.profile.event("error", text)
            finally:
                self._end()
                with contextlib.suppress(StoreError):  # where profiles lie may be what is lost
                    self._journal.tell()
            self._stop.wait(pause)  # what was ended has time to go

    def _work(self) -> None:
        cluster.start()
        config = self.profile.config.rollouts
        plan = cluster.plan(cluster.nodes(), train=self._train, actor=config.actor_cpus)
        print(f"Ray: {plan}", flush=True)
        pool = Pool(
            self.profile.config.sim,
            places=plan.first(),
            cpus=plan.actor,
            timeout=config.timeout_s,
            memory=config.memory_mb,
            event=self.profile.event,
        )
        self._driver = Driver(self.profile, self.sim, pool, self.desk, feed=self._feed)
        if self.state == "lost":
            self.profile.event("recovered", "Ray and the simulators are there again")
        self.state = "idle"
        self._until(lambda: len(self.profile.films().file) >= 2, FIRST_PAIR_S if self._feed else 0)
        self._start_training(plan)
        reach = cluster.Reach(plan)
        while not self._stop.is_set():
            pool.spread(cluster.spread(reach, self._driver.waiting(), busy=bool(pool.keys)))
            self._mend_training(plan)
            self._journal.tell()
            meters.show(self.profile, self.desk)
            self._until(lambda: False, cluster.LOOK_S)

    def _until(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not (self._stop.is_set() or done() or time.monotonic() > end):
            assert self._driver is not None
            self._driver.tick()

    def _start_training(self, plan: cluster.ResourcePlan) -> None:
        if not self._train or self._stop.is_set():
            return
        for role in checkpoint.ROLES:
            self._begin(role, plan)

    def _mend_training(self, plan: cluster.ResourcePlan) -> None:
        """Start jobs again that have ended: they never should, but the machine that one was on may."""
        for role, job in self._jobs.items():
            why = training.ended(job)
            if why is not None:
                self.profile.event("error", f"the {role}'s training ended: {why}; starting it again")
                self._begin(role, plan, again=True)

    def _begin(self, role: checkpoint.Role, plan: cluster.ResourcePlan, *, again: bool = False) -> None:
        root = str(self._root.resolve())
        self._jobs[role] = training.start(root, self.profile.name, role, cpus=plan.train, head=plan.head, again=again)

    def _end(self) -> None:
        driver, self._driver = self._driver, None
        with contextlib.suppress(Exception):  # Ray may be gone already, and there is nothing left to save
            if driver:
                driver.pool.close()
            for job in self._jobs.values():
                training.stop(job)
        self._jobs.clear()
