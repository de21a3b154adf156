"""How people answer, apart from what they like: how reliably, with which side in favor, how often at random.

What labeler l sees of a difference d of rewards is reliability_l d + side_bias_l, the bias towards the left. A share of
the answers is given at random; and a world must be better by the margin, the same for all, to be called better at all.
Reliabilities are relative to the others', so one labeler alone has 1; below zero somebody answers the opposite [1].

All this is learned with the evidence, under priors so strong that thirty answers hardly move it.

[1] X. Chen et al., Pairwise ranking aggregation in a crowdsourced setting, WSDM 2013.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from models.preference import MARGIN, NOISE

RELIABILITY = 0.5
"""Deviation of reliabilities around 1."""

SIDE_BIAS = 0.3
"""Deviation of biases around 0, in logits."""

LAPSES = 20.0
"""Answers that the prior on a share of random ones is worth; its mode, in log-odds, is `NOISE`."""

MARGINS = 0.5
"""Deviation of the logarithm of the margin around `MARGIN`'s."""


@dataclass(frozen=True)
class Manner:
    """How L labelers answer.

    Attributes:
        reliability: (L,) factor on differences of rewards.
        side_bias: (L,) logits by which the left world is favored.
        lapse: (L,) share of answers given at random.
        margin: () how much better a world must look to be called better.
    """

    reliability: Tensor
    side_bias: Tensor
    lapse: Tensor
    margin: Tensor

    @classmethod
    def usual(cls, labelers: int) -> "Manner":
        """What is believed of people before they answer."""
        return cls.unpack(torch.zeros(size(labelers), dtype=torch.float64))

    @classmethod
    def unpack(cls, code: Tensor) -> "Manner":
        """From numbers (3 L + 1,) that are each around 0, and unbounded: the inverse is never needed."""
        reliability, side_bias, lapse = code[:-1].view(3, -1)
        relative = RELIABILITY if len(reliability) > 1 else 0.0
        odds = torch.logit(torch.tensor(NOISE, dtype=code.dtype))
        margin = MARGIN * torch.exp(MARGINS * code[-1])
        return cls(1 + relative * reliability, SIDE_BIAS * side_bias, torch.sigmoid(odds + lapse), margin)

    def extend(self, labelers: int) -> "Manner":
        """With at least so many labelers: the new ones are like people in general."""
        new = Manner.usual(max(labelers - len(self.lapse), 0))
        each = [torch.cat([mine, theirs.to(mine)]) for mine, theirs in zip(self._each(), new._each(), strict=True)]
        return Manner(each[0], each[1], each[2], self.margin)

    def state(self) -> dict[str, Tensor]:
        """The four tensors."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def metrics(self) -> dict[str, float]:
        """The same as plain numbers: `margin`, and `reliability_N`, `side_bias_N` and `lapses_N` of labeler N."""
        told = {"margin": float(self.margin)}
        for name, values in zip(("reliability", "side_bias", "lapses"), self._each(), strict=True):
            told |= {f"{name}_{number}": value for number, value in enumerate(values.tolist())}
        return told

    def _each(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.reliability, self.side_bias, self.lapse


MANNER = tuple(field.name for field in fields(Manner))


def size(labelers: int) -> int:
    """How many numbers tell the manner of so many labelers."""
    return 3 * labelers + 1


def opposites(code: Tensor) -> list[Tensor]:
    """The same, each time with another labeler answering the opposite: no small step leads there."""
    labelers = (len(code) - 1) // 3
    if labelers < 2:
        return []
    found = [code.clone() for _ in range(labelers)]
    for labeler, other in enumerate(found):
        other[labeler] = -2 / RELIABILITY - other[labeler]
    return found


def surprise(code: Tensor) -> Tensor:
    """Minus the logarithm of the prior of `Manner.unpack`'s numbers, up to a constant.

    Normal, but for the lapses: their shares have a Beta prior.
    """
    reliability, side_bias, _ = code[:-1].view(3, -1)
    lapse = Manner.unpack(code).lapse
    normal = reliability.square().sum() + side_bias.square().sum() + code[-1].square()
    return normal / 2 - LAPSES * (NOISE * lapse.log() + (1 - NOISE) * torch.log1p(-lapse)).sum()
