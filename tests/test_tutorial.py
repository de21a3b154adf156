"""The tutorial, executed: its files, its commands, and the truth behind its fireflies."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

from pipeline import cli, plugins
from pipeline.profile import Profile
from sims import Plan

TEXT = (Path(__file__).parents[1] / "docs" / "tutorial_simulation.md").read_text()
FILES = dict(re.findall(r"```(?:python|perl|toml)\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = re.findall(r"^alife (?:check|gallery|new) .*$", TEXT, re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader of the tutorial works."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALIFE_ROOT", str(tmp_path / "profiles"))
    return tmp_path


@pytest.fixture
def fireflies(folder: Path):
    return plugins.load("sims", str(folder / "kuramoto.py"), {})


def test_it_has_the_files_it_speaks_of() -> None:
    assert sorted(FILES) == ["dejong.pl", "dejong.toml", "kuramoto.py"]
    assert [command.split()[1] for command in COMMANDS] == ["check", "gallery", "new"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_work(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", shlex.split(re.sub(r"--n \d+", "--n 6", command)))
    ended: int | str | None = 0
    try:
        cli.main()
    except SystemExit as end:
        ended = end.code
    said = capsys.readouterr().out
    assert not ended, said
    match command.split()[1:]:
        case ["check", _]:
            assert "It keeps the contract of simulations." in said
        case ["gallery", name, *_]:
            assert (folder / "gallery" / f"{Path(name).stem}.png").exists()
            assert (folder / "gallery" / f"{Path(name).stem}.mp4").exists()
        case ["new", name, *_]:
            sim = Profile.open(folder / "profiles", name).config.sim
            assert plugins.load("sims", sim.name, sim.options).space.dim in (4, 7)


@pytest.mark.parametrize(("pull", "agreement"), [(0.5, 0.0), (1.5, (1 - 1 / 1.5) ** 0.5), (3.0, (1 - 1 / 3) ** 0.5)])
def test_clocks_agree_as_kuramoto_calculated(fireflies, pull: float, agreement: float) -> None:
    # r = sqrt(1 - 2 spread / pull) where everybody sees everybody and paces are Lorentzian (Kuramoto, 1975)
    params = {"pull": pull, "lag": 0, "reach": 1e4, "spread": 0.5, "grain": 1, "turns": 20, "pattern": 0.5}
    rule = fireflies.rule({name: torch.tensor([float(value)]) for name, value in params.items()})
    state = fireflies.start(rule, torch.tensor([3]))
    found = []
    for step in range(600):
        state = fireflies.step(state, rule)
        found += [state["order"].mean()] if step >= 300 else []
    assert torch.stack(found).mean() == pytest.approx(agreement, abs=0.06)


def test_most_fireflies_live(fireflies) -> None:
    unit = torch.rand(16, fireflies.space.dim, generator=torch.Generator().manual_seed(1))
    assert (fireflies.simulate(unit, torch.arange(16), Plan()).status == 0).float().mean() > 0.5


def test_the_lines_that_it_quotes_are_those(folder: Path) -> None:
    lines = (folder / "kuramoto.py").read_text().splitlines()
    quoted = re.findall(r"^- kuramoto.py:(\d+): (\w+)", TEXT, re.MULTILINE)
    assert ['"spread"' in lines[int(quoted[0][0]) - 1], "def start" in lines[int(quoted[1][0]) - 1]] == [True, True]
