"""The shelf on which profiles stand: making, changing and listing them. Nothing here imports torch or Ray."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import tomlkit

from pipeline import checkpoint, config, lineage
from pipeline.census import listing
from pipeline.config import Config, Parent
from pipeline.profile import Profile, ProfileError, Role
from pipeline.roles import is_held
from pipeline.root import Root, place
from pipeline.store import StoreError, open_store

ROLES: tuple[checkpoint.Role, ...] = ("rewardor", "generator")
HEADINGS = ("profile", "simulation", "worlds", "labels", "rewardor", "generator", "last active")


def create(root: Root, name: str, settings: Sequence[str] = ()) -> Profile:
    """A new profile: the defaults, and what "key=value" settings say.

    Raises:
        ConfigError: A name, a key or a value will not do.
        ProfileError: There is one of that name.
    """
    _refuse_taken(root, name)
    return Profile.create(root, name, _with(Config(), settings))


def fork(root: Root, source: str, name: str, settings: Sequence[str] = ()) -> Profile:
    """A new profile that goes on from the worlds, films and answers of another, as they are now.

    It writes only to itself, and trains its own models. What comes later to the other one it never sees.

    Raises:
        ConfigError: A name, a key or a value will not do.
        ProfileError: There is none to go on from, there is one of the new name, or it would be of another simulation.
    """
    parent = Profile.open(root, source)
    _refuse_taken(root, name)
    changed = _with(parent.config, settings)
    if changed.sim != parent.config.sim:
        raise ProfileError(
            f'a fork keeps the simulation: the answers in "{source}" are about worlds of {parent.config.sim.name} as '
            f"it is set there. Another one needs a profile of its own: alife new {name} --set sim…"
        )
    upto = lineage.snapshot(parent.store) | {role: checkpoint.last_number(parent, role) for role in ROLES}
    now = Parent(name=source, mark=lineage.mark(parent.store), upto=upto)
    return Profile.create(root, name, replace(changed, parents=(*parent.config.parents, now)))


def archive(root: Root, name: str, *, back: bool = False) -> None:
    """Leave a profile out of lists, or put it back there. Nothing else changes: forks go on reading it.

    Raises:
        ProfileError: There is no such profile.
        StoreError: The disk does not take it.
    """
    if name not in listing(root, archived=True):
        Profile.open(root, name)  # says what there is
    store = open_store(place(root) / name)
    if back:
        store.delete("archived")
    else:
        store.put("archived", b"")


def running(root: Root, name: str) -> list[str]:
    """What somebody runs of a profile now, of "page" and "train"."""
    return [role for role in ("page", "train") if is_held(place(root) / name, role)]


def _refuse_taken(root: Root, name: str) -> None:
    if name in listing(root, archived=True):
        raise ProfileError(f'there is a profile "{name}" in {root} already; to go on with it: alife run {name}')
    refuse_remains(root, name)


def refuse_remains(root: Root, name: str) -> None:
    """Refuse to make a profile of what is left of another one: its worlds may be another simulation's.

    Raises:
        ProfileError: There is such a thing.
    """
    if remains(root, name):
        raise ProfileError(f'of a profile "{name}" all is there but its profile.toml; see: alife doctor {name}')


def remains(root: Root, name: str) -> bool:
    """Whether there are worlds or answers under a name, and no profile.toml that says what they are."""
    store = open_store(place(root) / config.check_name(name))
    return not store.exists("profile.toml") and not {"rollouts/", "labels/"}.isdisjoint(store.list(""))


def open_or_create(root: Root, name: str, settings: Sequence[str] = ()) -> Profile:
    """The profile of that name, changed as the settings say; a new one if there is none, and then it is said.

    Raises:
        ConfigError: A name, a key or a value will not do.
        ProfileError: What there is cannot be changed like that.
    """
    if name in listing(root, archived=True):
        return opened(root, name, settings)
    profile = create(root, name, settings)
    chosen = profile.config
    print(
        f'There was no profile "{name}": made one in {profile.path} with the simulation {chosen.sim.name}, '
        f"the generator {chosen.generator.name} and the rewardor {chosen.rewardor.name}.",
        flush=True,
    )
    return profile


def opened(root: Root, name: str, settings: Sequence[str] = ()) -> Profile:
    """The profile of that name, its profile.toml changed as the settings say.

    Raises:
        ConfigError: A key or a value will not do.
        ProfileError: There is no such profile, or what it holds forbids the change.
        ProfileBusyError: It would change, and somebody runs it.
    """
    profile = Profile.open(root, name)
    if _with(profile.config, settings) == profile.config:
        return profile
    with _idle([profile]):  # whoever runs it would go on with the old ones
        profile = Profile.open(root, name)  # somebody else may have changed it a moment ago
        changed = _with(profile.config, settings)
        _refuse_mixtures(profile, changed)
        _write(profile, changed)
    return Profile.open(root, name)


def retune(root: Root, names: Sequence[str], role: checkpoint.Role, options: Mapping[str, float]) -> None:
    """Give a model of profiles other options for good; what they were is written to the profiles' events before.

    What the model has made so far stays, and counts as another model's: a version with the new options is due. So
    nobody may be running one of the profiles meanwhile.

    Raises:
        ConfigError: The model refuses the options.
        ProfileBusyError: Somebody runs one of them.
        StoreError: Not all of them were changed.
    """
    profiles = [Profile.open(root, name) for name in names]
    with _idle(profiles):
        changes = [_retuned(profile.config, role, options) for profile in profiles]  # all, before one is written
        for profile, changed in zip(profiles, changes, strict=True):
            was, now = getattr(profile.config, role).options, getattr(changed, role).options
            before = profile.store.get("profile.toml").decode()
            note = {"role": role, "was": was, "is": now, "profile.toml was": before}
            profile.record("settings", json.dumps(note))
            _write(profile, changed)


@contextlib.contextmanager
def _idle(profiles: Sequence[Profile]) -> Iterator[None]:
    """Keep everybody from running these profiles meanwhile.

    Raises:
        ProfileBusyError: Somebody does.
    """
    with contextlib.ExitStack() as claims:
        for profile in profiles:
            for role in get_args(Role):
                claims.enter_context(profile.claim(role))
        yield


def _retuned(chosen: Config, role: checkpoint.Role, options: Mapping[str, float]) -> Config:
    plugin = getattr(chosen, role)
    changed = replace(chosen, **{role: replace(plugin, options=plugin.options | dict(options))})
    config.check(changed)
    return changed


def _write(profile: Profile, changed: Config) -> None:
    """Change profile.toml."""
    document = tomlkit.parse(profile.store.get("profile.toml").decode())  # keeps the comments of whoever wrote it
    _merge(document, tomlkit.parse(config.dump(changed)))
    profile.store.replace("profile.toml", tomlkit.dumps(document).encode())


def _with(chosen: Config, settings: Sequence[str]) -> Config:
    for setting in settings:
        chosen = config.set_value(chosen, setting)
    return chosen


def _refuse_mixtures(profile: Profile, changed: Config) -> None:
    """Refuse to go on with another simulation or other models than those that made what is there."""
    for key in _made(profile):
        if getattr(changed, key) != getattr(profile.config, key):
            raise ProfileError(
                f'{key} cannot change any more: what is in profile "{profile.name}" was made with it. '
                f"A new profile can have another: alife new NAME --set {key}…"
            )


def _made(profile: Profile) -> set[str]:
    """The settings on which something in a profile depends."""
    worlds = {"sim", "seed"} if len(profile.rollouts().id) else set()
    return worlds | {role for role in ROLES if checkpoint.manifests(profile, role)}


def _merge(document: Any, changed: Mapping[str, Any]) -> None:
    """Give a document the values of another, and no more keys than it, where they differ."""
    for key in [key for key in document if key not in changed]:
        del document[key]
    for key, value in changed.items():
        if isinstance(value, Mapping) and isinstance(document.get(key), Mapping):
            _merge(document[key], value)
        elif document.get(key) != value:
            document[key] = value


def table(root: Root, *, archived: bool = False) -> str:
    """A line for each profile, below headings; a sentence where there are none."""
    names = listing(root, archived=archived)
    if not names:
        return f"No profiles in {root} yet. To make one: alife new NAME"
    return _aligned([HEADINGS, *(_row(root, name) for name in names)])


def _row(root: Root, name: str) -> Sequence[str]:
    try:
        return _told(Profile.open(root, name))
    except (config.ConfigError, ProfileError, StoreError, OSError) as error:  # one bad one must not hide the others
        return name, *[""] * 5, str(error)


def _told(profile: Profile) -> Sequence[str]:
    worlds, labels = profile.rollouts(), profile.labels()
    versions = [checkpoint.manifests(profile, role) for role in ROLES]
    models = (profile.config.rewardor.name, profile.config.generator.name)
    moments = [*worlds.time, *labels.time, *(version.time for made in versions for version in made)]
    away = profile.store.exists("archived")
    return (
        f"{profile.name} (archived)" if away else profile.name,
        profile.config.sim.name,
        str(len(worlds.id)),
        str(len(labels.id)),
        *(f"{model} {made[-1].number if made else '-'}" for model, made in zip(models, versions, strict=True)),
        ago(max(moments)) if moments else "never",
    )


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def ago(moment: float) -> str:
    """How long ago a moment (seconds since 1970) was, as people say it."""
    seconds = max(0.0, time.time() - moment)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
