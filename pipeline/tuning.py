"""What `alife tune` does: for each model a search, what it found, and what is to be done about it."""

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline import shelf, study, tune_plot, tuned
from pipeline.bounds import Bounds
from pipeline.checkpoint import Role
from pipeline.ending import unhurried
from pipeline.profile import Profile
from pipeline.root import Root
from pipeline.study import Study


def run(
    root: Root,
    names: Sequence[str],
    roles: Sequence[Role],
    *,
    trials: int = 16,
    minutes: float = 30.0,
    out: Path | None = None,
    apply: bool = False,
) -> None:
    """Tune models of profiles.

    Args:
        root: Where the profiles are.
        names: Of the profiles.
        roles: Which models.
        trials: How many options to try for each.
        minutes: How long, in all.
        out: Where to keep what was measured, a folder per model; found below the root if None.
        apply: Whether profiles get the best options.

    Raises:
        ProfileError: There is no such profile, they have too few answers or different models, or, for `apply`, one of
            them is running.
        StoreError: Something could not be saved.
    """
    profiles = [Profile.open(root, name) for name in dict.fromkeys(names)]
    studies = [study.begin(profiles, role, out / role if out else None, ended=apply) for role in roles]
    searching = any(each.tried < trials for each in studies)
    end = time.monotonic() + 60 * minutes
    try:
        for left, each in zip(range(len(studies), 0, -1), studies, strict=True):
            plans = [profile.config.rollouts for profile in profiles]
            cause = _search(each, trials, (end - time.monotonic()) / left, Bounds.of(plans, each.role))
            _tell(each, trials, cause, hint=not apply)
            if apply:
                _apply(each, trials, root)
    finally:
        if searching:
            from pipeline import cluster

            with unhurried():
                cluster.stop()


def _search(this: Study, trials: int, seconds: float, bounds: Bounds) -> str:
    """Go on with a search; returns why the present options failed, nothing if they did not."""
    if this.tried >= trials:
        return ""
    known = sum(this.known(options, 0) is not None for options in this.candidates(trials))
    begun = f", begun {shelf.ago(this.begun)}, {known} options known" if known else ""
    print(f"Tuning {tuned.headline(this)}{begun}. Kept in {this.folder}", flush=True)
    from pipeline import tune

    outcome = tune.search(this, trials, max(seconds, 1.0), say, bounds)
    if outcome.whole:
        this.end(trials)
    return outcome.cause


def say(line: str) -> None:
    """A line of progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _tell(this: Study, trials: int, cause: str, *, hint: bool) -> None:
    if cause:
        print(f"As it is now, the {this.role} fails, and there is nothing to compare others with: {cause}")
        print("Once that is mended, the same command goes on.")
        return
    found = tuned.results(this, trials)
    if not any(each.whole for each in found):
        print(f"What the {this.role} costs as it is now is not known yet: the same command goes on.")
        return
    told, picture = tuned.table(this, found), this.folder / "found.png"
    this.store.replace("found.txt", f"{told}\n".encode())
    tune_plot.save(this, found, picture)
    print(f"\n{told}\n\nPicture: {picture}\n{tuned.verdict(found)}")
    if this.tried < trials:
        print("Not all were tried: the same command goes on.")
    elif hint and tuned.winner(found):
        print(f"To have it in {' and '.join(this.profiles)}: the same command with --apply.")


def _apply(this: Study, trials: int, root: Root) -> None:
    best = tuned.winner(tuned.results(this, trials))
    if best is None or this.tried < trials:
        return
    names = list(this.profiles)
    shelf.retune(root, names, this.role, best.options)
    print(f"Written into {' and '.join(names)}; what it was is in the events there. Next: alife train {names[0]}")
