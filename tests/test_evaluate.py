"""The figures of a report mean what they say, on worlds whose worth is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models import Archive, Generator, Labels, Rewardor
from models.fit import calibration_error
from pipeline import evaluate
from pipeline.evaluate import EMITTED, RIVALS, STANDARD, VARIED, Reference, pair_accuracy, percentile, vendi
from pipeline.roll import Ask, Rolled
from pipeline.teachers import make_panel

D = 3


def roll(unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool = False) -> Rolled:
    """Worlds as good as their first parameter; half of them, those with a low second one, die."""
    del seeds, film
    alive = unit[:, 1] > 0.5
    answers = {}
    for name, question in ask.items():
        told = question(torch.from_numpy(unit)).numpy()
        answers[name] = np.where(alive[:, None], told, np.nan).astype(np.float32)
    blank = [""] * len(unit)
    return Rolled(["alive" if each else "dead" for each in alive], blank, answers, [None] * len(unit), blank)


def utility(clip: Tensor) -> Tensor:
    return clip[:, :1]


def embed(clip: Tensor) -> Tensor:
    return clip


class Emits(Generator):
    """Emits one point with a little noise in the last parameter."""

    version = 1

    def __init__(self, *point: float) -> None:
        super().__init__(D)
        self.point = torch.tensor(point)

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        assert not explore
        unit = torch.rand(n, D, generator=torch.Generator().manual_seed(seed))
        unit[:, : len(self.point)] = self.point
        return unit

    def tell(self, archive: Archive) -> dict[str, float]:
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        raise NotImplementedError


class Likes(Rewardor):
    """Believes that a world is worth a multiple of its first parameter, in logits."""

    version = 1
    members = 1

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def embed(self, clip: Tensor) -> Tensor:
        return clip

    def forward(self, embedding: Tensor) -> Tensor:
        return self.slope * embedding[:, :1]

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        raise NotImplementedError

    def load(self, state: dict[str, Tensor]) -> None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def reference() -> Reference:
    return evaluate.make_reference(roll, D, utility=utility, embed=embed, seed=0)


def measure(
    reference: Reference, generator: Generator, rewardor: Rewardor | None = None, **more: int
) -> dict[str, float]:
    exam = reference.exam(make_panel("human", reference.standard), seed=0)
    given = {"utility": utility, "embed": embed, "seed": 1, "simulated": 1000, "exam": exam}
    return evaluate.measure(reference, roll, generator, rewardor or Likes(1.0), **{**given, **more})


def test_a_reference_holds_what_the_prior_offers(reference: Reference) -> None:
    assert len(reference.standard) == STANDARD == VARIED / evaluate.ELITE
    assert len(reference.utility) == len(reference.born) == len(reference.embedding) >= STANDARD
    assert len(reference.rivals) == len(reference.raw) == RIVALS
    assert np.isneginf(reference.raw).mean() == pytest.approx(0.5, abs=0.07)
    assert reference.utility.mean() == pytest.approx(0.5, abs=0.05)
    assert (reference.embedding[:, 0] == reference.utility.astype(np.float32)).all()
    early = reference.born[reference.born < RIVALS]
    assert (reference.raw[early] == reference.utility[: len(early)]).all()


def test_a_longer_reference_begins_like_a_shorter_one(reference: Reference) -> None:
    longer = evaluate.make_reference(roll, D, utility=utility, embed=embed, seed=0, drawn=4000)
    assert longer.born[-1] > 3900
    assert (longer.utility[: len(reference.utility)] == reference.utility).all()
    assert longer.varied == reference.varied


def test_the_prior_wins_half_of_its_games_and_loses_those_it_dies_in(reference: Reference) -> None:
    row = measure(reference, Emits())
    assert row["win_alive"] == pytest.approx(0.25, abs=0.05)
    assert row["win_raw"] == pytest.approx(0.375, abs=0.06)


@pytest.mark.parametrize(("worth", "win", "raw"), [(1.1, 1.0, 1.0), (0.7, 0.7, 0.85), (-0.1, 0.0, 0.5)])
def test_win_rates_of_worlds_that_live(reference: Reference, worth: float, win: float, raw: float) -> None:
    row = measure(reference, Emits(worth, 1.0))
    assert row["win_alive"] == pytest.approx(win, abs=0.05)
    assert row["win_raw"] == pytest.approx(raw, abs=0.05)


def test_the_dead_lose_to_everybody_and_are_no_success_of_prediction(reference: Reference) -> None:
    row = measure(reference, Emits(1.1, 0.0))
    assert row["win_alive"] == row["win_raw"] == row["diversity"] == row["gap"] == 0


def test_the_gap_is_what_was_promised_and_not_kept(reference: Reference) -> None:
    assert measure(reference, Emits(0.8, 1.0))["gap"] == pytest.approx(0, abs=0.01)
    assert measure(reference, Emits(0.1, 1.0), Likes(-1))["gap"] == pytest.approx(0.8, abs=0.08)


def test_accuracy_counts_clear_pairs_and_halves_ties(reference: Reference) -> None:
    assert measure(reference, Emits())["pair_accuracy"] == 1
    assert measure(reference, Emits(), Likes(-1))["pair_accuracy"] == 0
    assert measure(reference, Emits(), Likes(0))["pair_accuracy"] == 0.5
    hardly = np.array([0.0, 1e-3, 1.0])
    assert pair_accuracy(np.array([1.0, 0.0, 2.0]), hardly, 1.0) == 1
    assert pair_accuracy(np.array([1.0, 0.0, 2.0]), hardly, 1e-3) == pytest.approx(2 / 3)
    assert pair_accuracy(np.zeros(0), np.zeros(0), 1.0) == 0.5


@pytest.mark.parametrize("simulated", [1, 300, 1000, 2000])
def test_best_of_n_is_the_best_of_what_was_drawn_by_then(reference: Reference, simulated: int) -> None:
    emitted = Emits(0.9, 1.0)
    for slope in (1.0, -1.0):
        living = [each for each, born in zip(reference.utility, reference.born, strict=True) if born < simulated]
        best = sorted(living, key=lambda each: -slope * each)[: max(1, round(0.05 * len(living)))]
        won = np.mean([each < 0.9 for each in best]) if best else 1.0
        assert measure(reference, emitted, Likes(slope), simulated=simulated)["win_best_of_n"] == pytest.approx(won)


def test_who_cannot_tell_worlds_apart_has_the_first_ones_for_best_of_n(reference: Reference) -> None:
    row = measure(reference, Emits(2.0, 1.0), Likes(0.0))
    assert row["win_best_of_n"] == 1
    assert row["top"] == pytest.approx(0.5, abs=0.15)


def test_the_predicted_top_is_where_it_truly_is(reference: Reference) -> None:
    """The best 25 of 500 are on average better than 97.5 % of all, and the worst ones than 2.5 %."""
    assert measure(reference, Emits(), Likes(1.0))["top"] == pytest.approx(0.975)
    assert measure(reference, Emits(), Likes(-1.0))["top"] == pytest.approx(0.025)


def test_more_worlds_can_be_asked_for(reference: Reference) -> None:
    few, many = (measure(reference, Emits(), emitted=emitted)["alive"] for emitted in (3, 400))
    assert few in (0, 1 / 3, 2 / 3, 1)
    assert many == pytest.approx(0.5, abs=0.08)


def error(chance: np.ndarray, happened: np.ndarray, bins: int = 10) -> float:
    return calibration_error(torch.from_numpy(chance), torch.from_numpy(happened), bins)


def test_calibration_error_by_hand() -> None:
    """Bins of two: (.6, .6) of which one happened, (.9, .9) of which both did: (.1 + .1) / 2; in one bin .75 - .75."""
    chance, happened = np.array([0.9, 0.6, 0.9, 0.6]), np.array([True, False, True, True])
    assert error(chance, happened, bins=2) == pytest.approx(0.1)
    assert error(chance, happened, bins=1) == pytest.approx(0.0)


def test_who_is_right_as_often_as_said_is_calibrated_and_who_claims_more_is_off_by_that() -> None:
    draw = np.random.default_rng(0)
    chance = draw.uniform(0.5, 1, 200_000)
    happened = draw.random(200_000) < chance
    assert error(chance, happened) < 0.005
    assert error(chance + 0.1, happened) == pytest.approx(0.1, abs=0.005)
    assert error(np.full(200_000, 0.9), draw.random(200_000) < 0.7) == pytest.approx(0.2, abs=0.01)


def test_a_small_sample_alone_costs_as_much_as_the_docstring_says() -> None:
    draw = np.random.default_rng(0)
    errors = [error(np.full(1700, 0.87), draw.random(1700) < 0.87) for _ in range(200)]
    assert np.mean(errors) == pytest.approx(0.02, abs=0.004)


def test_who_knows_the_teacher_is_calibrated_and_who_is_too_timid_or_too_bold_is_not(reference: Reference) -> None:
    """The teacher's answers follow its own logits."""
    panel = make_panel("human", reference.standard)
    true = float(panel.people[0].beta / panel.people[0].scale[0])
    rows = {share: measure(reference, Emits(), Likes(share * true)) for share in (0.0, 0.3, 1.0, 10.0)}
    error = {share: row["calibration_error"] for share, row in rows.items()}
    loss = {share: row["log_loss"] for share, row in rows.items()}
    assert error[1.0] < 0.04 < 0.1 < min(error[0.3], error[10.0])
    assert loss[1.0] < min(loss[0.3], loss[10.0])
    assert loss[0.0] == pytest.approx(np.log(2))
    assert error[0.0] == pytest.approx(0, abs=0.05)


