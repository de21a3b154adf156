"""The pool on several nodes, which are simulated: each is a Ray of its own on this machine, with two simulators."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def facts() -> dict:
    """What came of the work: on three nodes, on four, while one of them died, and on the three that were left."""
    command = [sys.executable, "-m", "tests.several_nodes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert not done.returncode, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_work_spreads_evenly_over_all_nodes(facts: dict) -> None:
    assert len(facts["three"]) == 3
    assert min(facts["three"].values()) >= 6
    assert sum(facts["three"].values()) == 24


def test_an_autoscaler_hears_what_is_wished_for(facts: dict) -> None:
    assert facts["wished"] == 7


def test_a_node_that_joins_is_used(facts: dict) -> None:
    assert str(facts["newcomer"]) not in facts["three"]
    assert facts["four"][str(facts["newcomer"])] >= 4
    assert len(facts["four"]) == 4


def test_a_killed_node_loses_and_doubles_nothing(facts: dict) -> None:
    assert facts["at work there"] > 0
    assert sorted(facts["keys"]) == list(range(40))
    assert facts["statuses"] == ["alive"]
    assert any("its machine could not be reached" in event for event in facts["events"])


def test_no_world_is_blamed_for_the_end_of_its_machine(facts: dict) -> None:
    assert facts["suspected"] == 0


def test_nobody_waits_for_a_node_that_is_gone(facts: dict) -> None:
    assert facts["size"] == 6
    assert len(facts["three again"]) == 3
    assert str(facts["lost"]) not in facts["three again"]
