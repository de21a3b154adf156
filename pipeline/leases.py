"""Who does what in a profile on an object store, where nothing can be locked: an object says so, and is kept fresh.

A role is had by whoever made its object, and goes on being had while the object changes. Clocks of two machines never
agree, so nobody reads the time in it: whoever wants a role that seems to be taken watches, by their own clock, whether
its object still changes. Each change is conditional on the one before, so of two who take over one wins. As everywhere,
a role only saves double work: data need no lock.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid

import psutil

from pipeline.objects import ObjectStore, Tag
from pipeline.roles import RoleTakenError
from pipeline.root import Url
from pipeline.store import StoreError

BEAT_S = 5.0
"""Seconds between two renewals."""
LASTS_S = 30.0
"""How long an object stays as it is, in seconds, before its holder is taken for dead."""
SKEW_S = 60.0
"""How far clocks of a server and of a machine may be apart, in seconds, where a glance has to do."""
_WATCH_S = 1.0


class Lease:
    """A role, held until it is released, or until some time after its process died.

    Args:
        profile: Where the profile is.
        role: Which role.

    Raises:
        RoleTakenError: Somebody else holds it.
        StoreError: The server does not say.
    """

    def __init__(self, profile: Url, role: str) -> None:
        self._store, self._key = ObjectStore(profile), f"{role}.lock"
        self._mark, self._beats = uuid.uuid4().hex, 0
        self.orphaned = False
        self._tag = self._take()
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{role}", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Let somebody else have it. Twice is fine."""
        if self._released.is_set():
            return
        self._released.set()
        self._thread.join()
        with contextlib.suppress(StoreError, FileNotFoundError):  # then it ends by itself
            if _note(self._store.tagged(self._key)[0]).get("mark") == self._mark:
                self._store.delete(self._key)

    def __enter__(self) -> "Lease":
        """The role itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()

    def _take(self) -> Tag:
        """Make the object, or take it over from somebody who is dead; watches for up to `LASTS_S`."""
        seen: Tag | None = None
        since = time.monotonic()
        while (mine := self._write(None)) is None:
            try:
                data, tag = self._store.tagged(self._key)
            except FileNotFoundError:
                continue  # it was just released
            note = _note(data)
            if seen not in (None, tag):
                raise RoleTakenError(f"by process {note.get('pid', '?')} on {note.get('host', 'another machine')}")
            seen = tag
            if (_is_dead(note) or time.monotonic() > since + LASTS_S) and (mine := self._write(tag)):
                self.orphaned = True
                return mine
            time.sleep(_WATCH_S)
        return mine

    def _renew(self) -> None:
        """Change the object now and then. If somebody took it over, they have it: two at work do no harm."""
        while not self._released.wait(BEAT_S):
            with contextlib.suppress(StoreError):  # the server may be back before `LASTS_S` are over
                tag = self._write(self._tag)
                if tag is None:
                    return
                self._tag = tag

    def _write(self, tag: Tag | None) -> Tag | None:
        """Write the object where it has this tag, or where there is none; None if it has another."""
        self._beats += 1
        data = json.dumps(_myself() | {"mark": self._mark, "beat": self._beats}).encode()
        made = self._store.swap(self._key, data, tag)
        if made is not None:
            return made
        with contextlib.suppress(FileNotFoundError):
            there, now = self._store.tagged(self._key)
            if there == data:
                return now  # it was written, and the answer got lost
        return None


def is_leased(profile: Url, role: str) -> bool:
    """Whether a process, this one included, seems to hold a role; a glance, which may be wrong for a while."""
    store, key = ObjectStore(profile), f"{role}.lock"
    return store.age(key) < LASTS_S + SKEW_S and not _is_dead(_read(store, key))


def _read(store: ObjectStore, key: str) -> dict:
    with contextlib.suppress(FileNotFoundError):
        return _note(store.get(key))
    return {}


def _note(data: bytes) -> dict:
    try:
        note = json.loads(data)
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _myself() -> dict:
    return {"pid": os.getpid(), "host": socket.gethostname(), "world": _world()}


def _world() -> str:
    """What processes have in common whose ids mean the same: a boot of a machine, a container; "" if unknown."""
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id") as boot:
        return f"{boot.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    return ""


def _is_dead(note: dict) -> bool:
    """Whether a holder is certainly no more: it was of this machine, and is not among its processes."""
    pid, world = note.get("pid"), _world()
    return world != "" and note.get("world") == world and isinstance(pid, int) and not _lives(pid)


def _lives(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has asked about is still listed."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