def test_an_exam_asks_about_different_worlds_and_answers_mostly_rightly(reference: Reference) -> None:
    exam = reference.exam(make_panel("human", reference.standard), seed=0)
    assert (exam.left != exam.right).all()
    assert len(exam.won) == pytest.approx(evaluate.EXAM * 0.87, rel=0.03)
    assert (exam.won == (reference.utility[exam.left] > reference.utility[exam.right])).mean() == pytest.approx(
        0.87, abs=0.025
    )
    assert exam.won.mean() == pytest.approx(0.5, abs=0.04)
    other = reference.exam(make_panel("human", reference.standard), seed=1)
    assert (exam.left[:100] != other.left[:100]).any()


def test_percentiles() -> None:
    assert percentile(np.array([0.0, 2.0, 9.0]), np.array([1.0, 2.0, 3.0, 2.0])).tolist() == [0, 0.5, 1]


def test_vendi_counts_worlds_that_differ() -> None:
    """N copies of k worlds that are far apart count as k [1]."""
    prior = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    far = 100 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    for count in (1, 2, 4):
        assert vendi(np.tile(far[:count], (8, 1)), prior) == pytest.approx(count, abs=1e-3)
    assert 1 < vendi(prior[:64], prior) < 64
    assert vendi(prior[:0], prior) == 0


