import math
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from models import Labels, Rewardor
from models.fit import archive, calibration_error, fit_rewardor, refit_rewardor
from models.preference import LEFT, RIGHT, SKIP, TIE, probability


class Sum(Rewardor):
    """Likes worlds in proportion to their one feature; learns nothing, remembers what it was taught with."""

    version: ClassVar[int] = 1
    members = 2

    def __init__(self, slope: float = 1.0) -> None:
        self.slope = slope
        self.taught: list[set[int]] = []

    def embed(self, clip: Tensor) -> Tensor:
        return clip.flatten(1).float().mean(1, keepdim=True)

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        del embedding, reference
        self.taught.append({*labels.left.tolist(), *labels.right.tolist()})
        return {"fitted": 1.0}

    def forward(self, embedding: Tensor) -> Tensor:
        return self.slope * embedding.expand(-1, 2)

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        del state


def line(count: int, worlds: int = 60, seed: int = 0) -> tuple[Tensor, Labels, Tensor]:
    """Worlds on a line, `count` right answers about them."""
    embedding = torch.linspace(-3, 3, worlds)[:, None]
    draw = torch.Generator().manual_seed(seed)
    left = torch.randint(0, worlds, (count,), generator=draw)
    right = (left + torch.randint(1, worlds, (count,), generator=draw)) % worlds
    answer = torch.where(left > right, LEFT, RIGHT)
    return embedding, Labels(left, right, answer, torch.zeros_like(left)), torch.ones(worlds, dtype=torch.bool)


@pytest.mark.parametrize(("slope", "accuracy"), [(1.0, 1.0), (-1.0, 0.0)])
def test_held_out_accuracy_is_that_of_the_predictions(slope, accuracy):
    metrics = fit_rewardor(Sum(slope), *line(40))
    assert metrics["held_out_accuracy"] == accuracy
    assert (metrics["held_out_log_loss"] < math.log(2)) == (slope > 0)
    assert metrics["fitted"] == 1
    assert metrics["labels"] == metrics["decided"] == 40


