"""How a command ends that was told to: well, and without hurry."""

import contextlib
import signal
import sys
from collections.abc import Iterator

HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)
"""What a terminal sends that is closed; on Windows none does."""


def end_well() -> None:
    """Let SIGTERM, which `ray job stop` sends, end this process as Ctrl-C does, and not in the middle of a line.

    So does a terminal that is closed, unless it was told to be ignored: `nohup alife run`.
    """
    ending = [signal.SIGTERM] if signal.getsignal(HANG_UP) == signal.SIG_IGN else [signal.SIGTERM, HANG_UP]
    for number in ending:
        signal.signal(number, lambda number, _: sys.exit(128 + number))


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """Do something that a second Ctrl-C, or any other signal to end, would only make longer, by a minute of Ray's."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, HANG_UP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
