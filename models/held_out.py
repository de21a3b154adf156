"""How well a Rewardor with certain options would predict answers about worlds that it has never met."""

import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

from models import Labels, Rewardor
from models.fit import fit_rewardor, take
from models.preference import LEFT, RIGHT, probability


def parts(labels: Labels, folds: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Which labels (P,) bool to learn from and which to be tested on, for each fold.

    Each label is tested once, and no world is on both sides: a label of which one world is tested is not learned from.
    So that these are few, worlds are put in an order in which those that were compared are close to each other [1],
    and this order is cut.

    [1] E. Cuthill, J. McKee. Reducing the bandwidth of sparse symmetric matrices. 1969.

    Args:
        labels: P of them.
        folds: How many.
        seed: Another one cuts elsewhere.
    """
    P = len(labels.answer)
    worlds, ends = torch.stack([labels.left, labels.right]).unique(return_inverse=True)
    W = len(worlds)
    ends = torch.randperm(W, generator=torch.Generator().manual_seed(seed))[ends]  # (2, P)
    both = torch.cat([ends, ends.flip(0)], 1).numpy()
    graph = csr_array(([1] * 2 * P, (both[0], both[1])), shape=(W, W))
    place = torch.empty(W, dtype=torch.int64)
    place[torch.from_numpy(reverse_cuthill_mckee(graph, symmetric_mode=True).copy()).long()] = torch.arange(W)
    near, far = place[ends].sort(0).values
    fold = torch.empty(P, dtype=torch.int64)
    fold[torch.argsort(near * W + far, stable=True)] = torch.arange(P) * folds // max(P, 1)
    made = []
    for k in range(folds):
        test = fold == k
        met = torch.isin(ends, ends[:, test]).any(0)
        made.append((~met, test))
    return made


def decided(labels: Labels) -> Tensor:
    """Which labels (P,) bool call one of two worlds better."""
    return labels.answer <= RIGHT


def log_losses(
    rewardor: Rewardor, embedding: Tensor, labels: Labels, reference: Tensor, split: tuple[Tensor, Tensor]
) -> Tensor:
    """What the decided answers of a test cost, in nats each; a coin flip costs 0.69.

    The Rewardor is fitted to what may be learned from as it is in use, by `fit_rewardor`: settings are searched for and
    rewards are sharpened within these labels, so nothing of it has seen what is tested.

    Args:
        rewardor: Fitted in place.
        embedding: (B, F).
        labels: P labels on rows of `embedding`.
        reference: (B,) bool.
        split: (P,) bool each, what to learn from and what to test on: one of `parts`.
    """
    learn, test = split
    fit_rewardor(rewardor, embedding, take(labels, learn), reference)
    asked = take(labels, test & decided(labels))
    chance = probability(rewardor.forward(embedding[asked.left]), rewardor.forward(embedding[asked.right]))
    return -torch.where(asked.answer == LEFT, chance, 1 - chance).clamp_min(1e-12).log()
