"""Starting or joining Ray, and the plan of who gets which share of it."""

import contextlib
import logging
import math
import os
import secrets
import shlex
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import ray

from pipeline.checkpoint import ROLES
from pipeline.config import ConfigError

_KEEPER = ThreadPoolExecutor(1, thread_name_prefix="ray-keeper")
"""Starts Ray, in a thread that lives as long as this process: the kernel kills Ray's servers, which ask to be told when
their parent ends, as soon as the thread that started them is gone."""


@dataclass(frozen=True)
class ResourcePlan:
    """Who gets how many CPU tickets. Training comes first and simulators get the rest, so nothing can starve.

    Each node has its own share of simulators: were only their sum bounded, they could leave half a CPU on every node,
    and no node with a whole one for training.

    Attributes:
        nodes: CPU tickets of each node that Ray has, by its id, the head first.
        train: Of each of the two training jobs; 0 where nothing trains.
        actor: Of each simulator.
    """

    nodes: Mapping[str, float]
    train: float
    actor: float

    @property
    def cpus(self) -> float:
        """All that Ray has."""
        return sum(self.nodes.values())

    @property
    def head(self) -> bool:
        """Whether both training jobs fit on the head, which is where they are then."""
        return next(iter(self.nodes.values()), 0.0) >= self.train * len(ROLES)

    @property
    def places(self) -> dict[str, int]:
        """How many simulators each node has room for beside training."""
        left = dict(self.nodes)
        for _ in ROLES:
            home = next((node for node, free in left.items() if free >= self.train), None)
            if home:
                left[home] -= self.train
        return {node: int(free / self.actor + 1e-9) for node, free in left.items() if free >= self.actor - 1e-9}

    @property
    def actors(self) -> int:
        """How many simulators that makes."""
        return sum(self.places.values())

    def first(self) -> dict[str, int]:
        """A place for one simulator."""
        return dict.fromkeys(list(self.places)[:1], 1)

    def few(self) -> dict[str, int]:
        """Places while there is nothing to do: those of the head, or a single one."""
        head = next(iter(self.nodes), "")
        return {head: self.places[head]} if head in self.places else self.first()

    def __str__(self) -> str:
        """One line for people."""
        training = f"2 training jobs x {self.train:g} CPU + " if self.train else ""
        where = f" on {len(self.nodes)} nodes" if len(self.nodes) > 1 else ""
        return f"{self.cpus:g} CPUs{where} = {training}{self.actors} simulators x {self.actor:g} CPU"


PATIENCE_S = 20.0
"""How long worlds are due that no simulator takes, in seconds, before more machines are asked for."""
IDLE_S = 300.0
"""How long nothing is due, in seconds, before simulators leave the nodes beside the head, so that these can go."""


@dataclass
class Reach:
    """Where simulators are, and how many CPUs they want, as work comes and goes.

    Attributes:
        plan: Shares of the nodes that there are now.
        wish: CPU tickets that a cluster that can grow should have; 0 while those that are there suffice.
    """

    plan: ResourcePlan
    wish: int = 0
    _enough: float = -math.inf
    _busy: float = -math.inf

    def look(self, nodes: Mapping[str, float], waiting: int, *, busy: bool, now: float) -> dict[str, int]:
        """How many simulators should be on each node.

        Args:
            nodes: As in `ResourcePlan`.
            waiting: Jobs that are due and that no simulator takes yet.
            busy: Whether any job is at work.
            now: The time, in seconds.
        """
        self.plan = replace(self.plan, nodes=nodes)
        if not waiting:
            self._enough = now
        if waiting or busy:
            self._busy = now
        self._enough, self._busy = (now if math.isinf(then) else then for then in (self._enough, self._busy))
        self.wish = 0
        if now - self._enough >= PATIENCE_S:  # at most twice of what is there, since work may be done before they come
            self.wish = math.ceil(self.plan.cpus + min(waiting * self.plan.actor, self.plan.cpus))
        return self.plan.few() if now - self._busy >= IDLE_S else self.plan.places


HEAD = "node:__internal_head__"
"""What only the head of a cluster has, as a resource in Ray's books."""
NICE = 10
"""How far everything in Ray stands back from the page, as in nice(1): less than Ray's default of 15, so that searches
and simulators can stand back from training."""


class DoesNotFitError(ConfigError):
    """Raised when Ray has too few CPUs for one simulator beside what trains."""


def plan(nodes: Mapping[str, float], *, train: bool, actor: float) -> ResourcePlan:
    """Shares of nodes, with half a CPU for each training job where there are up to four.

    Raises:
        DoesNotFitError: Not even one simulator is left.
    """
    cpus = sum(nodes.values())
    made = ResourcePlan(nodes, train=(0.5 if cpus <= 4 else 1.0) if train else 0.0, actor=actor)
    if made.actors < 1:
        where = f" on {len(nodes)} nodes" if len(nodes) > 1 else ""
        raise DoesNotFitError(
            f"Ray has {cpus:g} CPUs{where}; training takes {made.train * len(ROLES):g} and a simulator {actor:g}. "
            "Lower it with --set rollouts.actor_cpus=0.25, or label without training: alife label"
        )
    return made


LOOK_S = 3.0
"""Seconds between two looks at whether the cluster has changed."""


