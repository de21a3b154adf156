"""Long work in a process of its own, so that whoever asked for it goes on meanwhile.

A process and not a thread: threads of Python take turns, what plug-ins do to global state stays apart, and one that is
killed for its memory takes nothing along. It starts when it is first needed, which takes seconds, and stays.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")

NICE = 3
"""How far it stands back from whoever asked, as in nice(1)."""
PATIENCE_S = (0.4, 30.0)
"""Seconds after the first failure before it is tried again, and the most after many."""


class BesideError(RuntimeError):
    """Raised when what was asked for failed, or its process ended."""


class Beside(Generic[A, B]):
    """One piece of work at a time, in a process of its own.

    Args:
        work: What to do. It, what it is given and what it answers travel to another process and back.
    """

    def __init__(self, work: Callable[[A], B]) -> None:
        self._work = work
        self._process: BaseProcess | None = None
        self._busy = False
        self._patience, self._not_before = PATIENCE_S[0], 0.0

    def __call__(self, given: A) -> B | None:
        """The answer, if the work is done; None while it is not. Begins it where it has not begun.

        What is given while work is under way is not looked at: the answer is about what was given when it began.

        Raises:
            BesideError: It failed. It is begun again when somebody calls after a while, later after each failure.
        """
        try:
            if self._busy:
                return self._collect()
            if time.monotonic() >= self._not_before:
                self._begin(given)
        except Exception:
            self._not_before = time.monotonic() + self._patience
            self._patience = min(2 * self._patience, PATIENCE_S[1])
            raise
        return None

    def close(self) -> None:
        """End the process, whatever it is at."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._line.close()
        self._process, self._busy = None, False

    def _begin(self, given: A) -> None:
        if self._process is None or not self._process.is_alive():
            self.close()
            context = multiprocessing.get_context("spawn")
            self._line, far = context.Pipe()
            self._process = context.Process(target=_serve, args=(self._work, far), daemon=True)
            self._process.start()
            far.close()
        self._line.send(given)
        self._busy = True

    def _collect(self) -> B | None:
        assert self._process is not None
        if not self._line.poll():
            return None
        self._busy = False
        try:
            answer, trouble = self._line.recv()
        except (EOFError, OSError):
            self._process.join()
            raise BesideError(f"the process beside ended with code {self._process.exitcode}") from None
        if trouble:
            raise BesideError(trouble)
        self._patience = PATIENCE_S[0]
        return answer


def _serve(work: Callable[[A], B], line: Connection) -> None:
    """Do what is asked for, as long as somebody is there to ask."""
    import torch

    os.nice(NICE)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        given = line.recv()
        try:
            answer, trouble = work(given), ""
        except Exception as error:
            answer, trouble = None, f"{type(error).__name__}: {error}"
        line.send((answer, trouble))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)
