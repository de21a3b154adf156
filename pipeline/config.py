"""What a profile.toml may say. Out-of-range values, unknown keys and typing errors are named before anything runs."""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import pydantic
import tomlkit
from pydantic import ConfigDict, Field

from pipeline import plugins

KINDS: dict[str, plugins.Kind] = {"sim": "sims", "rewardor": "rewardors", "generator": "generators"}


class ConfigError(ValueError):
    """Raised when a setting is unknown, of the wrong type or out of range."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plug-in by name, with the options that a person chose.

    Attributes:
        name: In the catalogue, or "package.module:Class".
        options: Keyword arguments of its class; what is not given keeps the class's default.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[str, Field(strict=True, min_length=1)]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RolloutPlan:
    """How many worlds to simulate, and with what.

    Attributes:
        prior: Worlds drawn from the prior before any label.
        per_label: Worlds that each label pays for.
        block: Worlds that are asked for, simulated and stored together.
        actor_cpus: Cores of one rollout actor.
        timeout_s: Longest time a block may take, in seconds, before its actor is replaced.
        memory_mb: Most memory that a rollout actor may take, in megabytes, before it is replaced.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    prior: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 300
    per_label: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 10
    block: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 25
    actor_cpus: Annotated[float, Field(strict=True, gt=0, le=1024, allow_inf_nan=False)] = 0.5
    timeout_s: Annotated[float, Field(strict=True, gt=0, le=1e6, allow_inf_nan=False)] = 300.0
    memory_mb: Annotated[float, Field(strict=True, ge=1000, le=1e7, allow_inf_nan=False)] = 4000.0


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """How models are trained.

    Attributes:
        workers: Processes that fit a Rewardor together, if several can; they share the CPUs of one.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    workers: Annotated[int, Field(strict=True, ge=1, le=64)] = 1


@dataclass(frozen=True, kw_only=True)
class Parent:
    """A profile that another one was forked from, which reads it up to that moment and never writes to it.

    Attributes:
        name: Of the profile, in the same folder of profiles.
        mark: Tells it from another one that has its name by now.
        upto: Of its tables, by folder, the last row; of its models the last version; -1 where there was none.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    mark: Annotated[str, Field(strict=True)]
    upto: dict[str, Annotated[int, Field(strict=True, ge=-1, lt=2**63)]]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that a profile fixes.

    Attributes:
        seed: Fixes whatever is random and not a person.
        sim: The simulation.
        rewardor: The reward model.
        generator: What proposes parameters.
        rollouts: How many worlds to simulate.
        train: How models are trained.
        parents: What a fork goes on from, the oldest first.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 0
    sim: Plugin = Plugin(name="lenia")
    rewardor: Plugin = Plugin(name="common")
    generator: Plugin = Plugin(name="gibbs")
    rollouts: RolloutPlan = RolloutPlan()
    train: TrainPlan = TrainPlan()
    parents: tuple[Parent, ...] = ()


def parse(text: str) -> Config:
    """The configuration in a profile.toml; `check` then asks the plug-ins about theirs.

    Raises:
        ConfigError: With the key, what was given and what is allowed.
    """
    try:
        return _validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"this is not TOML: {error}") from error


def dump(config: Config) -> str:
    """The profile.toml that `parse` reads back."""
    return tomlkit.dumps(_to_toml(config))


def set_value(config: Config, assignment: str) -> Config:
    """A configuration with one setting changed, as "rollouts.per_label=8" or "sim.name=boids" say.

    Raises:
        ConfigError: The key does not exist, or the value is not allowed there.
    """
    key, equals, text = assignment.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not section or (dot and not name):
        raise ConfigError(f'"{assignment}" is not of the form key=value, such as rollouts.per_label=8')
    if section == "parents":
        raise ConfigError("parents are what alife fork writes; they cannot be set")
    document = _to_toml(config)
    if dot and not isinstance(document.get(section), dict):
        if section in document:
            raise ConfigError(f"{section} is one value, without keys of its own")
        raise _unknown(section, tuple(document))
    value = _toml_value(text.strip())
    if name == "name" and section in KINDS:  # the options of another plug-in mean nothing to this one
        value, document[section] = _described(section, value)
    (document[section] if dot else document)[name or section] = value
    changed = _validate(document)
    check(changed)
    return changed


