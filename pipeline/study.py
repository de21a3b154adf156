"""A study: which options of a model learn best from the answers in some profiles. Its files, in a folder of its own.

study.json              what is studied; written last, so that without it there is no study
data/NAME.safetensors   what there was in a profile when the study began: nothing that comes later can disturb it
trials/OPTIONS/         what was measured, a file per fold: whoever finds one need not measure it again
ended.json              how many options were tried, once that search has ended
found.txt, found.png    what came out, for people

So a search that was killed goes on where it was by looking at the same files again. Profiles are only read.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import safetensors.torch
from scipy.stats import qmc
from torch import Tensor

from models import Labels
from models.held_out import decided
from pipeline import loop, plugins, tensors
from pipeline.checkpoint import Role
from pipeline.config import KINDS, Config, Plugin
from pipeline.profile import Profile, ProfileError
from pipeline.root import Root
from pipeline.store import KeyTakenError, Store

FEWEST = 20
"""Decided answers below which a profile says nothing about options."""

FOLDS = 6
DIGITS = 3
"""Of an option that was drawn."""

Options: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class Data:
    """What a profile held.

    Attributes:
        embedding: (B, F).
        labels: On rows of it.
        reference: (B,) bool.
        unit: (N, D) of the worlds that a Generator learns from.
        alive: (N,) bool.
        seen: (N, F) their embeddings; NaN where not alive.
    """

    embedding: Tensor
    labels: Labels
    reference: Tensor
    unit: Tensor
    alive: Tensor
    seen: Tensor

    @classmethod
    def of(cls, profile: Profile) -> "Data":
        """What a profile holds now."""
        rewardor, rollouts = loop.new_rewardor(profile), loop.learned_from(profile.rollouts())
        trained = tensors.training_set(profile, rewardor, profile.labels())
        return cls(*trained, *tensors.archived(profile, rewardor.version, rollouts))

    def dump(self) -> bytes:
        """As safetensors."""
        columns = {name: value for name, value in vars(self).items() if name != "labels"} | vars(self.labels)
        return safetensors.torch.save({name: value.contiguous() for name, value in columns.items()})

    @classmethod
    def parse(cls, data: bytes) -> "Data":
        """The inverse of `dump`."""
        columns = safetensors.torch.load(data)
        labels = Labels(**{name: columns.pop(name) for name in ("left", "right", "answer", "labeler")})
        return cls(labels=labels, **columns)


class Study:
    """A study that was begun.

    Args:
        folder: Where.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder)
        about = json.loads(self.store.get("study.json"))
        self.role: Role = about["role"]
        self.begun: float = about["begun"]
        self.answers: dict[str, int] = about["answers"]
        self.profiles: dict[str, Any] = about["profiles"]
        self.versions: dict[str, Any] | None = about.get("versions")
        self.model: str = next(iter(self.profiles.values()))[self.role]["name"]

    @cached_property
    def data(self) -> dict[str, Data]:
        """What each profile held."""
        return {name: Data.parse(self.store.get(_data(name))) for name in self.profiles}

    def config(self, name: str) -> Config:
        """What a profile's models and simulation were set to, as far as this study needs to know."""
        said: dict[str, Any] = self.profiles[name]
        chosen: dict[str, Any] = {key: Plugin(**it) if isinstance(it, dict) else it for key, it in said.items()}
        return Config(**chosen)

    def candidates(self, count: int) -> list[Options]:
        """Options to try, the first of which change nothing; a longer list begins with a shorter one."""
        return [{}, *draw(tunable(self.role, self.model), count - 1)]

    def known(self, options: Options, fold: int) -> list[float] | None:
        """What was measured of options, None if it was not yet."""
        try:
            return list(json.loads(self.store.get(_trial(options, fold))))
        except FileNotFoundError:
            return None

    def keep(self, options: Options, fold: int, found: Sequence[float]) -> None:
        """Write down for good what was measured; somebody else may have been faster."""
        with contextlib.suppress(KeyTakenError):
            self.store.put(_trial(options, fold), json.dumps(list(found)).encode())

    @property
    def tried(self) -> int:
        """How many options the search tried that has ended, 0 if none has."""
        return int(json.loads(self.store.get("ended.json"))["trials"]) if self.store.exists("ended.json") else 0

    def end(self, count: int) -> None:
        """Write down that a search has ended."""
        self.store.replace("ended.json", json.dumps({"trials": count}).encode())


def _data(name: str) -> str:
    return f"data/{name}.safetensors"


def _trial(options: Options, fold: int) -> str:
    said = ",".join(f"{name}={value:g}" for name, value in sorted(options.items())) or "as-it-is"
    return f"trials/{said}/{fold}.json"


def tunable(role: Role, name: str) -> dict[str, tuple[float, float]]:
    """The options of a model that may be tried, with their ranges.

    Raises:
        ProfileError: It names none, one that it does not have, or a range that is none.
    """
    ranges = dict(plugins.find(KINDS[role], name).tunable)  # type: ignore[attr-defined]
    if not ranges:
        raise ProfileError(f'the {role} "{name}" names no options to tune: see `tunable` in models/_{role}.py')
    options = plugins.options(KINDS[role], name)
    for key, (low, high) in ranges.items():
        if key not in options or not 0 < low < high:
            raise ProfileError(f'the {role} "{name}" has a wrong line in `tunable`: "{key}": {(low, high)}')
    return ranges


