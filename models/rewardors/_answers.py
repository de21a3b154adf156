"""From labels to what they say of a function: numbers f(first) - f(second), and how each answer depends on its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models import Labels
from models.preference import LEFT, NEITHER, RIGHT, SKIP, Curve, better, tie
from models.rewardors._labelers import Manner


@dataclass(frozen=True)
class Told:
    """What m answers say of m numbers.

    Attributes:
        sign: (m,) float64; 1 or -1: better than the margin upwards or downwards, 0: a tie.
        margin: (m,), above 0 for ties.
        noise: (m,) share of answers given at random.
        scale: (m,) what whoever answered multiplies the number by.
        shift: (m,) what they add to it.
    """

    sign: Tensor
    margin: Tensor
    noise: Tensor
    scale: Tensor
    shift: Tensor

    def curve(self, f: Tensor) -> Curve:
        """Log-likelihoods (m,) of the numbers f, and their derivatives."""
        seen = self.scale * f + self.shift
        # the margin of what is no tie is out of the formula's range, and one NaN would spoil all gradients
        one, both = better(self.sign * seen, self.margin, self.noise), tie(seen, self.margin.clamp_min(1e-3))
        tied = self.sign == 0
        return Curve(
            torch.where(tied, both.value + torch.log1p(-self.noise), one.value),
            torch.where(tied, both.slope, self.sign * one.slope) * self.scale,
            torch.where(tied, both.bend, one.bend) * self.scale**2,
        )


@dataclass(frozen=True)
class Questions:
    """The m differences f(first) - f(second) that answers are about.

    Attributes:
        first: (m,) rows of the embedding.
        second: (m,) rows, or -1 for the middle of the reference.
        sign: (m,) as in `Told`.
        labeler: (m,) who answered.
        side: (m,) float64; 1 where the first was shown left, -1 where it was shown right, 0 without a second.
    """

    first: Tensor
    second: Tensor
    sign: Tensor
    labeler: Tensor
    side: Tensor

    def __getitem__(self, rows: Tensor) -> "Questions":
        columns = (self.first, self.second, self.sign, self.labeler, self.side)
        return Questions(*[column[rows] for column in columns])

    @property
    def worlds(self) -> Tensor:
        """The rows that were asked about, sorted, each once."""
        rows = torch.cat([self.first, self.second]).unique()
        return rows[rows >= 0]

    def told(self, manner: Manner, median: float = 0.0) -> Told:
        """What was answered, by people of that manner.

        Args:
            manner: Of all labelers.
            median: What *neither* is below, beyond the middle. Who answers the opposite of the others says nothing by
                it, and nobody says it at random.
        """
        whole = self.second >= 0
        scale = manner.reliability[self.labeler]
        return Told(
            self.sign,
            torch.where(whole, manner.margin, -median),
            torch.where(whole, manner.lapse[self.labeler], 0.0),
            torch.where(whole, scale, scale.clamp_min(0)),
            self.side * manner.side_bias[self.labeler],
        )


def understand(labels: Labels, usable: Tensor) -> Questions:
    """The questions that labels answer, the same in whatever order they came.

    *Neither* is a tie and, for each of the two worlds, a statement that it is below the middle. Skipped pairs say
    nothing, nor does a world beside itself or one without features.

    Args:
        labels: P labels.
        usable: (B,) bool, the rows of the embedding with finite features.
    """
    left, right, answer, labeler, side = _sort(labels, usable)
    neither = answer == NEITHER
    below = torch.cat([left[neither], right[neither]])
    sign = (answer == LEFT).double() - (answer == RIGHT).double()
    return Questions(
        torch.cat([left, below]),
        torch.cat([right, torch.full_like(below, -1)]),
        torch.cat([sign, -torch.ones_like(below, dtype=sign.dtype)]),
        torch.cat([labeler, labeler[neither].repeat(2)]),
        torch.cat([side, torch.zeros_like(below, dtype=side.dtype)]),
    )


def _sort(labels: Labels, usable: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What counts, the world of the smaller row first; left or right then say which of the two is better."""
    keep = (labels.answer != SKIP) & (labels.left != labels.right) & usable[labels.left] & usable[labels.right]
    left, right, answer, labeler = (
        column[keep] for column in (labels.left, labels.right, labels.answer, labels.labeler)
    )
    turned = left > right
    flipped = torch.tensor([RIGHT, LEFT], device=answer.device)[answer.clamp_max(RIGHT)]
    answer = torch.where(turned & (answer <= RIGHT), flipped, answer)
    left, right = torch.minimum(left, right), torch.maximum(left, right)
    order = torch.argsort(labeler * 2 + turned, stable=True)
    order = order[torch.argsort(((left * len(usable) + right) * 8 + answer)[order], stable=True)]
    side = 1 - 2 * turned.double()
    return left[order], right[order], answer[order], labeler[order], side[order]
