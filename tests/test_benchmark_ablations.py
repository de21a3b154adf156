"""The benchmark of ablations: what its variants change, and nothing else, and figures by hand."""

import math

import numpy as np
import pytest
import torch

from benchmarks import ablations, ablations_plot
from benchmarks.ablations_trials import RULES, Trial, choose, families, judge
from benchmarks.ablations_variants import Exploring, Fewer, Shrunk, Ties, half_a_win
from models import Archive, Labels
from models.generators import gibbs
from models.preference import LEFT, RIGHT, TIE
from models.rewardors._features import FAMILIES, F
from models.rewardors.common import Common
from pipeline import select

WORLDS = torch.randn(40, F, generator=torch.Generator().manual_seed(0))
EVERYBODY = torch.ones(40, dtype=torch.bool)


def told(*answers: tuple[int, int, int]) -> Labels:
    left, right, answer = torch.tensor(answers).T
    return Labels(left, right, answer, torch.zeros(len(answers), dtype=torch.int64))


LABELS = [(0, 1, LEFT), (2, 3, RIGHT), (4, 5, LEFT), (6, 7, LEFT), (8, 9, RIGHT), (1, 4, RIGHT)]


def rewards(rewardor: Common, labels: Labels, worlds: torch.Tensor = WORLDS) -> torch.Tensor:
    rewardor.fit(worlds, labels, EVERYBODY)
    return rewardor.forward(worlds)


def test_half_a_win_is_the_mean_of_both_wins_with_its_true_derivatives():
    difference, step = torch.linspace(-3, 3, 7, dtype=torch.float64), 1e-5
    curve, above, below = (half_a_win(difference + move, 0.3) for move in (0.0, step, -step))
    win = torch.sigmoid(difference)
    torch.testing.assert_close(curve.value, (win.log() + (1 - win).log()) / 2)
    torch.testing.assert_close(curve.slope, (above.value - below.value) / (2 * step))
    torch.testing.assert_close(curve.bend, (above.slope - below.slope) / (2 * step))


def test_all_families_are_the_rewardor_itself_and_those_left_out_are_not_seen():
    labels = told(*LABELS)
    torch.testing.assert_close(rewards(Fewer(families=tuple(FAMILIES)), labels), rewards(Common(), labels))
    blurred = WORLDS.clone()
    blurred[:, FAMILIES["look"]] = torch.randn(40, FAMILIES["look"].stop - FAMILIES["look"].start)
    blind = Fewer(families=families("without look"))
    torch.testing.assert_close(rewards(blind, labels, blurred), rewards(blind, labels))
    one = Fewer(families=families("look"))
    assert not torch.allclose(rewards(one, labels, blurred), rewards(one, labels))


def test_dropped_ties_say_nothing_and_half_wins_bring_worlds_together():
    tied = [*LABELS, (0, 3, TIE), (0, 9, TIE)]
    dropped = rewards(Ties(rule="dropped"), told(*tied))
    torch.testing.assert_close(dropped, rewards(Ties(rule="half"), told(*LABELS)))
    half = rewards(Ties(rule="half"), told(*tied))
    for rival in (3, 9):
        before, after = (abs(float((one[0] - one[rival]).mean())) for one in (dropped, half))
        assert after < before
    torch.testing.assert_close(rewards(Ties(rule="margin"), told(*tied)), rewards(Common(), told(*tied)))


def archive() -> Archive:
    draw = torch.Generator().manual_seed(1)
    unit = torch.rand(60, 3, generator=draw)
    score = unit[:, 0] + 0.3 * torch.randn(60, generator=draw)
    return Archive(unit, torch.ones(60, dtype=torch.bool), score, unit.repeat(1, 2))


