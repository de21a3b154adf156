"""Searching for better options, with real trials on Ray, and what comes of it."""

import json
import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.launcher import kill_tree
from models import Labels, Rewardor
from models.generators.filter import Filter
from models.preference import probability
from pipeline import loop, plugins, shelf, study, trial, tuned, tuning
from pipeline.config import Config, ConfigError, Plugin
from pipeline.profile import Profile, ProfileBusyError, ProfileError
from pipeline.roll import roll_here
from pipeline.rows import Vote
from tests.life import SMALL, answer, bytes_of, settle
from tests.sims.toy import Toy

Call = Callable[..., tuple[int, str, str]]


class Bold(Rewardor):
    """Knows that people like bright noise; what it does not know is how sure they are."""

    version = 1
    members = 2
    tunable: ClassVar[dict[str, tuple[float, float]]] = {"slope": (0.02, 50.0)}

    def __init__(self, *, slope: float = 0.02) -> None:
        self.slope = slope

    def embed(self, clip: Tensor) -> Tensor:
        return clip[..., 1].float().mean((1, 2, 3))[:, None]

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        del labels
        self.center, self.scale = embedding[reference].mean(), embedding[reference].std()
        return {}

    def forward(self, embedding: Tensor) -> Tensor:
        return (self.slope * (embedding - self.center) / self.scale).expand(-1, 2)

    def state(self) -> dict[str, Tensor]:
        return {"center": self.center, "scale": self.scale}

    def load(self, state: dict[str, Tensor]) -> None:
        self.center, self.scale = state["center"], state["scale"]


BOLD = replace(SMALL, rewardor=Plugin(name="tests.test_tune:Bold"))


