"""Tuning with Ray Tune: trials are plain functions, one fold after the other, and weak ones end early.

Ray keeps nothing here that matters. Each fold that was measured is a file of the study, so a search that is started
again reads what is known in no time, and goes on from there. A trial that takes too long, or dies, costs its own
options and not the search.
"""

import contextlib
import logging
import math
import os
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

from pipeline import cluster
from pipeline.bounds import Bounds, refuse_beyond
from pipeline.rollouts import last_words
from pipeline.study import FOLDS, Options, Study, describe
from pipeline.trial import costs

FIRST, KEPT = 2, 2
"""Folds after which the first trials end, and of how many trials one goes on to twice as many folds."""

FAILED = 1e6
"""What options cost with which a model fails."""

AGAIN = 1
"""How often a trial whose process died is tried again: its machine may have gone, or another one eaten its memory."""

NICE = 15
"""How far trials stand back, as in nice(1): further than `cluster.NICE`, so that training beside them stays quick."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a search went.

    Attributes:
        whole: Whether all options were tried, so that it has ended.
        cause: Why the present options failed, with which others are compared; empty if they did not.
    """

    whole: bool
    cause: str


def search(study: Study, count: int, seconds: float, say: Say, bounds: Bounds) -> Outcome:
    """Try options until there is no time left, and some 15 s longer if a trial does not hear that it is over.

    Asynchronous successive halving [1] over folds: of the trials that reach a rung, the better half goes on. The first
    options, which change nothing, always do: they are what the others are compared with.

    [1] L. Li et al. A system for massively parallel hyperparameter tuning. 2020.

    Args:
        study: What to tune, and where results are kept.
        count: How many options.
        seconds: How long.
        say: Told each trial that has ended.
        bounds: What a trial may take.
    """
    _hush()
    cluster.start()
    halving, warden = _Halving(), _Warden(bounds.seconds)
    watcher = _Watcher(study.candidates(count), halving.weak, warden.overdue, say)
    home, prefix = study.folder.resolve(), f"ray-{socket.gethostname()}-"
    cluster.sweep(home, prefix)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-", dir=home) as scratch:  # where all nodes reach it
        tune.Tuner(
            tune.with_resources(_try, {"CPU": 1}),
            param_space={
                "folder": str(study.folder.resolve()),
                "count": count,
                "memory_mb": bounds.memory_mb,
                "number": tune.grid_search(list(range(count))),
            },
            tune_config=tune.TuneConfig(
                metric="cost",
                mode="min",
                scheduler=halving,
                time_budget_s=seconds,
                reuse_actors=True,
                max_concurrent_trials=max(1, int(cluster.cpus())),
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=scratch,
                callbacks=[watcher, warden],
                stop=_Hopeless(watcher),
                failure_config=tune.FailureConfig(max_failures=AGAIN),
                verbose=0,
                progress_reporter=_Silent(),
            ),
        ).fit()
    return watcher.outcome


