"""The benchmark of labels: figures by hand, and tables that go on where they stopped."""

import json
import math
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks import labels_cache, labels_loop, labels_table
from benchmarks.labels import main
from benchmarks.labels_cache import Question, Remembered, Rows, closure, source_digest
from benchmarks.labels_loop import Run, make_run, measured
from pipeline import evaluate
from pipeline.roll import Ask, Rolled

TOY = '''
    """Worlds of one gray frame, as bright as their first parameter; a dark second one is death."""
    from dataclasses import dataclass
    import torch
    from models import Labels, Rewardor
    from sims import Param, Plan, Rollouts, Simulation, Space

    @dataclass(frozen=True)
    class Gray(Simulation):
        version = 1
        floor: float = 0.1
        space = Space(Param("light", 0, 1), Param("life", 0, 1))

        def simulate(self, unit, seeds, plan):
            light = (255 * unit[:, 0]).to(torch.uint8)
            clip = light[:, None, None, None, None].expand(-1, 1, plan.clip_size, plan.clip_size, 3).contiguous()
            return Rollouts(status=(unit[:, 1] < self.floor).long(), clip=clip, film=None)
'''
REWARDOR = '''
    """Bright is good, or bad: by a vote."""
    import torch
    from models import Labels, Rewardor

    class Vote(Rewardor):
        version = 1
        members = 2

        def __init__(self, *, slope: float = 4.0):
            self.slope, self.sign = slope, 0.0

        def embed(self, clip):
            flat = clip[:, 0, 0, 0].float() / 255
            return flat + torch.arange(3) * 1e-3

        def fit(self, embedding, labels, reference):
            better = torch.where(labels.answer == 0, labels.left, labels.right)
            worse = torch.where(labels.answer == 0, labels.right, labels.left)
            told = (embedding[better, 0] - embedding[worse, 0])[labels.answer < 2]
            self.sign = float(told.mean().sign())
            return {}

        def forward(self, embedding):
            return self.slope * self.sign * embedding[:, :1].expand(-1, 2)

        def state(self):
            return {}

        def load(self, state):
            pass
'''
ORACLE = '''
    """Likes light."""
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Light:
        def utility(self, clip):
            return clip[:, 0, 0, 0, :1].float()
'''


