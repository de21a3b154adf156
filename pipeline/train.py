"""Training as two warm Ray Train jobs, one for the Rewardor and one for the Generator.

Each job is one long `TorchTrainer.fit()` around five lines: look at the profile, ask `loop.py` what is due for this
role, do it, commit a version, look again. No command travels: the page, the driver and the jobs read the same files.
Ray Train's own checkpoints are not used, a version of the profile is the only truth; so a job that dies starts again
from the files, and a fresh run name each time keeps Ray Train from resuming anything by itself.
"""

import contextlib
import logging
import os
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import ray
from ray.actor import ActorHandle

from pipeline import cluster
from pipeline.checkpoint import Role

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.loop import Settings
    from pipeline.profile import Profile

    Searching: TypeAlias = Callable[[Profile], Settings | None]

POLL = 0.2
"""Seconds between two looks at the files."""
PATIENCE_S = 10**8
"""How long workers wait for each other, in seconds: people may take a weekend off."""
SCRATCH = "alife-train-"
"""Begins the names of folders in which Ray Train keeps its own books; the id of their process follows."""


@dataclass(frozen=True)
class Job:
    """A training job that was started.

    Attributes:
        actor: Drives it.
        done: Ready when the job has ended.
    """

    actor: ActorHandle
    done: ray.ObjectRef


def start(
    root: str, name: str, role: Role, *, cpus: float, head: bool = False, once: bool = False, again: bool = False
) -> Job:
    """Start a training job in the background.

    Args:
        root: Where the profiles are.
        name: The profile.
        role: What to train.
        cpus: CPU tickets of the worker.
        head: Whether it stays on the head of the cluster, which is not given back and where its CPUs are kept free.
        once: Return when nothing is due, instead of looking again.
        again: Whether it replaces one that ended unasked.
    """
    place = {cluster.HEAD: 0.001} if head else {}
    actor = _Trainer.options(resources=place).remote()  # type: ignore[attr-defined]
    config = {"root": root, "name": name, "role": role, "once": once, "again": again}
    return Job(actor, actor.run.remote(config, {"CPU": cpus, **place}))


def wait(job: Job) -> None:
    """Wait until a training job has ended.

    Raises:
        RayError: It failed.
    """
    ray.get(job.done)


def ended(job: Job) -> str | None:
    """Why a training job is over; None while it runs."""
    if not ray.wait([job.done], timeout=0)[0]:
        return None
    try:
        ray.get(job.done)
    except ray.exceptions.RayError as error:
        return str(error).strip().splitlines()[-1][:300] or type(error).__name__
    return "nothing was due"


def stop(job: Job) -> None:
    """Ask a training job to end as soon as it has committed what it is at.

    It is asked, not cancelled: Ray does not give back the CPUs of a Train run whose controller was killed before the
    driver has ended, too (its own cleaner looks through the dashboard), and the next run would wait for them for ever.
    """
    job.actor.stop.remote()


@ray.remote(num_cpus=0, max_concurrency=3)
class _Trainer:
    """Drives one Ray Train run, and tells its worker when to end."""

    def __init__(self) -> None:
        self._stopping = False
        self._begun = 0

    def stop(self) -> None:
        self._stopping = True

    def stopping(self) -> bool:
        return self._stopping

    def begins(self) -> int:
        """How many workers have begun, one after the other: Ray replaces one that died."""
        self._begun += 1
        return self._begun

    def run(self, config: dict, share: dict[str, float]) -> None:
        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
        logging.getLogger("ray.train").setLevel(logging.ERROR)
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        from pipeline.profile import Profile

        cluster.sweep(Path(tempfile.gettempdir()), SCRATCH)
        profile = Profile.open(config["root"], config["name"])
        count, each = workers(profile.config, config["role"], share, ray.cluster_resources().get("GPU", 0))
        trainer = ray.get_runtime_context().current_actor
        with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-") as scratch:
            TorchTrainer(
                _work,
                train_loop_config=config | {"trainer": trainer},
                torch_config=TorchConfig(backend="gloo", timeout_s=PATIENCE_S),
                scaling_config=ScalingConfig(num_workers=count, resources_per_worker=each, use_gpu="GPU" in each),
                run_config=RunConfig(
                    name=f"{config['name']}-{config['role']}-{uuid.uuid4().hex[:8]}",
                    storage_path=scratch,
                    failure_config=FailureConfig(max_failures=-1),
                ),
            ).fit()