def test_diversity_compares_with_the_priors_best(reference: Reference) -> None:
    same = measure(reference, Emits(0.97, 0.8))["diversity"]
    varied = measure(reference, Emits())["diversity"]
    assert same < 0.7 < 1 < varied


def test_a_prior_without_life_is_refused() -> None:
    def barren(unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool = False) -> Rolled:
        return roll(unit * [1, 0, 1], seeds, ask, film)

    with pytest.raises(ValueError, match="of 500 prior worlds only 0 are alive"):
        evaluate.make_reference(barren, D, utility=utility, embed=embed, seed=0)


def test_the_same_seed_measures_the_same(reference: Reference) -> None:
    assert measure(reference, Emits()) == measure(reference, Emits())
    again = evaluate.make_reference(roll, D, utility=utility, embed=embed, seed=0)
    assert (again.utility == reference.utility).all()
    assert again.varied == reference.varied


def test_emitted_worlds_are_as_many_as_promised(reference: Reference) -> None:
    class Counts(Emits):
        asked: list[int] = []  # noqa: RUF012

        def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
            self.asked.append(n)
            return super().ask(n, seed, explore=explore)

    measure(reference, counts := Counts())
    assert counts.asked == [EMITTED]


def test_the_report_is_json_of_the_promised_form(reference: Reference, tmp_path: Path) -> None:
    row = {"labels": 0, **measure(reference, Emits()), "cpu_s": 1.5}
    evaluate.write_report(tmp_path / "out.json", "name", [row])
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["profile"] == "name"
    keys = {"labels", "win_alive", "win_raw", "win_best_of_n", "alive", "top", "pair_accuracy", "pair_accuracy_own"}
    keys |= {"calibration_error", "log_loss", "diversity", "gap", "cpu_s"}
    assert [set(each) for each in told["budgets"]] == [keys]
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