def test_who_knows_nothing_loses_a_coin_flip():
    assert fit_rewardor(Sum(0.0), *line(40))["held_out_log_loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_no_world_is_predicted_by_who_saw_it():
    taught: list[set[float]] = []
    asked: list[set[float]] = []

    class Spy(Sum):
        def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
            del reference
            taught.append(set(embedding[torch.cat([labels.left, labels.right]), 0].tolist()))
            return {}

        def forward(self, embedding: Tensor) -> Tensor:
            asked.append(set(embedding[:, 0].tolist()))
            return super().forward(embedding)

    fit_rewardor(Spy(), *line(50, worlds=100))
    folds = [left | right for left, right in zip(asked[::2], asked[1::2], strict=True)]
    assert len(folds) == len(taught) - 1 == 5  # the first fit is the one that stays
    for seen, unseen in zip(taught[1:], folds, strict=True):
        assert seen
        assert unseen
        assert not seen & unseen


def test_settings_are_kept_where_a_rewardor_can():
    class Keen(Sum):
        refitted = 0

        def refit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
            del embedding, labels, reference
            Keen.refitted += 1
            return {}

    rewardor = Keen()
    fit_rewardor(rewardor, *line(40), folds=4)
    assert Keen.refitted == 4
    assert len(rewardor.taught) == 1


@pytest.mark.parametrize("count", [0, 1, 9])
def test_few_labels_hold_nothing_out_and_no_number_is_nan(count):
    metrics = fit_rewardor(Sum(), *line(count))
    assert "held_out_accuracy" not in metrics
    assert all(math.isfinite(value) for value in metrics.values())


def test_only_decided_labels_count():
    embedding, labels, reference = line(40)
    labels.answer[:20:2], labels.answer[1:20:2] = TIE, SKIP
    metrics = fit_rewardor(Sum(), embedding, labels, reference)
    assert metrics["decided"] == 20
    assert metrics["held_out_accuracy"] == 1


def test_the_order_of_labels_does_not_matter():
    embedding, labels, reference = line(40)
    labels.answer[::5] = torch.where(labels.answer[::5] == LEFT, RIGHT, LEFT)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    shuffled = Labels(labels.left[order], labels.right[order], labels.answer[order], labels.labeler[order])
    first, second = (fit_rewardor(Sum(), embedding, told, reference) for told in (labels, shuffled))
    assert first["held_out_accuracy"] == second["held_out_accuracy"] == pytest.approx(32 / 40)
    assert first["held_out_log_loss"] == pytest.approx(second["held_out_log_loss"])


def test_what_is_not_alive_gets_the_floor():
    unit = torch.rand(101, 3, generator=torch.Generator().manual_seed(0))
    embedding = torch.arange(101.0)[:, None]
    alive = torch.arange(101) != 50
    embedding[50] = torch.nan
    told = archive(Sum(), unit, alive, embedding)
    assert torch.equal(told.score[alive], embedding[alive, 0])
    assert float(told.score[50]) == pytest.approx(float(embedding[alive].quantile(0.02)))
    assert told.score.isfinite().all()
    assert told.unit is unit
    assert told.embedding is embedding


def test_a_world_without_a_finite_embedding_counts_as_dead():
    unit = torch.rand(101, 3, generator=torch.Generator().manual_seed(0))
    embedding = torch.arange(101.0)[:, None]
    embedding[50] = torch.nan
    told = archive(Sum(), unit, torch.ones(101, dtype=torch.bool), embedding)
    assert not told.alive[50]
    assert told.alive.sum() == 100
    assert told.score.isfinite().all()


def test_an_archive_of_the_dead_is_an_archive():
    told = archive(Sum(), torch.rand(4, 2), torch.zeros(4, dtype=torch.bool), torch.full((4, 1), torch.nan))
    assert told.score.tolist() == [0, 0, 0, 0]


class Scaled(Sum):
    """`Sum`, whose rewards can be sharpened."""

    def sharpen(self, factor: float) -> float:
        self.slope *= factor
        return factor


def told(count: int, who: int = 0, opposite: bool = False) -> tuple[Tensor, Labels, Tensor]:
    """Worlds on a line, and answers as probable as rewards of slope 1 make them."""
    embedding, labels, reference = line(count, seed=who)
    chance = probability(embedding[labels.left], embedding[labels.right])
    won = torch.rand(count, generator=torch.Generator().manual_seed(who)) < chance
    return embedding, Labels(labels.left, labels.right, (won == opposite).long(), 0 * labels.left + who), reference


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_rewards_are_sharpened_until_chances_come_true(slope):
    rewardor = Scaled(slope)
    embedding, labels, reference = told(600)
    metrics = fit_rewardor(rewardor, embedding, labels, reference)
    assert rewardor.slope == pytest.approx(1, rel=0.2)
    assert metrics["sharpness"] == pytest.approx(1 / slope, rel=0.2)
    assert metrics["held_out_calibration_error"] < 0.05
    as_it_is = fit_rewardor(Sum(slope), embedding, labels, reference)
    assert as_it_is["sharpness"] == 1
    assert as_it_is["held_out_log_loss"] > metrics["held_out_log_loss"] - 1e-6
    if slope != 1:
        assert as_it_is["held_out_calibration_error"] > metrics["held_out_calibration_error"] + 0.02


def test_who_answers_the_opposite_makes_nobody_less_sure():
    (embedding, honest, reference), (_, turned, _) = told(300), told(200, who=1, opposite=True)
    both = Labels(
        *[
            torch.cat([getattr(each, name) for each in (honest, turned)])
            for name in ("left", "right", "answer", "labeler")
        ]
    )
    rewardor = Scaled()
    fit_rewardor(rewardor, embedding, both, reference)
    assert rewardor.slope == pytest.approx(1, rel=0.25)


def test_a_refit_keeps_the_last_known_figures_and_says_of_how_many_labels():
    embedding, labels, reference = told(50)
    metrics = fit_rewardor(Scaled(), embedding, labels, reference)
    embedding, more, reference = told(60)
    after = refit_rewardor(Scaled(), embedding, more, reference, metrics)
    assert (after["labels"], after["held_out_labels"]) == (60, 50)
    assert after["held_out_accuracy"] == metrics["held_out_accuracy"]


def test_calibration_error_of_what_is_known():
    half = torch.arange(1000) % 2 == 0
    assert calibration_error(torch.full((1000,), 0.5), half) == pytest.approx(0, abs=1e-6)
    assert calibration_error(torch.full((1000,), 0.9), half) == pytest.approx(0.4, abs=1e-6)
    chance = torch.linspace(0.5, 1, 20_000)
    came = torch.rand(20_000, generator=torch.Generator().manual_seed(0)) < chance
    assert calibration_error(chance, came) < 0.015
    assert calibration_error(chance**2, came) > 0.1
