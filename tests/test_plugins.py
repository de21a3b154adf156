import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import plugins
from pipeline.plugins import PluginError

BOIDS = """
from dataclasses import dataclass
from typing import ClassVar, Literal

from sims._base import Plan, Rollouts, Simulation
from sims._space import Param, Space


@dataclass(frozen=True)
class Boids(Simulation):
    version: ClassVar[int] = 1
    size: int = 64
    speeds: tuple[float, ...] = (1.0,)
    edge: Literal["wrap", "wall"] = "wrap"

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ValueError(f"size {self.size} is below 8")

    @property
    def space(self) -> Space:
        return Space(Param("speed", 0.0, 1.0))

    def simulate(self, unit, seeds, plan) -> Rollouts:
        raise NotImplementedError
"""


@pytest.fixture
def boids(tmp_path: Path) -> str:
    path = tmp_path / "boids.py"
    path.write_text(BOIDS)
    return str(path)


def test_the_catalogue_is_the_folder() -> None:
    assert plugins.names("sims") == tuple(sorted(path.stem for path in Path("sims").glob("[a-z]*.py")))
    assert {"lenia"} <= set(plugins.names("sims"))
    assert {"common"} <= set(plugins.names("rewardors"))
    assert {"filter", "gibbs"} <= set(plugins.names("generators"))
    assert {"movers", "symmetry", "niche", "intransitive"} <= set(plugins.names("oracles"))  # of several files


@pytest.mark.parametrize("kind", ["sims", "rewardors", "generators", "oracles"])
def test_whatever_is_in_the_catalogue_can_be_loaded(kind: plugins.Kind) -> None:
    fixed = {"dim": 3, "seed": 0} if kind == "generators" else {}
    for name in plugins.names(kind):
        assert plugins.load(kind, name, {}, **fixed)


def test_listing_names_costs_no_import_of_torch() -> None:
    code = """
import sys
from pipeline import config, plugins
plugins.names("sims"), plugins.names("oracles")
config.check(config.parse('[sim]\\nname = "lenia"'))
assert "torch" not in sys.modules and "pyarrow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_answered_with_what_there_is_and_what_was_meant() -> None:
    with pytest.raises(PluginError, match=r'unknown sim "lena" \(did you mean "lenia"\?\); there are: .*lenia'):
        plugins.load("sims", "lena", {})
    with pytest.raises(PluginError, match=r'unknown oracle "mover" \(did you mean "movers"\?\)'):
        plugins.load("oracles", "mover", {})


def test_an_unknown_option_is_answered_with_the_allowed_ones(boids: str) -> None:
    with pytest.raises(PluginError, match=r'"sise" of sim .* \(did you mean "size"\?\); allowed: size, speeds, edge'):
        plugins.load("sims", boids, {"sise": 1})


def test_options_that_are_not_for_people_are_not_allowed() -> None:
    with pytest.raises(PluginError, match='unknown option "dim" of generator "filter"'):
        plugins.load("generators", "filter", {"dim": 3}, dim=3, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "64"}, r"\"size\" .* is '64': Input should be a valid integer"),
        ({"size": True}, "is True: Input should be a valid integer"),
        ({"size": 4}, "refuses its options: size 4 is below 8"),
        ({"speeds": [1.0, "fast"]}, "valid number"),
        ({"edge": "torus"}, "Input should be 'wrap' or 'wall'"),
    ],
)
def test_a_wrong_value_is_named(boids: str, options: dict, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        plugins.load("sims", boids, options)


def test_code_from_outside_is_named_by_file_or_module(boids: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by_path = plugins.load("sims", boids, {"size": 32, "speeds": [1, 2]})
    assert (by_path.size, by_path.speeds) == (32, (1.0, 2.0))
    assert by_path == plugins.load("sims", boids, {"size": 32, "speeds": [1, 2]})
    monkeypatch.syspath_prepend(Path(boids).parent)
    assert plugins.load("sims", "boids:Boids", {}).size == 64


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Boids", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("sims._base:Simulatoin", r'has no class "Simulatoin" \(did you mean "Simulation"\?\)'),
        ("/nowhere/boids.py", "there is no such file"),
    ],
)
def test_code_that_is_not_there_is_named(name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        plugins.load("sims", name, {})


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1 / 0", "cannot be imported: ZeroDivisionError"),
        ("x = 1", "should be one public class, its file has none"),
        (BOIDS + "\nclass Second(Boids): pass", "its file has Boids, Second"),
    ],
)
def test_a_file_that_is_no_plug_in_is_named(tmp_path: Path, code: str, message: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(code)
    with pytest.raises(PluginError, match=message):
        plugins.load("sims", str(path), {})


def test_private_helpers_and_imported_bases_are_no_second_class(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(BOIDS + "\nclass _Helper(Boids): pass")
    assert type(plugins.load("sims", str(path), {})).__name__ == "Boids"
