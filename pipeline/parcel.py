"""A profile as one file, to keep or to send: a zip of its files as they are, and a list of their hashes.

Nothing becomes a profile before all of it was looked at as a stranger's: see `customs`.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import tomlkit

from pipeline import checkpoint, config, customs
from pipeline.census import listing
from pipeline.config import ConfigError
from pipeline.customs import FORMAT, INDEX, SETTINGS
from pipeline.profile import Profile, ProfileError
from pipeline.root import Root, Url
from pipeline.rows import ANSWERS
from pipeline.store import Store, StoreError, open_store

STALE_S = 86_400.0
"""Folders of imports that were killed are removed once they are older, in seconds, than any living import."""

ANOTHER = "another name: alife import FILE NAME"

Step = Callable[[int], None]
"""Told how many more files are done."""


class ParcelError(ProfileError):
    """Raised when a file is not a parcel, or one that could do harm."""


# -- packing ----------------------------------------------------------------------------------------------------------


def pack(profile: Profile, path: Path, done: Step = lambda _: None) -> None:
    """Write a profile, with all that it has from ancestors, into one file.

    What is damaged is left out; `profile.problems()` names it.

    Raises:
        ParcelError: There is such a file already, or it cannot be written.
    """
    if path.exists():
        raise ParcelError(f"there is {path} already; it stays as it is")
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with partial.open("xb") as file:
            _write(profile, file, done)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        raise ParcelError(f"{path} was not written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _write(profile: Profile, file: IO[bytes], done: Step) -> None:
    there: dict[str, str] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for key, data in _contents(profile):
            if flaw := customs.flaw(key, data):
                profile.quarantine(key, flaw)
                continue
            there[key] = hashlib.sha256(data).hexdigest()
            archive.writestr(_entry(key), data)
            done(1)
        index = FORMAT | {"name": profile.name, "files": there}
        archive.writestr(_entry(INDEX), json.dumps(index, indent=1, sort_keys=True))


def _entry(key: str) -> zipfile.ZipInfo:
    """A name in a zip, without a date: the same profile is the same bytes."""
    entry = zipfile.ZipInfo(key)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def _contents(profile: Profile) -> Iterator[tuple[str, bytes]]:
    """All files, those that name others first: whoever adds to the profile meanwhile leaves no gap."""
    yield SETTINGS, _alone(profile)
    for folder, table in profile.tables().items():
        table.read()  # moves damaged parts out of the way
        files = profile.lineage.files(folder) | table.files()
        yield from ((folder + name, data) for name, data in sorted(files.items()))
    for file in sorted(set(profile.films().file.tolist())):
        with contextlib.suppress(ProfileError, FileNotFoundError):
            yield f"films/_mp4/{file}", profile.film_bytes(file)
    for role in checkpoint.ROLES:
        for manifest in checkpoint.manifests(profile, role):
            yield from checkpoint.files(profile, role, manifest)
    for key in profile.store.list("saved/"):
        if key.endswith((".json", ".mp4")):
            yield key, profile.store.get(key)


def _alone(profile: Profile) -> bytes:
    """Its settings, those of one that has no ancestors."""
    text = profile.store.get(SETTINGS)
    if not profile.config.parents:
        return text
    document = tomlkit.parse(text.decode())
    document.remove("parents")
    return tomlkit.dumps(document).encode()


# -- unpacking --------------------------------------------------------------------------------------------------------


def unpack(root: Root, path: Path, name: str = "", *, trust: bool = False, done: Step = lambda _: None) -> Profile:
    """The profile in a file, as a new one; its key is its own, so that nothing signed before is valid.

    Args:
        root: Where profiles are.
        path: The file.
        name: What to call it; as it was called by default.
        trust: Whether it may name programs, and code that is not in the catalogue.
        done: Told how many more files were read.

    Raises:
        ParcelError: The file is no parcel, or could do harm.
        ProfileError: There is a profile of that name.
        StoreError: The disk does not take it.
    """
    if isinstance(root, Url):  # looked at here first: there, nothing can be renamed
        with tempfile.TemporaryDirectory(prefix="alife-import-") as here:
            return _upload(unpack(Path(here), path, name, trust=trust, done=done), Path(here), root)
    assert isinstance(root, Path)
    try:
        with customs.bounded_memory(), customs.opened(path) as archive:
            index = customs.read_index(archive)
            name = config.check_name(name or index.name)
            return _unpack(root, archive, index, name, trust, done)
    except (zipfile.BadZipFile, ValueError, RecursionError, MemoryError, EOFError, NotImplementedError) as error:
        if isinstance(error, ConfigError):
            raise
        why = "reading it takes too much memory" if isinstance(error, MemoryError) else str(error)
        raise ParcelError(f"{path} is not imported: {why}") from error


def _unpack(root: Path, archive: zipfile.ZipFile, index: customs.Index, name: str, trust: bool, done: Step) -> Profile:
    if (root / name).exists():
        where = "profile" if name in listing(root, archived=True) else "folder"
        raise ProfileError(f'there is a {where} "{name}" in {root} already; {ANOTHER}')
    _sweep(root)
    half = root / f".import-{uuid.uuid4().hex}"
    try:
        store = Store(half)
        for key, digest in index.files.items():
            store.put(key, customs.read(archive, key, digest))
            done(1)
        _check(Profile(root, half.name, customs.settings(store, trust)))
        shutil.rmtree(half / "quarantine", ignore_errors=True)
        store.put("secret.key", secrets.token_bytes(32), private=True)
        _publish(half, root / name)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return Profile.open(root, name)


def _upload(made: Profile, here: Path, root: Url) -> Profile:
    """The same profile on an object store.

    Its settings go last, since without them there is none; its key goes first, since of two who take a name one wins.
    """
    if f"{made.name}/" in open_store(root).list(""):
        raise ProfileError(f'there is something called "{made.name}" in {root} already; {ANOTHER}')
    store, files = open_store(root / made.name), [path for path in (here / made.name).rglob("*") if path.is_file()]
    keys = [path.relative_to(here / made.name).as_posix() for path in files]
    put: list[str] = []
    try:
        for key in sorted(keys, key=lambda key: (key == SETTINGS, key != "secret.key")):
            store.put(key, made.store.get(key))
            put.append(key)
    except BaseException:
        with contextlib.suppress(StoreError):
            for key in put:
                store.delete(key)
        raise
    return Profile.open(root, made.name)


def _publish(half: Path, path: Path) -> None:
    try:
        half.rename(path)
    except OSError as error:
        raise StoreError(f"{path} was not made: {error.strerror or error}") from error
    Store(path.parent).sync()


def _sweep(root: Path) -> None:
    """Remove what imports that were killed left behind."""
    for path in root.glob(".import-*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - STALE_S:
                shutil.rmtree(path)


def _check(profile: Profile) -> None:
    """Read everything as what it claims to be.

    Raises:
        ValueError: Something is not.
    """
    tables = [table.read() for table in profile.tables().values()]
    times = [rows["time"] for rows in tables if "time" in rows]
    for role in checkpoint.ROLES:
        checkpoint.check(profile, role)
    if problems := profile.problems():
        raise ValueError(problems[0])
    worlds, votes = profile.rollouts(), profile.labels()
    wrong = {
        "rows are numbered as no profile numbers them": any(
            rows["sequence"].min(initial=0) < 0 or rows["sequence"].max(initial=0) > customs.LAST_ROW for rows in tables
        ),
        "times are no moments": not all(np.isfinite(each).all() for each in times),
        "worlds have parameters outside [0, 1]": not ((worlds.unit >= 0) & (worlds.unit <= 1)).all(),
        "there are answers that nobody can give": not set(votes.answer.tolist()) <= set(ANSWERS),
    }
    if found := [what for what, holds in wrong.items() if holds]:
        raise ValueError(found[0])
