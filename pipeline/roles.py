"""Who does what in a profile: at most one process per role. This saves double work, not data: data need no lock."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import IO, Protocol

from pipeline.root import Root, Url
from pipeline.store import StoreError

_PATIENCE_S = 0.2
"""How long to wait for a role: `held` takes it too, for a moment, to see whether it can be had."""


class RoleTakenError(Exception):
    """Raised when another process has a role; its text says which."""


class Held(Protocol):
    """A role that somebody has, for a `with` block or until it is released.

    Attributes:
        orphaned: Whether whoever had it before never released it: a process that was killed, a power cut.
    """

    orphaned: bool

    def release(self) -> None:
        """Let somebody else have it. Twice is fine."""

    def __enter__(self) -> "Held":
        """The role itself."""

    def __exit__(self, *_: object) -> None:
        """Release it."""


def claim(folder: Root, role: str) -> Held:
    """A role of a profile.

    Args:
        folder: Where the profile is.
        role: Which.

    Raises:
        RoleTakenError: Somebody else holds it.
        StoreError: The disk does not take it, or nobody can say who does, on an object store.
    """
    if isinstance(folder, Url):
        from pipeline.leases import Lease

        return Lease(folder, role)
    assert isinstance(folder, Path)
    return Claim(folder / f"{role}.lock")


def is_held(folder: Root, role: str) -> bool:
    """Whether a process, this one included, holds a role of a profile."""
    if isinstance(folder, Url):
        from pipeline.leases import is_leased

        return is_leased(folder, role)
    assert isinstance(folder, Path)
    return held(folder / f"{role}.lock")


class Claim:
    """A role, held until it is released or the process dies, however it dies.

    Args:
        path: The role's lock file, made if need be.

    Raises:
        RoleTakenError: Somebody else holds it.
        StoreError: The disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a+")  # closed on exec, so that programs started from here do not inherit the role
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror or error}") from error
        give_up = time.monotonic() + _PATIENCE_S
        while not _lock(self._file):
            if time.monotonic() > give_up:
                holder = _holder(self._file)
                self._file.close()
                raise RoleTakenError(holder)
            time.sleep(_PATIENCE_S / 10)
        self._file.seek(0)
        self.orphaned = bool(self._file.read())
        self._file.truncate(0)
        self._file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        with contextlib.suppress(OSError):  # on a full disk it is held all the same, without a name
            self._file.flush()

    def release(self) -> None:
        """Let somebody else have it. Twice is fine."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._file.truncate(0)
            with contextlib.suppress(OSError):  # it is closed all the same
                self._file.close()

    def __enter__(self) -> "Claim":
        """The role itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()


def held(path: Path) -> bool:
    """Whether a process, this one included, holds the role of a lock file."""
    if not path.exists():
        return False
    with _look(path) as file:
        return not _lock(file)


def _look(path: Path) -> IO[str]:
    """A lock file, to see whether it is held; it stays as it is."""
    try:
        return path.open("a+")  # NFS locks only what may be written
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        return path.open()


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a network folder without locks
    return True


def _holder(file: IO[str]) -> str:
    try:
        file.seek(0)
        note = json.loads(file.read())
        return f"by process {note['pid']} on {note['host']}"
    except (ValueError, KeyError, TypeError):
        return "by another process"