def _described(section: str, name: Any) -> tuple[Any, dict[str, Any]]:
    """A plug-in's name and options. What a file describes is written into the profile, which outlives the file."""
    if section != "sim" or not isinstance(name, str):
        return name, {}
    try:
        return plugins.described(name)
    except plugins.PluginError as error:
        raise ConfigError(str(error)) from error


def check(config: Config) -> None:
    """Ask the plug-ins whether they exist and take their options; imports only those that were given options.

    Raises:
        ConfigError: With what is allowed.
    """
    try:
        for section, kind in KINDS.items():
            plugins.check_name(kind, getattr(config, section).name)
        if config.rewardor.options:
            plugins.load("rewardors", config.rewardor.name, config.rewardor.options)
        if config.sim.options or config.generator.options:
            sim = plugins.load("sims", config.sim.name, config.sim.options)
            dim = sim.space.dim
            plugins.load("generators", config.generator.name, config.generator.options, dim=dim, seed=config.seed)
    except plugins.PluginError as error:
        raise ConfigError(str(error)) from error


def check_name(name: str) -> str:
    """The name, if a profile may be called that: it becomes a folder and part of addresses.

    Raises:
        ConfigError: With the rule, and a name that would do.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        return name
    proposal = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:64]
    hint = f', such as "{proposal}"' if proposal else ""
    raise ConfigError(f"a profile cannot be called {name!r}: use up to 64 of a-z, 0-9, - and _, first no - or _{hint}")


def _validate(document: Mapping[str, Any]) -> Config:
    nested = {key: _plugin(key, value) if key in KINDS else value for key, value in document.items()}
    try:
        return pydantic.TypeAdapter(Config).validate_python(nested)
    except pydantic.ValidationError as error:
        raise ConfigError("; ".join(_explain(each) for each in error.errors())) from error


def _plugin(section: str, table: Any) -> dict[str, Any]:
    """A plug-in's table, its name apart from its options."""
    if not isinstance(table, dict):
        raise ConfigError(f'{section} is {table!r}, expected a table: {section}.name = "…", and options')
    options = {key: value for key, value in table.items() if key != "name"}
    for key, value in options.items():
        if not _plain(value):
            raise ConfigError(
                f"{section}.{key} is {value!r}: options are finite numbers, texts, true, false, lists or tables"
            )
    return {"options": options} | {key: table[key] for key in ("name",) if key in table}


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _explain(error: Any) -> str:
    """One line: what was given, what is allowed, what was probably meant."""
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "unexpected_keyword_argument":
        sections: dict[str, type] = {"": Config, "rollouts": RolloutPlan, "train": TrainPlan}
        section = ".".join(map(str, error["loc"][:-1]))
        return str(_unknown(key, tuple(each.name for each in fields(sections.get(section, Parent))), section))
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "dataclass_type":
        return f"{key} is {error['input']!r}, expected a table: [{key}] with its keys below"
    message = error["msg"].removeprefix("Input ").replace("Input should", "should")
    return f"{key} is {error['input']!r}: it {message}"


def _unknown(key: str, allowed: tuple[str, ...], section: str = "") -> ConfigError:
    where = f"in [{section}]" if section else "at the top"
    last = key.rpartition(".")[2]
    return ConfigError(f'unknown key "{key}"{plugins.meant(last, allowed)}; allowed {where}: {", ".join(allowed)}')


def _to_toml(config: Config) -> dict[str, Any]:
    plugins_ = {key: {"name": getattr(config, key).name} | getattr(config, key).options for key in KINDS}
    plans = {"rollouts": dict(vars(config.rollouts)), "train": dict(vars(config.train))}
    parents = [{"name": each.name, "mark": each.mark, "upto": dict(each.upto)} for each in config.parents]
    return {"seed": config.seed} | plugins_ | plans | ({"parents": parents} if parents else {})


def _toml_value(text: str) -> Any:
    """A TOML value; a bare word, as people type it, is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if re.fullmatch(r"[\w./:-]+", text):
            return text
        raise ConfigError(f"{text!r} is not a value: write a number, true, false, a text or a [list]") from None
