"""Runs one program within bounds and leaves nothing of it behind; a process of its own, started by its path.

    python -I -S _warden.py '{"command": [...], "folder": ..., "seconds": ..., "memory_mb": ..., "output_mb": ...}'

It says one line of JSON, {"cause": ..., "words": ...}: why the program failed ("" if it did not), and the last that the
program said. Being the reaper of all orphans below it, it ends whatever the program started, also what moved to a
session of its own. When its own starter dies, its standard input ends: it then ends the program and removes the folder.

Only the standard library, and little of it: it starts once per world.
"""

import contextlib
import json
import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

PROCESSES = 256
"""More at once are a fork bomb."""

TAIL = 2000
"""Bytes kept of what a program says."""

SHORTEST, LONGEST = 0.002, 0.05
"""Seconds between two looks at a program: soon for short ones, seldom for long ones."""

MB = 1_000_000
PAGE = resource.getpagesize()


def main() -> None:
    """Have a child of this process do it: Ray kills the children of a simulator that it ends, but no grandchildren."""
    guard = os.fork()
    if guard:
        os.waitpid(guard, 0)
    else:
        _guard(json.loads(sys.argv[1]))


def _guard(job: dict[str, Any]) -> None:
    """Run the program, and say how it ended."""
    _adopt_orphans()
    try:
        program = subprocess.Popen(
            job["command"],
            cwd=job["folder"],
            env=os.environ | {"TMPDIR": job["folder"], "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: _limit(job["output_mb"] * MB),
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        _say(f"cannot be started: {error}", b"")
        return
    watch = Watch(program, job)
    try:
        cause = watch.until_it_ends()
    finally:
        _end(program)
    if cause is None:
        shutil.rmtree(job["folder"], ignore_errors=True)  # whoever would have done it is dead
        return
    watch.hear(0)
    _say(cause, watch.words[program.stderr] or watch.words[program.stdout])


def _say(cause: str, words: bytes) -> None:
    print(json.dumps({"cause": cause, "words": words.decode(errors="replace")}), flush=True)


class Watch:
    """A program that runs, and its bounds."""

    def __init__(self, program: subprocess.Popen, job: dict[str, Any]) -> None:
        self.program, self.job = program, job
        self.words: dict[Any, bytes] = {program.stdout: b"", program.stderr: b""}
        self.said = 0
        self.ears = selectors.DefaultSelector()
        for source in (sys.stdin, *self.words):
            os.set_blocking(source.fileno(), False)
            self.ears.register(source, selectors.EVENT_READ)

    def until_it_ends(self) -> str | None:
        """Why the program failed, "" if it did not; None when nobody waits for it any more."""
        started, pause = time.monotonic(), SHORTEST
        while self.program.poll() is None:
            if not self.hear(pause):
                return None
            if time.monotonic() - started > self.job["seconds"]:
                return f"took more than {self.job['seconds']:g} s"
            if broken := self._broken():
                return broken
            pause = min(LONGEST, 1.3 * pause)
        return self._broken() or _ending(self.program.returncode, self.job["output_mb"])

    def hear(self, seconds: float) -> bool:
        """Listen for that long; whether somebody still waits for the program."""
        for key, _ in self.ears.select(seconds):
            heard = os.read(key.fd, 1 << 20)
            if not heard:
                self.ears.unregister(key.fileobj)
                if key.fileobj is sys.stdin:
                    return False
            elif key.fileobj is not sys.stdin:
                self.said += len(heard)
                self.words[key.fileobj] = (self.words[key.fileobj] + heard)[-TAIL:]
        return True

    def _broken(self) -> str:
        processes = _descendants()
        if len(processes) > PROCESSES:
            return f"started more than {PROCESSES} processes"
        if sum(processes.values()) > self.job["memory_mb"] * MB:
            return f"took more than {self.job['memory_mb']:g} MB of memory"
        if self.said + _size(self.job["folder"]) > self.job["output_mb"] * MB:
            return _too_much(self.job["output_mb"])
        return ""


def _ending(status: int, output_mb: float) -> str:
    if status == -signal.SIGXFSZ:
        return _too_much(output_mb)
    if status < 0:
        names = {each.value: each.name for each in signal.Signals}  # real-time signals have none
        return f"was ended by {names.get(-status, f'signal {-status}')}"
    return f"ended with status {status}" if status else ""


def _too_much(output_mb: float) -> str:
    return f"wrote more than {output_mb:g} MB"


def _size(folder: str) -> int:
    """Bytes of all files below a folder; an empty one counts, too, since it takes room."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it may be gone by now
                total += max(4096, os.lstat(os.path.join(parent, name)).st_size)
    return total


def _limit(output: int) -> None:
    """In the program, before it starts: no file above the bound, no memory dumps."""
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    most = int(output) if allowed == resource.RLIM_INFINITY else min(int(output), allowed)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _adopt_orphans() -> None:
    """Become the parent of every process below whose own parent ends (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _descendants() -> dict[int, int]:
    """Resident bytes of every process below this one, by process id; nothing where there is no /proc."""
    parents, sizes = {}, {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat") as file:
                words = file.read().rpartition(")")[2].split()  # after the name, which may contain anything
                parents[int(name)], sizes[int(name)] = int(words[1]), int(words[21]) * PAGE
    found: dict[int, int] = {}
    mine = {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in mine and pid not in found}:
        found |= {pid: sizes[pid] for pid in new}
        mine = new
    return found


def _end(program: subprocess.Popen) -> None:
    """End the program and all that it started, and leave no zombie."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGKILL)  # at once: a fork bomb outruns whoever kills one by one
    program.wait()
    while left := _descendants():
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    main()