def draw(ranges: Mapping[str, tuple[float, float]], count: int) -> list[Options]:
    """Options spread evenly over ranges in the logarithm, by a Halton sequence [1].

    [1] J. Halton. On the efficiency of certain quasi-random sequences of points. 1960.
    """
    points = qmc.Halton(len(ranges), seed=0).random(count)
    return [{key: _between(*ranges[key], x) for key, x in zip(ranges, point, strict=True)} for point in points]


def _between(low: float, high: float, share: float) -> float:
    value = float(f"{low * (high / low) ** share:.{DIGITS}g}")
    return round(value) if isinstance(low, int) and isinstance(high, int) else value


def describe(options: Mapping[str, Any]) -> str:
    """Options, for people."""
    return ", ".join(f"{name} {value}" for name, value in options.items()) or "as it is"


# -- beginning and finding --------------------------------------------------------------------------------------------


def begin(profiles: Sequence[Profile], role: Role, folder: Path | None = None, *, ended: bool = False) -> Study:
    """The study of a model of these profiles: the last one if it has not ended, else a new one if answers are new.

    Args:
        profiles: Of one root.
        role: Which model.
        folder: Where it is, or shall be; found below the root by default.
        ended: Take the last one even if it has ended and answers came since.

    Raises:
        ProfileError: Profiles have too few answers or different models, or the folder holds another study.
        StoreError: Nothing could be saved.
    """
    _refuse_mixtures(profiles, role)
    tunable(role, getattr(profiles[0].config, role).name)
    settings = {profile.name: _settings(profile, role) for profile in profiles}
    versions = {profile.name: _versions(profile, role) for profile in profiles}  # older code may have cost other sums
    about: dict[str, Any] = {"role": role, "profiles": settings, "versions": versions}
    home = folder.parent if folder else _home(profiles[0].root)
    paths = [folder] if folder else home.glob("*")
    there = [Study(path) for path in paths if (path / "study.json").exists()]
    wanted = role, settings, versions
    same = [study for study in there if (study.role, study.profiles, study.versions) == wanted]
    if folder and there and not same:
        raise ProfileError(f"{folder} holds a study of other profiles, or of models with other options or versions")
    last = max(same, key=lambda study: study.begun, default=None)
    if last and (folder or ended or not last.tried):
        return last
    about["answers"] = {profile.name: len(profile.labels().id) for profile in profiles}
    marks = [loop.digest(profile.labels(), len(profile.labels().id)) for profile in profiles]
    return _create(profiles, folder or home / f"{role}-{_digest(about, marks)}", about)


def _home(root: Root) -> Path:
    """Where studies are found by default."""
    if not isinstance(root, Path):
        raise ProfileError(f"trials need a folder of this machine, and the profiles are on {root}: --out FOLDER")
    return root / ".tune"


def _create(profiles: Sequence[Profile], folder: Path, about: dict[str, Any]) -> Study:
    store = Store(folder)
    if not store.exists("study.json"):
        data = {profile.name: Data.of(profile) for profile in profiles}
        for name, each in data.items():
            _refuse_few(name, int(decided(each.labels).sum()))
        for name, each in data.items():
            store.delete(_data(name))  # of a study whose beginning was cut short
            store.put(_data(name), each.dump())
        store.put("study.json", json.dumps(about | {"begun": time.time()}, indent=2).encode())
    return Study(folder)


def _settings(profile: Profile, role: Role) -> dict[str, Any]:
    """What decides how a model of a profile learns."""
    chosen = profile.config
    if role == "rewardor":
        return {"rewardor": dict(vars(chosen.rewardor))}
    settings: dict[str, Any] = {key: dict(vars(getattr(chosen, key))) for key in ("rewardor", "generator", "sim")}
    return settings | {"seed": chosen.seed}


def _versions(profile: Profile, role: Role) -> dict[str, int]:
    """Of the code that decides what is measured."""
    return {key: loop.code_version(profile, key) for key in _settings(profile, role) if key in KINDS}


def _refuse_mixtures(profiles: Sequence[Profile], role: Role) -> None:
    """What is best for one model says nothing about another."""
    named = {profile.name: getattr(profile.config, role).name for profile in profiles}
    if len(set(named.values())) > 1:
        told = ", ".join(f"{name} has {model}" for name, model in named.items())
        raise ProfileError(f"profiles with different {role}s cannot be tuned together: {told}")


def _refuse_few(name: str, count: int) -> None:
    if not count:
        raise ProfileError(f'profile "{name}" has no answers to learn from yet; first: alife run {name}')
    if count < FEWEST:
        raise ProfileError(
            f'profile "{name}" has {count} answers that call one of two worlds better; tuning takes at least {FEWEST}'
        )


def _digest(about: dict[str, Any], marks: list[str]) -> str:
    return hashlib.blake2b(json.dumps([about, marks], sort_keys=True).encode(), digest_size=6).hexdigest()