@pytest.fixture
def toys(tmp_path: Path) -> list[str]:
    """Settings of a run on worlds that cost nothing."""
    for name, text in (("gray", TOY), ("vote", REWARDOR), ("light", ORACLE)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    return [f'sim.name="{tmp_path}/gray.py"', f'rewardor.name="{tmp_path}/vote.py"', 'generator.name="filter"']


def run_of(toys: list[str], tmp_path: Path, *settings: str, budgets: tuple[int, ...] = (10, 25, 40)) -> Run:
    return make_run([*toys, *settings], 0, f"{tmp_path}/light.py", "human", budgets, every=10, emitted=50)


def figures(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """All but the time that it took."""
    return [{key: value for key, value in row.items() if key != "cpu_s"} for row in rows]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many worlds had been simulated at each measurement since."""
    done: list[int] = []
    measure = evaluate.measure

    def count(*given: object, simulated: int, **named: object) -> dict[str, float]:
        done.append(simulated)
        return measure(*given, simulated=simulated, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(labels_loop.evaluate, "measure", count)
    return done


def test_an_interrupted_run_goes_on_where_it_stopped_and_ends_like_any_other(
    toys: list[str], tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(toys, tmp_path)
    whole = measured(run, tmp_path / "whole")
    assert [row["labels"] for row in whole] == [10, 25, 40]
    plan = run.config.rollouts
    simulated = [plan.prior + plan.per_label * labels for labels in run.budgets]
    assert counted == simulated
    add, cache = Rows.add, tmp_path / "cut"

    def stop(rows: Rows, labels: int, row: dict[str, float]) -> None:
        if labels > 25:
            raise KeyboardInterrupt
        add(rows, labels, row)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "add", stop)
        with pytest.raises(KeyboardInterrupt):
            measured(run, cache)
    assert set(run.rows(cache).read()) == {10, 25}
    counted.clear()
    assert figures(measured(run, cache)) == figures(whole)
    assert counted == simulated[2:]
    assert measured(run, cache)[0]["cpu_s"] > 0
    assert counted == simulated[2:]


def test_a_longer_run_takes_over_what_a_shorter_one_measured(
    toys: list[str], tmp_path: Path, counted: list[int]
) -> None:
    cache = tmp_path / "cache"
    short = measured(run_of(toys, tmp_path, budgets=(10, 20)), cache)
    long = measured(run_of(toys, tmp_path, budgets=(10, 20, 30)), cache)
    assert figures(long)[:2] == figures(short)
    assert len(counted) == 3
    # A budget inside a round cuts it short: what comes later is another run.
    measured(run_of(toys, tmp_path, budgets=(10, 15, 30)), cache)
    assert len(counted) == 6


def test_before_each_question_that_is_not_random_the_answers_so_far_are_learned(
    toys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[int] = []
    monkeypatch.setattr(labels_loop.Loop, "_refit", lambda loop: known.append(len(loop.pairs)))
    measured(run_of(toys, tmp_path, budgets=(40,)), tmp_path / "rounds")
    assert known == []
    measured(replace(run_of(toys, tmp_path, budgets=(40,)), fresh=True), tmp_path / "fresh")
    assert known == [*range(25, 30), *range(31, 40)]  # what ends a round is fitted, with new settings


def test_other_options_and_other_sources_are_other_runs(toys: list[str], tmp_path: Path, counted: list[int]) -> None:
    cache = tmp_path / "cache"
    measured(run_of(toys, tmp_path, budgets=(10,)), cache)
    for setting in ("generator.keep=0.5", "rewardor.slope=2.0", "rollouts.per_label=5", "sim.floor=0.2"):
        measured(run_of(toys, tmp_path, setting, budgets=(10,)), cache)
    assert len(counted) == 5
    before = run_of(toys, tmp_path, budgets=(10,)).rows(cache).path
    (tmp_path / "light.py").write_text((tmp_path / "light.py").read_text() + "# another taste\n")
    source_digest.cache_clear()
    assert run_of(toys, tmp_path, budgets=(10,)).rows(cache).path != before


def test_a_vote_learns_to_like_light(toys: list[str], tmp_path: Path) -> None:
    """The best twentieth of what lives, emitted again, is on average better than 97.5 % of it."""
    row = measured(run_of(toys, tmp_path, "rewardor.slope=8.0"), tmp_path / "cache")[-1]
    assert row["win_alive"] == pytest.approx(0.975, abs=0.02)
    assert row["win_best_of_n"] == pytest.approx(0.5, abs=0.2)
    assert row["top"] == pytest.approx(0.975, abs=0.01)
    assert row["pair_accuracy"] == 1
    assert row["alive"] == 1


def test_who_works_for_a_table_ends_with_it(tmp_path: Path) -> None:
    """Killed from outside, without a chance to clean up."""
    words = ["--sims", "lenia", "--budgets", "300", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]
    table = subprocess.Popen([sys.executable, "-m", "benchmarks.labels", *words], cwd=Path(__file__).parents[1])
    try:
        _until(lambda: list(tmp_path.glob("cache/prior/*/*/lock")))
        workers = psutil.Process(table.pid).children()
    finally:
        table.kill()
        table.wait()
    assert workers
    _until(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in workers))


def _until(done: Callable[[], object]) -> None:
    for _ in range(1200):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError("this takes more than two minutes")


class Counting:
    """A roll whose worlds answer with their parameters."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool = False) -> Rolled:
        del seeds, film
        self.asked.append(list(ask))
        answers = {name: question(torch.from_numpy(unit)).numpy() for name, question in ask.items()}
        return Rolled(["alive"] * len(unit), [""] * len(unit), answers, [], [])


def test_worlds_are_simulated_once_for_all_questions_and_again_for_a_new_one(tmp_path: Path) -> None:
    roll, double = Counting(), Question("double", lambda clip: 2 * clip)
    triple, half = Question("triple", lambda clip: 3 * clip), Question("half", lambda clip: clip / 2)
    remembered = Remembered(roll, tmp_path, [double, triple])
    unit, seeds = np.random.default_rng(0).random((5, 2), np.float32), np.arange(5)
    for _ in range(2):
        told = remembered(unit, seeds, {"x": double})
        assert (told.answers["x"] == 2 * unit).all()
        assert told.status == ["alive"] * 5
    assert (remembered(unit, seeds, {"y": triple}).answers["y"] == 3 * unit).all()
    assert roll.asked == [["double", "triple"]]
    assert (remembered(unit, seeds, {"z": half, "x": double}).answers["z"] == unit / 2).all()
    remembered(unit, seeds + 1, {"x": double})
    remembered(unit / 2, seeds, {"x": double})
    assert roll.asked[1:] == [["half"], ["double", "triple"], ["double", "triple"]]


def test_the_closure_of_a_file_is_what_it_imports_directly_or_not() -> None:
    root = Path(labels_cache.__file__).parents[1]
    found = {path.relative_to(root).as_posix() for path in closure([root / "models/generators/gibbs.py"])}
    assert {"models/generators/gibbs.py", "models/generators/_chains.py", "models/_generator.py"} <= found
    assert not {path for path in found if path.startswith(("sims/", "pipeline/")) or "filter" in path}
    found = {path.relative_to(root).as_posix() for path in closure([Path(labels_loop.__file__)])}
    assert {"pipeline/evaluate.py", "pipeline/select.py", "pipeline/teachers.py", "models/preference.py"} <= found


@pytest.mark.parametrize(
    ("wins", "labels"),
    [
        ([0.7, 0.9, 0.95], math.sqrt(25 * 50)),  # half way on a log scale
        ([0.8, 0.9, 0.9], 25),
        ([0.5, 0.6, 1.0], math.sqrt(50 * 100)),
        ([0.5, 0.6, 0.7], math.nan),
    ],
)
def test_labels_to_a_win_rate_are_interpolated_on_a_log_scale(wins: list[float], labels: float) -> None:
    budgets = np.array([25.0, 50.0, 100.0])
    assert labels_table.crossing(budgets, np.array(wins), 0.8) == pytest.approx(labels, nan_ok=True)


def test_intervals_are_students() -> None:
    """Of 1, 2, 3: a deviation of 1, and 4.303 [t, 2 degrees of freedom] / sqrt(3)."""
    assert labels_table.interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.3027 / math.sqrt(3)), rel=1e-4)
    mean, half = labels_table.interval([1.0])
    assert mean == 1
    assert math.isnan(half)


