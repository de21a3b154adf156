"""Whatever a program starts, it leaves nothing behind: no process, no folder, no zombie."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sims import STATUSES, Param, Plan
from sims.external import External

DAEMONS = """
use POSIX 'setsid';
for (1 .. 3) { fork or do { setsid; fork and exit; $0 = $ARGV[0]; sleep 60 } }
"""


def fails(code: str, *arguments: str) -> str:
    """Why a program fails."""
    sim = External(command=("perl", "-e", code, *arguments), output="*.ppm", params=(Param("x", 0, 1),), seconds=1.0)
    made = sim.simulate(torch.rand(1, 1), torch.zeros(1).long(), Plan())
    assert STATUSES[made.status[0]] == "failed"
    return made.errors[0]


def running(mark: str) -> list[str]:
    """Processes that carry a mark in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it may be gone by now
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are only adopted on Linux")
@pytest.mark.parametrize("then", ["sleep 60", "die 'gone'", "exit 0"])
def test_children_that_run_away_are_ended(then: str) -> None:
    mark = f"alife-runaway-{time.monotonic_ns()}"
    assert fails(f"{DAEMONS} select undef, undef, undef, 0.3; {then}", mark)
    assert running(mark) == []


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are only adopted on Linux")
@pytest.mark.parametrize("children_too", [False, True])  # as Ray does
def test_a_killed_simulator_takes_its_program_along(tmp_path: Path, children_too: bool) -> None:
    mark = f"alife-orphan-{time.monotonic_ns()}"
    code = (
        "import sys, tempfile, torch; from sims import Param, Plan; from sims.external import External\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "sim = External(command=('perl', '-e', sys.argv[1], sys.argv[2]), output='*', params=(Param('x', 0, 1),))\n"
        "sim.simulate(torch.rand(1, 1), torch.zeros(1).long(), Plan())"
    )
    simulator = subprocess.Popen([sys.executable, "-c", code, DAEMONS + "sleep 60", mark])
    try:
        _wait_for(lambda: len(running(mark)) >= 5)  # the simulator, the program and its three daemons
        assert list(tmp_path.iterdir())
    finally:
        for child in children(simulator.pid) if children_too else ():
            os.kill(child, signal.SIGKILL)
        simulator.send_signal(signal.SIGKILL)
        simulator.wait()
    _wait_for(lambda: not running(mark) and not list(tmp_path.iterdir()))


def _wait_for(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_no_zombies() -> None:
    before = zombies()
    assert fails("fork for 1 .. 3; die 'gone'")
    assert zombies() <= before


def zombies() -> set[int]:
    """Children of this process that have ended and that nobody has asked about."""
    return {child for child, state in children(os.getpid()).items() if state == "Z"}


def children(parent: int) -> dict[int, str]:
    """The processes that a process started itself, and their states."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may be gone by now
            state, above = path.read_text().rpartition(")")[2].split()[:2]
            if int(above) == parent:
                found[int(path.parent.name)] = state
    return found
