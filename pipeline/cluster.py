"""Starting or joining Ray, and the plan of who gets which share of it."""

import contextlib
import logging
import os
import secrets
import shlex
import shutil
import stat
from collections.abc import Sequence
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
