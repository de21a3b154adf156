"""What the doctor looks at besides tables: films, versions, saved worlds, settings, and all else that lies there."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from pipeline import checkpoint, customs
from pipeline.parts import Columns
from pipeline.patient import Finding, Patient, Step
from pipeline.people import FOLDER as PEOPLE
from pipeline.profile import ProfileError, Role
from pipeline.signing import fingerprint
from pipeline.store import below

KNOWN = re.compile(
    rf"(?:{customs.ALLOWED.pattern})|{PEOPLE}{customs.PART}|secret\.key|archived|paused/\w+|probe/\w+"
    rf"|({'|'.join(get_args(Role))})\.lock|quarantine/.+",
    re.ASCII,
)
"""The files that a profile may have."""
LEFTOVER = ".tmp-"
"""Begins the names of files that are being written."""
AGAIN = "no answer is lost, and alife run trains it anew from them"


def films(profile: Patient, tables: dict[str, Columns], there: set[str], done: Step) -> Iterator[Finding]:
    """Films that rows name, and those that none names."""
    if not tables:
        return
    named = set(tables["films/"]["file"].tolist())
    for file in sorted(named):
        key = f"films/_mp4/{file}"
        try:
            profile.film_bytes(file)
        except ProfileError:
            what = profile.unreadable.pop(key, "it is not there")
            profile.damaged.discard(key)
            own = (key,) if profile.store.exists(key) else ()
            yield Finding(key, what, "its world cannot be watched any more; no answer is lost", movable=own)
        except OSError as error:
            yield _withheld(key, error)
        done(1)
    if idle := sorted(there - named):
        what = f"{len(idle)} films that no row names, such as {idle[0]}"
        yield Finding("films/_mp4/", what, "whoever made them was killed, or is at work; nothing is lost", damage=False)


def _withheld(key: str, error: OSError) -> Finding:
    """A file that the disk does not give today: it is no damage, and it stays where it is."""
    return Finding(key, str(error), "nobody can say whether it is whole; look again once the disk is well")


def versions(profile: Patient, done: Step) -> Iterator[Finding]:
    """Versions of both models."""
    for role in checkpoint.ROLES:
        keys = profile.store.list(f"{role}/")
        manifests = [key for key in keys if key.endswith(".json")]
        known, broken = set(), set()
        for key in manifests:
            try:
                known.add(checkpoint.check_version(profile, role, key))
            except checkpoint.FlawError as flaw:
                broken.add(key.rpartition("/")[2][:6])
                movable = tuple(dict.fromkeys((key, flaw.key)))  # the manifest first: without it there is no version
                yield Finding(flaw.key, flaw.why, AGAIN, movable=movable)
            except FileNotFoundError:  # moved by a reader meanwhile
                continue
            except OSError as error:
                yield _withheld(key, error)
            done(1)
        yield from _weights(profile, role, known)
        for key in keys:
            number = key.rpartition("/")[2][:6]
            if key.endswith(".safetensors") and key not in known and number not in broken:
                means = "whoever wrote it was killed before it became a version, or is at work; nothing is lost"
                yield Finding(key, "no manifest names it", means, damage=False)


def _weights(profile: Patient, role: checkpoint.Role, known: Iterable[str]) -> Iterator[Finding]:
    """Weights that should be there and are not."""
    last = checkpoint.last_number(profile, role)  # now, since whoever trains meanwhile forgets old ones
    for key in sorted(known):
        number = int(key.rpartition("/")[2][:6])
        if checkpoint.is_kept(number, last) and not profile.store.exists(key):
            yield Finding(key, f"the weights of version {number} are not there", AGAIN)


def saved(profile: Patient, done: Step) -> Iterator[Finding]:
    """Worlds that somebody kept."""
    keys = profile.store.list("saved/")
    stems = sorted({key.rpartition(".")[0] for key in keys if key.endswith((".json", ".mp4"))})
    for stem in stems:
        note, film = f"{stem}.json", f"{stem}.mp4"
        if note not in keys:
            yield Finding(film, "no text belongs to it", "saving it was cut short; nothing is lost", damage=False)
            continue
        try:
            flaw = _flaw_of_saved(profile, note, film)
        except OSError as error:
            yield _withheld(note, error)
            continue
        if flaw:
            means = "it is not among the saved worlds any more; if its world is still known, it can be saved again"
            yield Finding(note, flaw, means, movable=(note, film))
        done(1)


def _flaw_of_saved(profile: Patient, note: str, film: str) -> str:
    """Why a world that was kept is not what somebody kept, "" if it is."""
    data = profile.store.get(note)
    if flaw := customs.flaw(note, data):
        return flaw
    if not profile.store.exists(film):
        return "its film is not there"
    name = f"{fingerprint(profile.store.get(film))}.mp4"
    return "" if name == json.loads(data).get("film") else "its film is not the one that was saved"


def files(profile: Patient) -> Iterator[Finding]:
    """What lies in the folder: what is quarantined, half written, or of somebody else; and the key."""
    for key in below(profile.store, "quarantine/"):
        if key.endswith(".reason"):
            why = profile.store.get(key).decode(errors="replace")
            means = "it was moved here, what it held is not used; once that is taken note of, this folder may go"
            yield Finding(key.removesuffix(".reason"), why, means)
    names = _names(profile)
    halves = Counter(name.rpartition("/")[0] or "." for name in names if f"/{LEFTOVER}" in f"/{name}")
    for folder, count in sorted(halves.items()):
        means = "whoever wrote them was killed, or is at work; nothing is lost"
        yield Finding(f"{folder}/{LEFTOVER}*", f"{count} files that were not finished", means, damage=False)
    for name in sorted(names):
        if LEFTOVER not in name and not KNOWN.fullmatch(name):
            yield Finding(name, "it is no file of a profile", "nobody reads it", damage=False)
    yield from _key(profile)


def _names(profile: Patient) -> list[str]:
    """All that lies there, what readers look away from included."""
    if isinstance(profile.path, Path):
        return [path.relative_to(profile.path).as_posix() for path in profile.path.rglob("*") if path.is_file()]
    return list(below(profile.store, ""))


def _key(profile: Patient) -> Iterator[Finding]:
    path = profile.path / "secret.key"
    if not profile.store.exists("secret.key"):
        means = "another one will be made: pairs and links that were handed out are worth nothing then"
        yield Finding("secret.key", "it is not there", means, damage=False)
    elif len(profile.store.get("secret.key")) != 32:
        yield Finding("secret.key", "it has not 32 bytes", "pairs and links that were handed out are worth nothing")
    elif isinstance(path, Path) and path.stat().st_mode & 0o077:
        means = f"they could make themselves owners; to end that: chmod 600 {path}"
        yield Finding("secret.key", "others on this computer may read it", means)


def settings(profile: Patient, tables: dict[str, Columns]) -> Iterator[Finding]:
    """Whether profile.toml, which no hash protects since people edit it, says what made the worlds that are there."""
    worlds, chosen = tables["rollouts/"], profile.config
    options = json.dumps(chosen.sim.options, sort_keys=True) if chosen.sim.options else ""
    means = "if nobody changed that on purpose, it should be put back: new worlds would not be like the old ones"
    others = sorted(set(worlds["sim"].tolist()) - {chosen.sim.name + options})
    if others:
        what = f"it names the simulation {chosen.sim.name + options}, but there are worlds of {', '.join(others)}"
        yield Finding("profile.toml", what, means, damage=False)
    blocks = np.flatnonzero((worlds["block"] >= 0) & (worlds["position"] == 0))
    if chosen.parents or not len(blocks):
        return
    from pipeline.loop import world_seeds

    block, seed = int(worlds["block"][blocks[0]]), int(worlds["seed"][blocks[0]])
    if world_seeds(chosen.seed, "block", block, 1)[0] != seed:
        yield Finding("profile.toml", f"seed = {chosen.seed} did not make the worlds there are", means, damage=False)
