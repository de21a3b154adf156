"""What a parcel may hold: whatever could do harm to the machine, the profiles on it or the program is refused.

Whoever sends a parcel is not trusted. What is read from it is named like a file of a profile, is not compressed, so
that it cannot grow, has the hash that the list says, and is what its name says, found out with bounded memory. There is
no code in a parcel, but its settings may name code: a program, or a plug-in that is not in the catalogue.
"""

import contextlib
import hashlib
import json
import os
import re
import resource
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from pipeline import config
from pipeline.config import Config
from pipeline.signing import fingerprint
from pipeline.store import AnyStore

INDEX, SETTINGS = "alife.json", "profile.toml"
FORMAT = {"format": "alife profile", "version": 1}
PART = r"0\d{11}-0\d{11}-[0-9a-f]{16}\.parquet"
ALLOWED = re.compile(
    rf"profile\.toml|(labels|films|rollouts|events|embeddings/[A-Za-z0-9_-]{{1,200}}-\d{{1,9}})/{PART}"
    r"|films/_mp4/[0-9a-f]{32}\.mp4|saved/[0-9a-f]{32}\.(mp4|json)"
    r"|(rewardor|generator)/[0-8]\d{5}(\.json|-[0-9a-f]{16}\.safetensors)",
    re.ASCII,
)
"""The files of a profile that travel: no key, no locks, nothing damaged, no number that leaves none for the next."""

LAST_ROW = 10**11
"""No table has as many rows."""

FILES, DIRECTORY, LARGEST, MEMORY = 200_000, 20_000_000, 1 << 30, 2 << 30
"""How many files a parcel may have, and bytes: of its table of contents, of one file, and to read it all as tables."""


@dataclass(frozen=True)
class Index:
    """What a parcel says of itself: the profile's name, and the hash of each file."""

    name: str
    files: dict[str, str]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip, its names looked through.

    Raises:
        ValueError: It is no zip, or one of its names could do harm.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with path.open("rb") as file:
            _refuse_long_directory(file)
            with zipfile.ZipFile(file) as archive:
                _refuse_entries(archive.infolist(), path.stat().st_size)
                yield archive
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def _refuse_long_directory(file: IO[bytes]) -> None:
    """Refuse tables of contents that are longer than any profile's, before one is read."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 98))
    tail = file.read().rjust(98, b"\0")
    far, locator, end = tail[:56], tail[56:76], tail[76:]  # the first two are there in large ones only
    if end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise ValueError("it is not a zip that alife export wrote, or not all of it")
    length = int.from_bytes(end[12:16], "little")
    if locator[:4] == b"PK\6\7":
        if far[:4] != b"PK\6\6" or int.from_bytes(locator[8:16], "little") != size - 98:
            raise ValueError("its table of contents is not where it should be")
        length = int.from_bytes(far[40:48], "little")
    if length > DIRECTORY:
        raise ValueError(f"its table of contents has {length} bytes, no profile's has more than {DIRECTORY}")


def _refuse_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    if len(entries) > FILES:
        raise ValueError(f"it has {len(entries)} files, no profile has more than {FILES}")
    seen: set[str] = set()
    for entry in entries:
        if why := _harm(entry):
            raise ValueError(f"{entry.orig_filename!r} in it {why}")
        if entry.filename.casefold() in seen:
            raise ValueError(f"{entry.filename!r} is in it twice, or differs from another only in upper and lower case")
        seen.add(entry.filename.casefold())
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its files are said to have more bytes than the file that they are in")


def _harm(entry: zipfile.ZipInfo) -> str:
    """What speaks against an entry, "" if nothing does."""
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if re.search(r"^/|\\|\0|^[A-Za-z]:|(^|/)\.\.?(/|$)", name):
        return "leads out of the profile"
    if kind not in (0, stat.S_IFREG):
        return "is a link, a folder or a device, and not a file"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        return "is compressed: how large it would get cannot be known"
    if entry.file_size > LARGEST:
        return f"has {entry.file_size} bytes, no file of a profile has more than {LARGEST}"
    if name != entry.filename or (name != INDEX and not ALLOWED.fullmatch(name)):
        return "is no file of a profile"
    return ""


def read_index(archive: zipfile.ZipFile) -> Index:
    """What a parcel says of itself.

    Raises:
        ValueError: It is not about the files that are there.
    """
    names = set(archive.namelist())
    if INDEX not in names:
        raise ValueError(f"it has no {INDEX}, so it is not a profile that alife export wrote")
    said = json.loads(archive.read(INDEX))
    if not isinstance(said, dict) or {key: said.get(key) for key in FORMAT} != FORMAT:
        raise ValueError(f"its {INDEX} is of another kind or of a later version than this program knows")
    files, name = said.get("files"), said.get("name")
    if not isinstance(files, dict) or not isinstance(name, str) or files.keys() != names - {INDEX}:
        raise ValueError(f"its {INDEX} does not list the files that are in it")
    if SETTINGS not in files:
        raise ValueError(f"it has no {SETTINGS}")
    return Index(name, files)


def read(archive: zipfile.ZipFile, key: str, digest: str) -> bytes:
    """A file of a parcel.

    Raises:
        ValueError: It has another hash, or is not what its name says.
    """
    data = archive.read(key)
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"the bytes of {key} do not match their hash")
    if why := flaw(key, data):
        raise ValueError(f"{key}: {why}")
    return data


def flaw(key: str, data: bytes) -> str:
    """Why bytes are not what the name of a file says, "" if they are, as far as they tell alone."""
    folder, _, name = key.rpartition("/")
    stem, _, kind = name.partition(".")
    if kind == "mp4" and data[4:8] != b"ftyp":
        return "it is not an mp4"
    if folder == "films/_mp4" and fingerprint(data) != stem:
        return "its bytes do not match the hash in its name"
    if folder == "saved" and kind == "json":
        note = _json(data)
        if note.get("rollout") != stem or not isinstance(note.get("params"), dict):
            return "it does not describe the world that its name says"
    return ""


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def settings(store: AnyStore, trust: bool) -> Config:
    """Its settings, if they name no code from elsewhere, or if that is trusted.

    Raises:
        ValueError: They cannot be read, or name what is not trusted.
    """
    try:
        chosen = config.parse(store.get(SETTINGS).decode())
    except ValueError as error:
        raise ValueError(f"{SETTINGS}: {error}") from error
    if chosen.parents:
        raise ValueError(f"{SETTINGS}: it was forked from profiles that are not in it")
    plugins = {key: getattr(chosen, key) for key in ("sim", "rewardor", "generator")}
    foreign = [
        f'the {key} "{each.name}"' + (f" with {each.options}" if each.options else "")
        for key, each in plugins.items()
        if not re.fullmatch(r"\w+", each.name) or each.name == "external"
    ]
    if foreign and not trust:
        raise ValueError(f"it would run {' and '.join(foreign)}; if you trust whoever sent it: --trust")
    return chosen


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Let this process take `MEMORY` bytes more than it has, and raise a MemoryError where it would take more."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most if before[0] < 0 else min(most, before[0]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
