"""Where the bytes of a profile lie: five functions on named byte strings, here on a folder.

A key holds either nothing or all of its bytes, whatever happens to the process, the disk or the power meanwhile:
bytes go to a temporary name, are synced, get their name by a hard link (which never replaces anything), and the folder
is synced before `put` returns. An object store has the same functions (`objects.py`) and needs none of these steps.
"""

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pipeline.listings import Listings
from pipeline.root import Root, Url

_TEMPORARY = ".tmp-"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class StoreError(Exception):
    """Raised when bytes could not be saved, deleted or listed: full disk, no permission, a broken device."""


class KeyTakenError(StoreError):
    """Raised when a key already holds other bytes."""


class AnyStore(Protocol):
    """Byte strings by key, wherever they are. `Store` says what each function promises."""

    def put(self, key: str, data: bytes, *, private: bool = False) -> None:
        """Save bytes for good, never in place of others."""

    def get(self, key: str) -> bytes:
        """The bytes of a key."""

    def list(self, prefix: str) -> list[str]:
        """Sorted keys directly below a prefix, as old as `believe` allows. Shared by all who ask: not to be changed."""

    def believe(self, seconds: float) -> None:
        """Believe a listing for so long, unless something was written here since."""

    def delete(self, key: str) -> None:
        """Forget a key."""

    def exists(self, key: str) -> bool:
        """Whether a key holds bytes."""

    def replace(self, key: str, data: bytes) -> None:
        """Save bytes for good in place of others."""

    def sweep(self, prefix: str, age_s: float = 3600.0) -> None:
        """Remove what killed writers left below a prefix."""


def open_store(place: Root) -> AnyStore:
    """What holds the bytes that are at a place.

    Raises:
        StoreError: It is on an object store, and the library that knows these is not installed.
    """
    if isinstance(place, Url):
        from pipeline.objects import ObjectStore

        return ObjectStore(place)
    assert isinstance(place, Path)
    return Store(place)


class Store:
    """Byte strings by key, in a folder. Keys are relative paths with forward slashes.

    Args:
        root: The folder; made by the first `put`.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._folders: set[Path] = set()
        self._listings: Listings[list[str]] = Listings()

    def put(self, key: str, data: bytes, *, private: bool = False) -> None:
        """Save bytes for good: when this returns, they survive a power cut. The same bytes twice are fine.

        Args:
            key: Where.
            data: What.
            private: Only the owner may read them.

        Raises:
            KeyTakenError: The key holds other bytes; these stay.
            StoreError: Nothing was saved, or nobody can say whether it was; try again.
        """
        path = self._path(key)
        try:
            self._make_folder(path.parent)
            _create(path, data, 0o600 if private else 0o666)
            _sync_folder(path.parent)
        except FileExistsError as error:
            raise KeyTakenError(f"{key} already holds other bytes") from error
        except OSError as error:
            raise StoreError(f"{key} was not saved: {error.strerror or error}") from error
        finally:
            self._listings.forget(key)

    def get(self, key: str) -> bytes:
        """The bytes of a key.

        Raises:
            FileNotFoundError: The key holds nothing.
        """
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            self._listings.forget(key)  # what was listed is old
            raise

    def list(self, prefix: str) -> list[str]:
        """Sorted keys directly below a prefix that ends in a slash; what lies deeper is one entry ending in a slash.

        The prefix "" is the folder itself. Names that begin with a dot are left out.

        Raises:
            StoreError: Nobody may look there, or it is no folder.
        """
        return self._listings.of(prefix, lambda: _scan(self._path(prefix) if prefix else self.root, prefix))

    def believe(self, seconds: float) -> None:
        """Believe a listing for so long, unless this object has written or deleted since.

        So many may ask for what is new at once. Only for whoever can wait that long for what others write.
        """
        self._listings.seconds = seconds

    def delete(self, key: str) -> None:
        """Forget a key; fine if it holds nothing.

        Raises:
            StoreError: It is still there.
        """
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{key} was not deleted: {error.strerror or error}") from error
        finally:
            self._listings.forget(key)

    def exists(self, key: str) -> bool:
        """Whether a key holds bytes."""
        return self._path(key).is_file()

    def replace(self, key: str, data: bytes) -> None:
        """Save bytes for good in place of others, which are there until these are: for the one file people edit too.

        Raises:
            StoreError: The old bytes are still there.
        """
        path = self._path(key)
        temporary = path.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"
        try:
            _write(temporary, data, 0o666)
            temporary.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise StoreError(f"{key} was not changed: {error.strerror or error}") from error
        finally:
            self._listings.forget(key)

    def sync(self) -> None:
        """Make the names in the folder itself survive a power cut."""
        _sync_folder(self.root)

    def sweep(self, prefix: str, age_s: float = 3600.0) -> None:
        """Remove what killed writers left below a prefix, once it is older than any living writer could need."""
        for path in self._path(prefix).glob(f"{_TEMPORARY}*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < time.time() - age_s:
                    path.unlink()

    def _make_folder(self, folder: Path) -> None:
        """Make a folder, and sync the names of all on the way to it: another process may just have made them."""
        if folder in self._folders:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for parent in [folder, *folder.parents]:
            if parent == self.root.parent:
                break
            _sync_folder(parent.parent)
        self._folders.add(folder)

    def _path(self, key: str) -> Path:
        check_key(key)
        return self.root / key


def check_key(key: str) -> None:
    """Raise a ValueError unless something is a key, or a prefix of keys."""
    if any(part in ("", ".", "..") for part in key.removesuffix("/").split("/")) or "\0" in key:
        raise ValueError(f"{key!r} is not a key: keys are relative paths without '..'")


def below(store: AnyStore, prefix: str) -> Iterator[str]:
    """All keys below a prefix that ends in a slash, however deep, sorted."""
    for key in store.list(prefix):
        if key.endswith("/"):
            yield from below(store, key)
        else:
            yield key


def _scan(folder: Path, prefix: str) -> list[str]:
    """Sorted keys of what is in a folder; StoreError where nobody can look into it."""
    try:
        with os.scandir(folder) as entries:
            names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{folder} cannot be listed: {error.strerror or error}") from error
    return sorted(prefix + name for name in names if not name.startswith("."))


def _create(path: Path, data: bytes, mode: int) -> None:
    """Give `path` these bytes, all at once.

    Raises:
        FileExistsError: It has others.
    """
    temporary = path.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"
    try:
        _write(temporary, data, mode)
        _publish(temporary, path)
    except FileExistsError:
        if path.read_bytes() != data:
            raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a new file and sync it. A failed sync may have lost pages for good, so it is never tried twice."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]  # a write that meets a full disk is short before it fails
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(temporary: Path, path: Path) -> None:
    """Name a finished file, unless the name is taken."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links two writers of one name may both win; names with a content hash make that harmless.
        if path.exists():
            raise FileExistsError(errno.EEXIST, "taken", str(path)) from error
        temporary.rename(path)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
