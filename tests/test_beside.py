"""Work in a process of its own: whoever asked goes on, and whatever happens there is told and tried again."""

import contextlib
import time
from pathlib import Path

import psutil
import pytest

from pipeline.beside import Beside, BesideError
from tests.gated import work

pytestmark = pytest.mark.slow


def wait(beside: Beside[str, str], given: str) -> str:
    give_up = time.monotonic() + 60
    while (answer := beside(given)) is None:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return answer


def test_one_piece_of_work_at_a_time_whatever_becomes_of_it(tmp_path: Path) -> None:
    gate, other = tmp_path / "gate", tmp_path / "other"
    with contextlib.closing(Beside(work)) as beside:
        assert beside(str(gate)) is None
        assert beside(str(other)) is None, "this one is not begun"
        gate.touch()
        assert wait(beside, str(other)) == str(gate), "the answer to what was given when it began"
        with pytest.raises(BesideError, match="ValueError: it cannot be done"):
            wait(beside, "fail")
        assert beside("die") is None, "not at once again"
        with pytest.raises(BesideError, match="ended with code -9"):
            wait(beside, "die")
        assert wait(beside, str(gate)) == str(gate), "in a new process"
        running = psutil.Process(beside._process.pid)
        assert beside(str(other)) is None
    assert not running.is_running(), "it ends in the middle of its work"
