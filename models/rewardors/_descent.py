"""Gradient descent of many members at once on what was answered, by one process or several.

Shapes: P labels, n of them in a step of this process, N worlds in it, M members.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from models import Labels, workers
from models.preference import SKIP, log_likelihood

ANCHORS = 4
"""Labels for one reference world in a step: the mean reward of these is the middle that *neither* is below."""

PASSES = 10
"""How often each label is seen, at least."""

LUCK = 8
"""Uniform random numbers by which each world of a step may be varied."""

Rewards: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From rows of the embedding (N,) and luck (N, LUCK) to rewards (N, M)."""


class Batch(NamedTuple):
    """One step's work of one process.

    Attributes:
        asked: (n,) numbers of labels.
        worlds: (N,) rows of the embedding: shown left, shown right, anchors.
        luck: (N, LUCK).
        whole: How many labels all processes have together.
    """

    asked: Tensor
    worlds: Tensor
    luck: Tensor
    whole: int


class Plan(NamedTuple):
    """How to descend: M, how many steps at least, on how many labels each, and the highest learning rate."""

    members: int
    steps: int
    batch: int
    rate: float


def useful(labels: Labels, known: Tensor) -> Labels:
    """Labels that say something: not skipped, and about two different worlds with known (B,) features."""
    keep = (labels.answer != SKIP) & (labels.left != labels.right) & known[labels.left] & known[labels.right]
    return Labels(labels.left[keep], labels.right[keep], labels.answer[keep], labels.labeler[keep])


def descend(
    rewards: Rewards,
    weights: Sequence[Tensor],
    labels: Labels,
    reference: Tensor,
    plan: Plan,
) -> float:
    """Find the most probable weights of each member, in place, by Adam.

    Each member trusts each answer by an exponentially distributed factor: the Bayesian bootstrap. The prior of each
    weight is a standard normal distribution around where it began.

    Returns:
        Minus the log-probability of an answer, in nats, as the members trust it: the mean over the last tenth of steps.
    """
    P, draw = len(labels.answer), torch.Generator().manual_seed(0)
    if P == 0:
        return 0.0
    trust = torch.empty(P, plan.members).exponential_(generator=draw)
    start = [weight.detach().clone() for weight in weights]
    steps = max(plan.steps, PASSES * P // plan.batch)
    optimizer = torch.optim.Adam(list(weights), plan.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=steps)
    losses = []
    for _ in range(steps):
        part = _batch(labels, reference, plan.batch, draw)
        optimizer.zero_grad()
        loss = _surprise(rewards(part.worlds, part.luck), labels.answer[part.asked], trust[part.asked]) / part.whole
        loss.backward()
        losses.append(loss.detach())
        workers.add_up([losses[-1], *[weight.grad for weight in weights if weight.grad is not None]])
        for weight, began in zip(weights, start, strict=True):
            assert weight.grad is not None
            weight.grad.add_(weight.detach() - began, alpha=1 / P)
        optimizer.step()
        schedule.step()
    return float(torch.stack(losses[-max(steps // 10, 1) :]).mean()) / plan.members


def _batch(labels: Labels, reference: Tensor, size: int, draw: torch.Generator) -> Batch:
    """This process's share of random labels; what is drawn is the same in all processes."""
    asked = torch.randperm(len(labels.answer), generator=draw)[:size]
    anchors = reference[torch.randint(len(reference), (size // ANCHORS,), generator=draw)]
    luck = torch.rand(2 * len(asked) + len(anchors), LUCK, generator=draw)
    mine = workers.share(torch.arange(len(asked)))
    worlds = torch.cat([labels.left[asked[mine]], labels.right[asked[mine]], anchors])
    lucky = torch.cat([mine, len(asked) + mine, torch.arange(2 * len(asked), len(luck))])
    return Batch(asked[mine], worlds, luck[lucky], len(asked))


def _surprise(reward: Tensor, answer: Tensor, trust: Tensor) -> Tensor:
    """Minus the log-probability of answers (n,), summed over them and members, as much as these trust them (n, M)."""
    left, right, anchors = reward.tensor_split([len(answer), 2 * len(answer)])
    middle = anchors.mean(0)
    told = log_likelihood(left - middle, right - middle, answer.to(reward.device))
    return -(told * trust.to(reward.device)).sum()
