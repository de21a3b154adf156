"""Starting or joining Ray, and the plan of who gets which share of it."""

import contextlib
import logging
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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

    Attributes:
        cpus: All that Ray has.
        train: Of each of the two training jobs; 0 where nothing trains.
        actor: Of each simulator.
        actors: How many simulators fit beside training.
    """

    cpus: float
    train: float
    actor: float
    actors: int

    def __str__(self) -> str:
        """One line for people."""
        training = f"2 training jobs x {self.train:g} CPU + " if self.train else ""
        return f"{self.cpus:g} CPUs = {training}{self.actors} simulators x {self.actor:g} CPU"


NICE = 10
"""How far everything in Ray stands back from the page, as in nice(1): less than Ray's default of 15, so that searches
and simulators can stand back from training."""


class DoesNotFitError(ConfigError):
    """Raised when Ray has too few CPUs for one simulator beside what trains."""


def plan(cpus: float, *, train: bool, actor: float) -> ResourcePlan:
    """Shares of `cpus`, with half a CPU for each training job on machines of up to four.

    Raises:
        DoesNotFitError: Not even one simulator is left.
    """
    each = (0.5 if cpus <= 4 else 1.0) if train else 0.0
    actors = int((cpus - each * len(ROLES)) / actor + 1e-9)
    if actors < 1:
        raise DoesNotFitError(
            f"Ray has {cpus:g} CPUs; training takes {each * len(ROLES):g} and a simulator {actor:g}. "
            "Lower it with --set rollouts.actor_cpus=0.25, or label without training: alife label"
        )
    return ResourcePlan(cpus=cpus, train=each, actor=actor, actors=actors)


def start(*, quiet: bool = False) -> None:
    """Join the cluster named by RAY_ADDRESS, or start Ray on this machine; what it merely wants to mention, or not."""
    if ray.is_initialized():
        return
    level = logging.ERROR if quiet else logging.INFO
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    os.environ.setdefault("RAY_worker_niceness", str(NICE))
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=level)
    else:
        _KEEPER.submit(_start_here, level).result()
    _protect_token()


def _start_here(level: int) -> None:
    ray.init(
        address="local",
        num_cpus=max(2, os.cpu_count() or 2),
        include_dashboard=False,
        object_store_memory=300 * 2**20,
        log_to_driver=False,
        logging_level=level,
    )


def _protect_token() -> None:
    # Ray writes its access token readable by everybody on the machine
    token = Path.home() / ".ray" / "auth_token"
    with contextlib.suppress(OSError):
        token.chmod(stat.S_IRUSR | stat.S_IWUSR)


def cpus() -> float:
    """CPU tickets of all nodes, now."""
    return float(ray.cluster_resources().get("CPU", 0))


def stop() -> None:
    """Leave Ray; end it where `start` started it.

    Ray waits long for its workers to end in peace. Nothing in them needs to be saved, so they are not asked.
    """
    if not ray.is_initialized():
        return
    if not os.environ.get("RAY_ADDRESS"):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                _end(process)
    ray.shutdown()


def _end(process: psutil.Process) -> None:
    command = " ".join(process.cmdline())
    if ("ray::" in command or "/ray/" in command) and "gcs_server" not in command:  # Ray asks that one what to end
        process.kill()


def sweep(home: Path, prefix: str) -> None:
    """Remove the scratch folders, called PREFIXPID-…, of processes of this machine that were killed."""
    for folder in home.glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