def test_generators_differ_by_nothing_but_one_number():
    shipped, same, greedy = gibbs.Gibbs(3), Shrunk(3), Shrunk(3, doubt=0.0)
    for one in (shipped, same, greedy):
        one.tell(archive())
    assert all(torch.equal(value, shipped.state()[key]) for key, value in same.state().items())
    assert not torch.equal(greedy.state()["weight"], shipped.state()["weight"])
    usual = 1 - gibbs.REPEATS - gibbs.ELITES - gibbs.CHAINS
    like, prior = Exploring(3, prior=usual), Exploring(3, prior=1.0)
    like.load(shipped.state())
    prior.load(shipped.state())
    assert torch.equal(like.ask(50, 4, explore=True), shipped.ask(50, 4, explore=True))
    assert torch.equal(prior.ask(50, 4, explore=True), gibbs.Gibbs(3).ask(50, 4))
    assert torch.equal(prior.ask(50, 4), shipped.ask(50, 4))


def test_rules_choose_what_they_say_and_leave_the_product_as_it_was():
    shares = dict(select.SHARES)
    reward = np.tile(np.arange(50.0)[:, None], (1, 8)) + np.random.default_rng(0).normal(0, 1e-3, (50, 8))
    asked = [(row, row + 1) for row in range(select.WARM_UP)]
    assert set(choose("top two", 1, 50, reward, asked, 0)[0]) == {48, 49}
    known = choose("random", 5, 50, None, asked, 0)
    assert choose("random", 5, 50, reward, asked, 0) == known
    assert len(choose("information", 5, 50, reward, asked, 0)) == 5
    assert set(RULES) >= {"random", "information", "top two", "shipped"}
    assert shares == select.SHARES


def test_a_judge_by_hand():
    utility = np.arange(100.0)
    right, wrong = judge(utility, utility, 1.0), judge(-utility, utility, 1.0)
    assert (right["pairs"], right["best_pairs"], wrong["pairs"], wrong["best_pairs"]) == (1, 1, 0, 0)
    assert right["top"] == pytest.approx(0.975)
    assert wrong["top"] == pytest.approx(0.025)


def test_differences_are_between_runs_of_the_same_taste_and_seed():
    def row(setting: str, oracle: str, seed: int, win: float) -> dict[str, float | str]:
        return {"setting": setting, "oracle": oracle, "seed": seed, "ties": 0.1, "labels": 100, "win_alive": win}

    rows = [row("shipped", "movers", 0, 0.5), row("shipped", "niche", 0, 0.9)]
    rows += [row("other", "niche", 0, 0.8), row("other", "movers", 0, 0.6), row("other", "movers", 1, 0.1)]
    ((mean, half),) = ablations_plot.marks(rows, "win_alive")["other", 0.1].values()
    assert mean == pytest.approx(0)
    assert half == pytest.approx(12.706 * 0.1, rel=1e-4)  # Student's t of two runs


@pytest.mark.parametrize(("low", "high"), [(0, 0.013), (-0.21, 0.02), (-0.004, 0.004), (-3, 70)])
def test_ticks_are_few_and_enclose_everything(low: float, high: float):
    ticks = ablations_plot.round_ticks(low, high)
    assert ticks[0] <= low + 1e-12 <= high <= ticks[-1] + 1e-12
    assert 2 <= len(ticks) <= 5
    assert math.isclose(ticks[1] - ticks[0], ticks[-1] - ticks[-2])


def test_pictures_show_every_setting(tmp_path):
    for what, settings in ablations.OFFLINE.items():
        rows = []
        for (setting, ties), seed in ((one, seed) for one in settings for seed in range(2)):
            found = dict.fromkeys(ablations_plot.OFFLINE, 0.9 + 0.01 * seed)
            rows.append({**vars(Trial(what, setting, "movers", seed, ties)), "labels": 50, **found})
        shown = {name for panel in ablations_plot.panels(what, rows) for name in panel.marks}
        assert len(shown) == {"features": len(FAMILIES), "ties": 6, "rules": 3}[what]
    ablations_plot.save(what, rows, tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