def judged(root: Path, name: str, count: int = 40, config: Config = BOLD) -> Profile:
    """A profile whose labeler likes brighter noise, as surely as the logistic function of its size says."""
    profile = Profile.create(root, name, config)
    settle(profile)
    table = profile.embeddings(config.rewardor.name, 1)
    value = torch.from_numpy((table.values[:, 0] - table.values[:, 0].mean()) / table.values[:, 0].std())
    draw = torch.Generator().manual_seed(0)
    for n in range(count):
        a, b = torch.randperm(len(value), generator=draw)[:2].tolist()
        left = bool(torch.rand(1, generator=draw) < torch.sigmoid(value[a] - value[b]))
        vote = Vote(
            id=f"v{n}", left=table.rollout[a], right=table.rollout[b], answer="left" if left else "right", labeler="me"
        )
        profile.add_votes([vote])
    return profile


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two profiles with answers, made once; whoever writes to them takes a copy."""
    made = tmp_path_factory.mktemp("tune")
    judged(made, "one")
    judged(made, "two", config=replace(BOLD, seed=1))
    return made


def begun(root: Path, role, tmp_path: Path, *names: str) -> study.Study:
    return study.begin([Profile.open(root, name) for name in names], role, tmp_path / "study")


# -- what is tried ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rewardors", "generators"])
def test_models_that_ship_take_all_that_they_name(kind: plugins.Kind) -> None:
    for name in plugins.names(kind):
        fixed = {"dim": 3} if kind == "generators" else {}
        ranges = study.tunable("rewardor" if kind == "rewardors" else "generator", name)
        defaults = plugins.options(kind, name)
        for option, (low, high) in ranges.items():
            assert low < defaults[option] < high
        for options in study.draw(ranges, 5):
            plugins.load(kind, name, options, **fixed)


def test_longer_lists_begin_with_shorter_ones_and_stay_in_range() -> None:
    ranges = {"rate": (0.01, 10.0), "depth": (2, 40)}
    assert study.draw(ranges, 30)[:7] == study.draw(ranges, 7)
    for options in study.draw(ranges, 30):
        assert 0.01 <= options["rate"] <= 10
        assert options["depth"] in range(2, 41)
    low = sum(options["rate"] < 0.1 for options in study.draw(ranges, 30))
    assert 8 <= low <= 12  # a third of the logarithm


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_each_answer_of_each_profile_is_counted_once(root: Path, tmp_path: Path) -> None:
    this = begun(root, "rewardor", tmp_path, "one", "two")
    paid = [cost for fold in range(study.FOLDS) for cost in trial.costs(this, {"slope": 1.0}, fold)]
    assert len(paid) == 80
    assert sum(paid) / 80 < 0.6


def test_what_was_measured_is_not_measured_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    this = begun(root, "rewardor", tmp_path, "one")
    first = trial.costs(this, {"slope": 1.0}, 0)
    monkeypatch.setattr(plugins, "load", None)
    assert trial.costs(study.Study(this.folder), {"slope": 1.0}, 0) == first


def test_a_generator_pays_for_lost_duels_and_for_lost_variety(root: Path, tmp_path: Path) -> None:
    this = begun(root, "generator", tmp_path, "one")
    (usual,), (wins, variety) = trial.costs(this, {}, 0), this.known({}, 0) or []
    assert usual == pytest.approx(-math.log(wins))
    for keep, found, more in [
        (0.1, [wins, variety / 2], math.log(2)),
        (0.2, [wins, variety * 2], 0.0),
        (0.3, [wins / 3, variety], math.log(3)),
    ]:
        this.keep({"keep": keep}, 0, found)
        assert trial.costs(this, {"keep": keep}, 0)[0] == pytest.approx(usual + more)


def test_dead_worlds_have_lost(root: Path, tmp_path: Path) -> None:
    judge = trial._strangers(begun(root, "generator", tmp_path, "one"), "one", 0)[1]
    prior, roll = torch.linspace(0, 1, 9)[:, None], roll_here(Toy(steps=31))

    class Emits(Filter):
        def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
            del seed, explore
            return torch.tensor([0.1, 0.4]).repeat(n)[:n, None]  # every second one lives

    wins, variety = trial.worth(Emits(1), judge, roll, np.arange(8), prior)
    assert 0 < wins <= 0.5
    assert 1 <= variety <= 4
    alive = torch.from_numpy(roll(np.full((4, 1), 0.1), np.arange(0, 8, 2), {"e": judge.embed}).answers["e"])
    chance = [float(probability(judge.forward(one[None]).expand(9, 2), judge.forward(prior)).mean()) for one in alive]
    assert wins == pytest.approx(sum(chance) / 8)


def test_who_judges_a_generator_knows_nothing_that_who_taught_it_knew(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = begun(root, "generator", tmp_path, "one")
    known: list[set[int]] = []

    class Spy(Bold):
        def __init__(self) -> None:
            super().__init__()
            known.append(set())
            self.known = known[-1]

        def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
            self.known |= {*labels.left.tolist(), *labels.right.tolist()}
            return super().fit(embedding, labels, reference)

    monkeypatch.setattr(trial, "_model", lambda *_: Spy())
    for fold in range(study.FOLDS):
        trial._strangers(this, "one", fold)
    teachers, judges = known[::2], known[1::2]
    assert all(judge and not teacher & judge for teacher, judge in zip(teachers, judges, strict=True))


@pytest.mark.parametrize(("given", "taken"), [(10, 15), (19, 19)])
def test_trials_stand_back_behind_training(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: int, taken: int
) -> None:
    from pipeline import cluster, tune

    this, nice, told = begun(root, "rewardor", tmp_path, "one"), [given], []
    for fold in range(study.FOLDS):
        this.keep({}, fold, [1.0])
    monkeypatch.setattr(tune.os, "getpriority", lambda *_: nice[-1])
    monkeypatch.setattr(tune.os, "setpriority", lambda *words: nice.append(words[-1]))
    monkeypatch.setattr(tune.tune, "report", told.append)
    tune._try({"folder": str(this.folder), "count": 1, "number": 0, "memory_mb": 1e6})
    assert nice[-1] == taken > cluster.NICE
    assert told[-1] == {"fold": study.FOLDS, "cost": 1.0}


# -- beginning, ending, going on --------------------------------------------------------------------------------------


def test_a_study_that_has_not_ended_goes_on_with_the_answers_of_then(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "one", tmp_path / "one")
    profile = Profile.open(tmp_path, "one")
    first = study.begin([profile], "rewardor")
    answer(profile, 3)
    assert study.begin([profile], "rewardor").folder == first.folder
    assert study.begin([profile], "generator").folder != first.folder
    first.end(4)
    again = study.begin([profile], "rewardor")
    assert again.folder != first.folder
    assert (first.answers, again.answers) == ({"one": 40}, {"one": 43})
    assert study.begin([profile], "rewardor").folder == again.folder


def test_a_study_of_older_code_is_not_continued(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(root / "one", tmp_path / "one")
    profile, generator = Profile.open(tmp_path, "one"), plugins.find("generators", BOLD.generator.name)
    first = study.begin([profile], "generator").folder
    for code in (Toy, generator):
        with monkeypatch.context() as patch:
            patch.setattr(code, "version", 99)
            assert study.begin([profile], "generator").folder != first
            with pytest.raises(ProfileError, match="with other options or versions"):
                study.begin([profile], "generator", first)
    assert study.begin([profile], "generator").folder == first


def test_what_was_found_is_taken_even_if_answers_came_since(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "one", tmp_path / "one")
    profile = Profile.open(tmp_path, "one")
    first = study.begin([profile], "rewardor")
    first.end(4)
    answer(profile, 3)
    assert study.begin([profile], "rewardor", ended=True).folder == first.folder


def test_gains_are_differences_on_the_same_folds(root: Path, tmp_path: Path) -> None:
    this = begun(root, "rewardor", tmp_path, "one")
    better, worse = this.candidates(3)[1:]
    for fold in range(study.FOLDS):
        this.keep({}, fold, [1.0, 2.0 + fold])
        this.keep(better, fold, [0.5, 1.4 + fold])
    this.keep(worse, 0, [1.2, 2.3])
    found = tuned.results(this, 3)
    assert [each.options for each in found] == [better, {}, worse]
    assert found[0].gain == pytest.approx(0.55)
    assert found[0].error == pytest.approx(0.05 * (12 / 11) ** 0.5 / 12**0.5)
    assert found[2].gain == pytest.approx(-0.25)
    assert tuned.winner(found) == found[0]
    assert tuned.winner(found[1:]) is None
    assert tuned.table(this, found).endswith(f"1, ended\n\n{tuned.ENDED}")


def test_a_gain_within_its_standard_error_is_none(root: Path, tmp_path: Path) -> None:
    this = begun(root, "rewardor", tmp_path, "one")
    for fold in range(study.FOLDS):
        this.keep({}, fold, [1.0, 1.0])
        this.keep(this.candidates(2)[1], fold, [0.0, 1.9])
    assert tuned.winner(tuned.results(this, 2)) is None
    assert "nothing to change" in tuned.verdict(tuned.results(this, 2))


# -- as people type it ------------------------------------------------------------------------------------------------


@pytest.fixture
def home(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the root."""
    shutil.copytree(root, tmp_path / "profiles")
    monkeypatch.setenv("ALIFE_ROOT", str(tmp_path / "profiles"))
    monkeypatch.setattr("pipeline.cluster.stop", lambda: None)  # the Ray of all tests
    return tmp_path / "profiles"


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_a_better_option_is_found_and_written_down(alife: Call, home: Path) -> None:
    before = {name: bytes_of(home / name) for name in ("one", "two")}
    words = ("tune", "one", "two", "--role", "rewardor", "--trials", "6")
    status, out, err = alife(*words)
    assert (status, err) == (0, "")
    lines = [line for line in out.splitlines() if re.match(r"\d\d:\d\d:\d\d +\d+ of 6 ", line)]
    assert len(lines) == 6
    assert "best so far" in lines[-1]
    assert "the same command with --apply" in out
    assert {name: bytes_of(home / name) for name in before} == before
    (folder,) = (home / ".tune").iterdir()
    assert Image.open(folder / "found.png").size[0] > 300
    best = tuned.winner(tuned.results(study.Study(folder), 6))
    assert best is not None
    assert 0.2 < best.options["slope"] < 10  # answers were made with 1, the profiles have 0.02

    status, out, _ = alife(*words, "--apply")  # nothing is left to search for
    assert status == 0
    for name in before:
        profile = Profile.open(home, name)
        assert profile.config.rewardor.options == best.options
        (text,) = profile.events().text[profile.events().kind == "settings"]
        assert json.loads(text)["profile.toml was"].encode() == before[name]["profile.toml"]
        assert loop.newest(profile, "rewardor") is None  # one with the new options is due
        assert loop.due_fit(profile)
        now = bytes_of(home / name)
        assert all(now[key] == data for key, data in before[name].items() if key != "profile.toml")


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_search_goes_on(home: Path) -> None:
    words = [sys.executable, "-m", "pipeline", "tune", "one", "--trials", "5", "--root", str(home)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        give_up = time.monotonic() + 300
        while len(list(home.glob(".tune/rewardor-*/trials/*/*.json"))) < 4:
            assert time.monotonic() < give_up
            assert first.poll() is None
            time.sleep(0.05)
        kill_tree(first)
    known = {path: path.stat().st_mtime_ns for path in home.glob(".tune/*/trials/*/*.json")}
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=True)
    assert "options known" in done.stdout
    assert done.stdout.count("Picture: ") == 2
    assert len(list((home / ".tune").iterdir())) == 2
    assert {path: path.stat().st_mtime_ns for path in known} == known