def spread(reach: Reach, waiting: int, *, busy: bool) -> dict[str, int]:
    """`Reach.look` at the nodes that there are now; what it wishes is told to the cluster, again and again."""
    before = reach.wish
    places = reach.look(nodes(), waiting, busy=busy, now=time.monotonic())
    if before or reach.wish:
        wish(reach.wish)
    return places


def start() -> None:
    """Join the cluster named by RAY_ADDRESS, or start Ray on this machine. Ray's remarks stay off the terminal."""
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    os.environ.setdefault("RAY_worker_niceness", str(NICE))
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        _KEEPER.submit(_start_here).result()
    _protect_token()


def _start_here() -> None:
    # of four times as many processes as it starts at once Ray warns on the terminal, and training alone takes fifteen
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(max(5, os.cpu_count() or 2)))
    ray.init(
        address="local",
        num_cpus=max(2, os.cpu_count() or 2),
        include_dashboard=False,
        object_store_memory=300 * 2**20,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _protect_token() -> None:
    # Ray writes its access token readable by everybody on the machine
    token = Path.home() / ".ray" / "auth_token"
    with contextlib.suppress(OSError):
        token.chmod(stat.S_IRUSR | stat.S_IWUSR)


def nodes() -> dict[str, float]:
    """CPU tickets of each node by its id, now, the head first."""
    living = [node for node in ray.nodes() if node["Alive"]]
    living.sort(key=lambda node: HEAD not in node["Resources"])
    return {node["NodeID"]: float(node["Resources"].get("CPU", 0)) for node in living}


def cpus() -> float:
    """CPU tickets of all nodes, now."""
    return sum(nodes().values())


def wish(cpus: int) -> None:
    """Ask for a cluster of so many CPUs in all, if it can grow; 0 for no more than is in use.

    Simulators themselves ask for nothing that is not there: one that waits for a place would take the next that a
    training job leaves.
    """
    if os.environ.get("RAY_ADDRESS"):
        from ray.autoscaler.sdk import request_resources

        request_resources(num_cpus=cpus)


def stop() -> None:
    """Leave Ray; end it where `start` started it.

    Ray waits long for its workers to end in peace. Nothing in them needs to be saved, so they are not asked.
    """
    if not ray.is_initialized():
        return
    with contextlib.suppress(Exception):  # the head may be gone
        wish(0)
    if not os.environ.get("RAY_ADDRESS"):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                _end(process)
    ray.shutdown()


def _end(process: psutil.Process) -> None:
    command = " ".join(process.cmdline())
    if ("ray::" in command or "/ray/" in command) and "gcs_server" not in command:  # Ray asks that one what to end
        process.kill()


STOP_S = 30
"""Seconds that a job has to end well after `ray job stop`, instead of Ray's 3."""
STAYS = ["profiles", ".venv", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache"]
"""What is not sent to a cluster, besides what .gitignore and .rayignore name."""


def submit(words: Sequence[str], name: str, tree: Path, address: str) -> str:
    """Send code to a cluster and run a command line there, in the folder with that code.

    Args:
        words: The command line.
        name: Begins the id of the job.
        tree: The folder with the code.
        address: Of the cluster's dashboard, through which jobs come.

    Returns:
        The id of the job.

    Raises:
        ConfigError: The cluster is out of reach, does not let us in, or does not take the code.
    """
    from ray.job_submission import JobSubmissionClient

    if not address.startswith(("http://", "https://")):
        raise ConfigError(f'address "{address}" is not one of a dashboard, such as http://127.0.0.1:8265')
    logging.getLogger("ray").setLevel(logging.ERROR)  # it would tell what it packs
    token = _token()
    try:
        client = JobSubmissionClient(address, headers={"Authorization": f"Bearer {token}"} if token else {})
        job: str = client.submit_job(
            entrypoint=shlex.join(words),
            submission_id=f"{name}-{secrets.token_hex(3)}",
            runtime_env={
                "working_dir": str(tree),
                "excludes": STAYS,
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S)},
            },
        )
    except ConnectionError:
        raise ConfigError(
            f"no cluster answers at {address}. Is it up (ray up cluster.yaml), and is its port forwarded in another "
            "terminal (ray attach cluster.yaml -p 8265 -p 7860)?"
        ) from None
    except ray.exceptions.AuthenticationError:
        why = "refuses the token of this computer" if token else "asks for a token, and this computer has none"
        raise ConfigError(
            f"the cluster at {address} {why}. It is read from RAY_AUTH_TOKEN, the file that RAY_AUTH_TOKEN_PATH names, "
            "or ~/.ray/auth_token, and must be the one with which the cluster was started"
        ) from None
    except RuntimeError as error:
        hint = " Name big folders in .rayignore: Ray takes 100 MiB." if "413" in str(error) else ""
        raise ConfigError(f"the cluster at {address} does not take the job: {error}{hint}") from None
    return job


def _token() -> str:
    """What opens clusters, from where Ray looks for it; empty where there is none."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with contextlib.suppress(OSError):
        return os.environ.get("RAY_AUTH_TOKEN") or path.read_text().strip()
    return ""


def sweep(home: Path, prefix: str) -> None:
    """Remove the scratch folders, called PREFIXPID-…, of processes of this machine that were killed."""
    for folder in home.glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
