"""The likelihood of an answer, given two rewards.

The margin model of Rao and Kupper [1] for left, right and tie, with a share of answers given at random:

    P(left) = (1 - noise) s(d - tie) + noise / 2,   P(tie) = (1 - noise) (e^(2 tie) - 1) s(d - tie) s(-d - tie)

where d is the reward of the left world minus that of the right one and s the logistic function; without ties and noise
it is Bradley and Terry's [2]. *Neither* is a tie and, for each of the two worlds, the statement that its reward is
below a median: s(median - reward). *Skip* says nothing.

[1] P. Rao and L. Kupper, Ties in paired-comparison experiments, JASA 62, 1967.
[2] R. Bradley and M. Terry, Rank analysis of incomplete block designs, Biometrika 39, 1952.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from models._rewardor import ANSWERS

LEFT, RIGHT, TIE, NEITHER, SKIP = range(len(ANSWERS))
MARGIN = 0.3  # with unit rewards, one answer in nine is then a tie, as people and our teachers give them
NOISE = 0.2


class Curve(NamedTuple):
    """A log-likelihood as a function of one number, with its first two derivatives."""

    value: Tensor
    slope: Tensor
    bend: Tensor


def log_likelihood(
    left: Tensor, right: Tensor, answer: Tensor, *, median: float = 0.0, margin: float = MARGIN, noise: float = NOISE
) -> Tensor:
    """Log-probability of each answer, (P,) or (P, M) like the rewards; 0 where skipped.

    Finite for all finite rewards. Swapping the sides and the answer changes nothing, nor does adding a constant to
    `left`, `right` and `median`. Over left, right and tie the probabilities sum to one.

    Args:
        left: (P,) or (P, M) rewards of the worlds shown left.
        right: Like `left`.
        answer: (P,) indices into `ANSWERS`.
        median: The reward that neither of two worlds reached.
        margin: How much better a world must be to be called better; at least 0.
        noise: Share of answers given at random, in [0, 1).
    """
    answer = answer.reshape(-1, *[1] * (left.ndim - 1))
    difference = left - right
    tied = tie(difference, margin).value + math.log1p(-noise)
    below = logsigmoid(median - left) + logsigmoid(median - right)
    told = torch.where(answer == TIE, tied, tied + below)
    told = torch.where(answer == LEFT, better(difference, margin, noise).value, told)
    told = torch.where(answer == RIGHT, better(-difference, margin, noise).value, told)
    return torch.where(answer == SKIP, torch.zeros_like(told), told)


def probability(left: Tensor, right: Tensor, *, margin: float = MARGIN, noise: float = 0.0) -> Tensor:
    """The chance (P,) that the left world is called better, if one of the two is.

    Answers given at random are left out by default, for rewards are fitted beside them: what is predicted is what
    somebody says who looks.

    Args:
        left: (P, M) rewards, one per member; each member counts as much as it finds that one is better.
        right: Like `left`.
        margin: See `log_likelihood`.
        noise: See `log_likelihood`.
    """
    difference = left - right
    won, lost = (better(d, margin, noise).value.logsumexp(1) for d in (difference, -difference))
    return torch.sigmoid(won - lost)


def better(difference: Tensor, margin: Tensor | float, noise: Tensor | float) -> Curve:
    """The log-probability that a world is called better, as a `Curve` of how much better it is."""
    win, lose = torch.sigmoid(difference - margin), torch.sigmoid(margin - difference)
    told = (1 - noise) * win + noise / 2
    sincere = (1 - noise) * win / told
    plain = logsigmoid(difference - margin) + torch.log1p(-torch.as_tensor(noise))
    # the plain form is exact far out, where `told` would round to nothing if there were no noise
    value = torch.where(told > 1e-30, told.clamp_min(1e-30).log(), plain)
    sincere = torch.where(told > 1e-30, sincere, torch.ones_like(sincere))
    return Curve(value, sincere * lose, sincere * (-win * lose + (1 - sincere) * lose**2))


def tie(difference: Tensor, margin: Tensor | float) -> Curve:
    """The log-probability of a tie, as a `Curve` of the difference."""
    win, lose = torch.sigmoid(difference - margin), torch.sigmoid(-difference - margin)
    room = torch.expm1(2 * torch.as_tensor(margin, dtype=difference.dtype)).log()
    value = logsigmoid(difference - margin) + logsigmoid(-difference - margin) + room
    return Curve(value, lose - win, -win * (1 - win) - lose * (1 - lose))