def workers(config: "Config", role: Role, share: dict[str, float], gpus: float) -> tuple[int, dict[str, float]]:
    """How many workers train a model together, and what each of them gets.

    Only a Rewardor that says so (`parallel`) is fitted by several, and on GPUs. They share the CPUs of one, so that no
    plan changes, and have a GPU each if there are enough, wherever these are.

    Args:
        config: Of the profile.
        role: Which model.
        share: What Ray should give to the job.
        gpus: GPUs of the cluster.
    """
    from pipeline import plugins

    wanted = config.train.workers
    if role != "rewardor" or (wanted == 1 and not gpus):
        return 1, share
    if not getattr(plugins.find("rewardors", config.rewardor.name), "parallel", False):
        return 1, share
    if gpus >= wanted:
        return wanted, {"CPU": share["CPU"] / wanted, "GPU": 1}
    return wanted, share | {"CPU": share["CPU"] / wanted}


def _work(config: dict) -> None:
    """What the worker of a Train job runs."""
    import torch
    from ray.train import report

    from models import workers as together
    from pipeline import loop
    from pipeline.beside import Beside
    from pipeline.profile import Profile

    torch.set_num_threads(1)
    profile = Profile.open(config["root"], config["name"])
    if not together.leads():
        together.follow(loop.new_rewardor(profile).fit)
        return
    beside = Beside(loop.search)
    try:
        with profile.claim(config["role"]), contextlib.closing(beside):  # a claim tells everybody that this job is up
            if ray.get(config["trainer"].begins.remote()) > 1 or config["again"]:
                text = f"the {config['role']}'s training had died; it goes on from its last version"
                profile.event("recovered", text)
            train(
                profile,
                config["role"],
                once=config["once"],
                beside=None if config["once"] else beside,
                # Ray waits until all workers have reported: those that follow have nothing to say
                tell=lambda version: None if together.several() else report({"version": version}),
                stop=lambda: ray.get(config["trainer"].stopping.remote()),
            )
    finally:
        together.hand_out(None)


def train(
    profile: "Profile",
    role: Role,
    *,
    once: bool = False,
    beside: "Searching | None" = None,
    tell: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Keep one model of a profile up to date until somebody says stop, or until nothing is due.

    An error is written to the profile's events and tried again, ever more patiently: it is either a passing trouble
    of the disk, or one that the next label may cure, and the page should go on meanwhile.

    Args:
        profile: Whose model.
        role: Which model.
        once: Return when nothing is due.
        beside: Searches for a Rewardor's settings while its job goes on; see `loop.fit`.
        tell: Called with each new version.
        stop: Asked before each look.
    """
    patience = POLL
    while not stop():
        try:
            version = step(profile, role, beside)
        except Exception as error:
            if once:
                raise
            profile.event("error", f"{role}: {type(error).__name__}: {error}")
            patience = min(30.0, patience * 2)
        else:
            patience = POLL
            if version is not None:
                tell(version)
                continue
            if once:
                return
        time.sleep(patience)


def step(profile: "Profile", role: Role, beside: "Searching | None" = None) -> int | None:
    """Do what is due for a role; returns the new version.

    None where nothing was due, what was due goes on beside, or the role is paused.
    """
    from pipeline import loop

    if profile.paused(role):
        return None
    if role == "rewardor":
        return loop.fit(profile, beside) if loop.due_fit(profile) else None
    return loop.tell(profile) if loop.due_tell(profile) else None