def test_a_search_whose_present_options_fail_says_why_and_does_not_end(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline import tune

    why = [{"why": "ValueError: no slope"}, {}]

    def search(this: study.Study, count: int, _: float, say: tune.Say, __: object) -> tune.Outcome:
        watcher, failed = tune._Watcher(this.candidates(count), set(), {}, say), why.pop(0)
        for number in range(count):
            result = {"fold": study.FOLDS, "cost": tune.FAILED if failed else 1.0, **failed}
            trial = SimpleNamespace(config={"number": number}, last_result=result, trial_id=str(number))
            watcher.on_trial_complete(0, [], trial)  # type: ignore[arg-type]
        return watcher.outcome

    monkeypatch.setattr(tune, "search", search)
    tuning.run(home, ["one"], ["rewardor"], trials=2)
    told = capsys.readouterr().out
    assert "nothing to compare others with: ValueError: no slope" in told
    assert "best so far" not in told
    (folder,) = (home / ".tune").iterdir()
    assert study.Study(folder).tried == 0
    tuning.run(home, ["one"], ["rewardor"], trials=2)  # mended
    assert study.Study(folder).tried == 2


def test_whoever_runs_a_profile_keeps_its_options(home: Path) -> None:
    before = bytes_of(home / "one")["profile.toml"]
    with Profile.open(home, "two").claim("page"), pytest.raises(ProfileBusyError, match='"page" is held'):
        shelf.retune(home, ["one", "two"], "rewardor", {"slope": 1.0})
    assert bytes_of(home / "one")["profile.toml"] == before
    with pytest.raises(ConfigError, match='unknown option "slop"'):
        shelf.retune(home, ["one"], "rewardor", {"slop": 1.0})
    Profile.create(home, "other", SMALL)
    with pytest.raises(ConfigError, match='unknown option "slope"'):
        shelf.retune(home, ["one", "other"], "rewardor", {"slope": 1.0})
    assert bytes_of(home / "one")["profile.toml"] == before
    assert "settings" not in Profile.open(home, "one").events().kind


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x",), 'no profile "x"'),
        (("one", "--role", "rewarder"), 'did you mean "rewardor"'),
        (("new",), "has no answers to learn from yet; first: alife run new"),
        (("few",), "has 12 answers that call one of two worlds better; tuning takes at least 20"),
        (("one", "other"), "profiles with different rewardors cannot be tuned together: one has tests.test_tune:Bold"),
        (("still",), "names no options to tune"),
    ],
)
def test_mistakes_are_one_sentence(alife: Call, home: Path, words: tuple[str, ...], message: str) -> None:
    Profile.create(home, "new", BOLD)
    Profile.create(home, "other", SMALL)
    Profile.create(home, "still", replace(BOLD, rewardor=Plugin(name="tests.models.test_fit:Sum")))
    if "few" in words:
        judged(home, "few", 12)
    before = bytes_of(home)
    status, out, err = alife("tune", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert bytes_of(home) == before