def test_intervals_cover_the_mean_in_nineteen_of_twenty_cases() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    hits = [abs(mean) < half for mean, half in map(labels_table.interval, draws)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.01)


def test_a_table_has_a_row_per_run_and_budget_and_pictures_and_names_what_failed(
    toys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dull.py").write_text(textwrap.dedent(ORACLE).replace(".float()", ".float() * 0"))
    names = [text.split('"')[1] for text in toys]
    words = ["--sims", names[0], "--rewardors", names[1], "--generators", "filter", "--jobs", "1", "--seeds", "1"]
    words += ["--oracles", f"{tmp_path}/light.py,{tmp_path}/dull.py", "--teachers", "human,flips", "--budgets", "10,20"]
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["labels", *words, "--emitted", "20", "--out", str(out)])
    with pytest.raises(SystemExit, match="2 of 4 runs failed"):
        main()
    said, complained = capsys.readouterr()
    assert complained.count("dull.py") == complained.count("utilities are all the same") == 2
    table = pq.read_table(out / "labels.parquet").to_pylist()
    rows = [(row["teacher"], row["oracle"], row["labels"]) for row in table]
    assert rows == [(teacher, f"{tmp_path}/light.py", labels) for teacher in ("human", "flips") for labels in (10, 20)]
    assert {"win_best_of_n", "top", "calibration_error", "cpu_s", "labels_to_80"} <= table[0].keys()
    assert "win_alive" in said
    assert len(list(out.glob("*.png"))) == 7
    kept = [json.loads(path.read_text()) for path in (out / "cache" / "runs").glob("*.json")]
    assert sorted(tuple(each["rows"]) for each in kept) == [("10", "20")] * 2