def _hush() -> None:
    """Keep Ray's own words to itself: ours are a line for each trial."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    for name in ("ray", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # of a trial that dies it tells the whole traceback


def _try(config: dict[str, Any]) -> None:
    """What a trial does: one fold after the other, until it is told to end."""
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    refuse_beyond(config["memory_mb"])
    study = _opened(config["folder"])
    options, paid = study.candidates(config["count"])[config["number"]], []
    for fold in range(FOLDS):
        try:
            paid += costs(study, options, fold)
        except Exception as error:  # whatever a model says to options that it cannot work with
            tune.report({"fold": FOLDS, "cost": FAILED, "why": f"{type(error).__name__}: {error}"})
            return
        tune.report({"fold": fold + 1, "cost": fmean(paid)})


@lru_cache(maxsize=1)
def _opened(folder: str) -> Study:
    return Study(Path(folder))


class _Halving(ASHAScheduler):
    """Ends weak trials, but never the first one, and remembers which ones it ended."""

    def __init__(self) -> None:
        super().__init__(time_attr="fold", max_t=FOLDS, grace_period=FIRST, reduction_factor=KEPT)
        self.weak: set[str] = set()

    def on_trial_result(self, controller: Any, trial: Trial, result: dict) -> str:
        decision: str = super().on_trial_result(controller, trial, result)
        if decision == self.STOP and result["fold"] < FOLDS:
            if trial.config["number"] == 0:
                return str(self.CONTINUE)
            self.weak.add(trial.trial_id)
        return decision


class _Warden(tune.Callback):
    """Ends the processes of trials of which a fold takes too long, and remembers which ones it ended.

    Args:
        seconds: That a fold may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[str, float] = {}
        self.overdue: dict[str, str] = {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        del iteration, trials, info
        self._since[trial.trial_id] = time.monotonic()

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict, **info: Any) -> None:
        del iteration, trials, result, info
        self._since[trial.trial_id] = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        del iteration, info
        late = time.monotonic() - self._seconds
        for trial in trials:
            if trial.status == Trial.RUNNING and self._since[trial.trial_id] < late:
                self._since[trial.trial_id], trial.max_failures = math.inf, 0  # it would only hang again
                self.overdue[trial.trial_id] = f"a fold took more than {self._seconds:g} s and was ended"
                ray.kill(trial.temporary_state.ray_actor)


class _Watcher(tune.Callback):
    """Says a line for each trial that has ended.

    Args:
        candidates: What is tried.
        weak: Trials that were ended early, by id; filled by somebody else.
        overdue: Why trials were ended from outside, by id; filled by somebody else.
        say: Told.
    """

    def __init__(self, candidates: list[Options], weak: set[str], overdue: dict[str, str], say: Say) -> None:
        self._ended: set[int] = set()
        self._candidates, self._weak, self._overdue, self._say = candidates, weak, overdue, say
        self._best: tuple[float, str] | None = None
        self._cause = ""

    @property
    def outcome(self) -> Outcome:
        """So far."""
        return Outcome(len(self._ended) == len(self._candidates) and not self._cause, self._cause)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        del iteration, trials, info
        number, result, weak = trial.config["number"], trial.last_result or {}, trial.trial_id in self._weak
        if result.get("fold") != FOLDS and not weak:
            return  # there was no time left
        self._tell(number, result, weak=weak)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        del iteration, trials, info
        why = self._overdue.get(trial.trial_id) or last_words(Path(trial.error_file).read_text())
        self._tell(trial.config["number"], {"cost": FAILED, "why": why}, weak=False)

    def _tell(self, number: int, result: dict[str, Any], *, weak: bool) -> None:
        self._ended.add(number)
        options, cost = describe(self._candidates[number]), result["cost"]
        said = f"failed: {result['why']}" if "why" in result else f"{cost:.4f}"
        if weak:
            said += f" after {result['fold']} of {FOLDS} folds, ended early"
        elif "why" not in result and (self._best is None or cost < self._best[0]):
            self._best = cost, options
        if number == 0:
            self._cause = result.get("why", "")
        best = f"; best so far {self._best[0]:.4f}: {self._best[1]}" if self._best else ""
        self._say(f"{len(self._ended):3d} of {len(self._candidates)}  {options}: {said}{best}")


class _Hopeless(tune.Stopper):
    """Ends a search whose present options have failed: there is nothing to compare others with.

    Args:
        watcher: Knows.
    """

    def __init__(self, watcher: _Watcher) -> None:
        self._watcher = watcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether one trial should end."""
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        """Whether all should."""
        return bool(self._watcher.outcome.cause)


class _Silent(tune.ProgressReporter):
    """Says nothing."""

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        del trials, done
        return False

    def report(self, trials: list[Trial], done: bool, *sys_info: dict) -> None:
        del trials, done, sys_info
