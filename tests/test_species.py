"""Known creatures run again: those of the Game of Life, whose mass and speed are known exactly, and those of a file."""

import json
from pathlib import Path

import pytest

from benchmarks import species

SPECIES = Path(__file__).parents[1].parent / "shared" / "data" / "lenia_species.json"
LIFE = {"R": 2, "T": 1, "b": "1", "m": 0.35, "s": 0.07, "kn": 4, "gn": 3}
GLIDER = {
    "code": "glider",
    "name": "Glider",
    "params": LIFE,
    "world": 21,
    "steps": 40,
    "status": "alive",
    "mass_mean": 5.0,
    "speed": 2**0.5 / 4,
    "cells": [[0, 1, 0], [0, 0, 1], [1, 1, 1]],
}
BLOCK = GLIDER | {
    "code": "block",
    "name": "Block",
    "world": 16,
    "mass_mean": 4.0,
    "speed": 0.0,
    "cells": [[1, 1], [1, 1]],
}


@pytest.fixture
def run(tmp_path, capsys):
    """Write a file and run it; the exit status, and all that was printed."""

    def go(*creatures, text=None):
        path = tmp_path / "creatures.json"
        path.write_text(json.dumps({"species": creatures}) if text is None else text)
        try:
            status = species.main([str(path)])
        except SystemExit as stop:
            status = stop.code
        return status, "".join(capsys.readouterr())

    return go


def test_creatures_with_true_records_agree(run):
    status, said = run(GLIDER, BLOCK)
    assert status == 0
    assert said.count(" ok\n") == 2
    assert "mass     5.000 vs     5.000   speed 0.3536 vs 0.3536" in said
    assert "2 of 2 agree" in said


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"mass_mean": 5.06}, "differs: mass"),
        ({"speed": 0.37}, "differs: speed"),
        ({"status": "dead"}, "differs: alive, not dead"),
        ({"cells": [[1, 1, 0, 0, 0]]}, "differs: dead, not alive"),
    ],
)
def test_a_false_record_differs(run, record, what):
    status, said = run(GLIDER | record, BLOCK)
    assert status == 1
    assert what in said
    assert "1 of 2 agree" in said


@pytest.mark.parametrize("record", [{"mass_mean": 5.04}, {"speed": 0.363}])
def test_small_differences_are_tolerated(run, record):
    assert run(GLIDER | record)[0] == 0


def test_the_dead_are_compared_by_being_dead(run):
    assert run(GLIDER | {"cells": [[1, 1]], "status": "dead", "mass_mean": 9.0})[0] == 0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("no JSON", "no JSON: Expecting value"),
        ("[]", "Input should be a dictionary"),
        ("{}", "species: Field required"),
        ('{"species": []}', "species: List should have at least 1 item"),
    ],
)
def test_a_malformed_file_is_refused(run, text, what):
    status, said = run(text=text)
    assert status == 2
    assert what in said


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"steps": None}, "species.1.steps: Input should be a valid integer"),
        ({"speed": float("nan")}, "species.1.speed: Input should be a finite number"),
        ({"cells": [[0.5, 2]]}, "species.1.cells.0.1: Input should be less than or equal to 1"),
        ({"cells": [[0, 1], [1]]}, "species.1: Value error, the rows of cells are not equally long"),
        ({"cells": [[1] * 17]}, "species.1: Value error, the cells do not fit into a world of 16 x 16"),
        ({"params": LIFE | {"kn": 5}}, "species.1.params.kn: Input should be 1, 2, 3 or 4"),
        (
            {"params": LIFE | {"b": "1,x"}},
            "species.1.params: Value error, b is '1,x': expected heights such as '1,1/3'",
        ),
    ],
)
def test_a_malformed_creature_is_named(run, wrong, what):
    status, said = run(GLIDER, BLOCK | wrong)
    assert status == 2
    assert what in said


def test_a_missing_file_is_named(capsys, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        species.main([str(tmp_path / "nowhere.json")])
    assert "nowhere.json: No such file" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not SPECIES.exists(), reason="no ../shared/data/lenia_species.json")
def test_all_known_creatures_of_lenia_agree(capsys):
    assert species.main([str(SPECIES)]) == 0
    assert "25 of 25 agree" in capsys.readouterr().out
