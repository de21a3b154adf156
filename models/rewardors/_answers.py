"""From labels to what they say of a function: numbers f(first) - f(second), and how each answer depends on its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models import Labels
from models.preference import LEFT, MARGIN, NEITHER, NOISE, RIGHT, SKIP, Curve, better, tie


@dataclass(frozen=True)
class Told:
    """What m answers say of m numbers.

    Attributes:
        sign: (m,) float64; 1 or -1: better than the margin upwards or downwards, 0: a tie.
        margin: (m,).
        noise: (m,) share of answers given at random.
    """

    sign: Tensor
    margin: Tensor
    noise: Tensor

    def curve(self, f: Tensor) -> Curve:
        """Log-likelihoods (m,) of the numbers f, and their derivatives."""
        one, both = better(self.sign * f, self.margin, self.noise), tie(f, MARGIN)
        tied = self.sign == 0
        return Curve(
            torch.where(tied, both.value, one.value),
            torch.where(tied, both.slope, self.sign * one.slope),
            torch.where(tied, both.bend, one.bend),
        )

    def __getitem__(self, rows: Tensor) -> "Told":
        return Told(self.sign[rows], self.margin[rows], self.noise[rows])


@dataclass(frozen=True)
class Questions:
    """The m differences f(first) - f(second) that answers are about.

    Attributes:
        first: (m,) rows of the embedding.
        second: (m,) rows, or -1 for the middle of the reference.
        told: The answers.
    """

    first: Tensor
    second: Tensor
    told: Told

    def __getitem__(self, rows: Tensor) -> "Questions":
        return Questions(self.first[rows], self.second[rows], self.told[rows])

    @property
    def worlds(self) -> Tensor:
        """The rows that were asked about, sorted, each once."""
        rows = torch.cat([self.first, self.second]).unique()
        return rows[rows >= 0]


def understand(labels: Labels, usable: Tensor) -> Questions:
    """The questions that labels answer, the same in whatever order and on whatever side worlds were shown.

    *Neither* is a tie and, for each of the two worlds, a statement that it is below the middle. Skipped pairs say
    nothing, nor does a world beside itself or one without features.

    Args:
        labels: P labels.
        usable: (B,) bool, the rows of the embedding with finite features.
    """
    left, right, answer = _sort(labels, usable)
    neither = answer == NEITHER
    below = torch.cat([left[neither], right[neither]])
    sign = (answer == LEFT).double() - (answer == RIGHT).double()
    sure = torch.zeros(len(below), dtype=torch.float64)
    told = Told(
        torch.cat([sign, sure - 1]),
        torch.cat([torch.full_like(sign, MARGIN), sure]),
        torch.cat([torch.full_like(sign, NOISE), sure]),
    )
    return Questions(torch.cat([left, below]), torch.cat([right, torch.full_like(below, -1)]), told)


def _sort(labels: Labels, usable: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    keep = (labels.answer != SKIP) & (labels.left != labels.right) & usable[labels.left] & usable[labels.right]
    left, right, answer = labels.left[keep], labels.right[keep], labels.answer[keep]
    turned = torch.tensor([RIGHT, LEFT])[answer.clamp_max(RIGHT)]
    answer = torch.where((left > right) & (answer <= RIGHT), turned, answer)
    left, right = torch.minimum(left, right), torch.maximum(left, right)
    order = torch.argsort((left * len(usable) + right) * 8 + answer)
    return left[order], right[order], answer[order]
