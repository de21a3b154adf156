"""The Rewardor for any simulation: fixed features of a clip and a Gaussian process that learns from few labels."""

import math

import torch
from torch import Tensor

from models import Labels, Rewardor
from models.preference import LEFT, MARGIN, NEITHER, NOISE, RIGHT, SKIP
from models.rewardors._features import FAMILIES, F, describe
from models.rewardors._gaussian_process import Mode, Told, find_mode, learn_amplitudes
from models.rewardors._kernels import Kernels

ANCHORS = 512
PRIOR = (math.log(3.5), 1.0, 1.5)  # random pairs then differ by 1.9 logits, as people's answers do
TUNED_ON = 400
JITTER = 1e-6


class Common(Rewardor):
    """A preference Gaussian process on fixed spatio-temporal features, one sum of kernels per feature family.

    Rewards are logits: a world one unit above another is called better three times in four, ties aside. With few labels
    they shrink to zero rather than grow. The mean over members is the posterior mean, their covariance estimates the
    posterior's, and the mean reward of the reference worlds is zero for every member.

    Args:
        members: Number M of functions drawn from the posterior.
    """

    version = 1

    def __init__(self, *, members: int = 32) -> None:
        if members < 2:
            raise ValueError(f"members = {members}: at least 2 are needed to tell how sure a reward is")
        self.members = members
        self._state: dict[str, Tensor] = {}

    def embed(self, clip: Tensor) -> Tensor:
        # one clip at a time: its numbers are then the same to the last bit whatever else is in the batch
        rows = [describe(row) for row in clip.cpu()]
        return torch.stack(rows).to(clip.device) if rows else torch.zeros(0, F)

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        return self._fit(embedding, labels, reference, None)

    def refit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Like `fit`, but with the amplitudes of the last one: cheaper, for cross-validation."""
        return self._fit(embedding, labels, reference, self._state["amplitude"])

    def _fit(
        self, embedding: Tensor, labels: Labels, reference: Tensor, amplitude: Tensor | None
    ) -> dict[str, float]:
        embedding = embedding.double()
        usable = embedding.isfinite().all(1)
        rows = torch.nonzero(reference & usable)[:, 0]
        if len(rows) < 2:
            rows = torch.nonzero(usable)[:, 0]
        kernels = Kernels.learn(embedding[rows], FAMILY_SLICES)
        left, right, answer = _sorted(labels, usable)
        first, second, told = _functionals(left, right, answer)
        labelled = torch.unique(torch.cat([left, right]))
        spare = rows[~torch.isin(rows, labelled)]
        keep = min(len(labelled), ANCHORS - min(len(spare), ANCHORS // 4))
        labelled = labelled[torch.linspace(0, len(labelled) - 1, keep).round().long()] if keep else labelled
        anchor = kernels.normalize(embedding[torch.cat([labelled, spare[: ANCHORS - keep]])])
        center = kernels.normalize(embedding[rows])
        x = kernels.normalize(embedding[first]), kernels.normalize(embedding[second.clamp_min(0)])
        if amplitude is None:
            amplitude = self._learn(kernels, x, second >= 0, told)
        kernel = kernels.mix(anchor, anchor, amplitude)
        kernel.diagonal().add_(JITTER * kernel.diagonal().mean())
        factor = torch.linalg.cholesky(kernel)

        def phi(z: Tensor) -> Tensor:
            return torch.linalg.solve_triangular(factor, kernels.mix(anchor, z, amplitude), upper=False).T

        middle = phi(center).mean(0)
        g = phi(x[0]) - torch.where((second >= 0)[:, None], phi(x[1]), middle)
        mode = find_mode(g @ g.T, told)
        weights = _draws(g, mode, self.members)
        weight = torch.linalg.solve_triangular(factor.T, weights, upper=True).contiguous()
        self._state = {
            **kernels.state(),
            "amplitude": amplitude,
            "anchor": anchor,
            "weight": weight,
            "offset": middle @ weights,
        }
        return {"evidence": mode.evidence, "labels": float(len(answer)), "spread": float((phi(center) @ weights).mean(1).std())}

    def _learn(self, kernels: Kernels, x: tuple[Tensor, Tensor], paired: Tensor, told: Told) -> Tensor:
        J = len(kernels.unit)
        if not len(told.sign):
            return torch.full((J,), math.exp(PRIOR[0]) / J, dtype=torch.float64)
        both = torch.cat(x)
        n = len(x[0])
        stack = []
        for k in kernels.each(both, both):
            stack.append(k[:n, :n] - k[:n, n:] - k[n:, :n] + k[n:, n:])
        return learn_amplitudes(torch.stack(stack), told, PRIOR)

    def forward(self, embedding: Tensor) -> Tensor:
        if not self._state:
            raise RuntimeError("call fit or load first: a Rewardor that has seen no worlds has no scale")
        s = self._state
        kernels = Kernels(s["shift"], s["scale"], s["distance"], s["unit"], FAMILY_SLICES)
        z = kernels.normalize(embedding)
        return (kernels.mix(z, s["anchor"], s["amplitude"]) @ s["weight"] - s["offset"]).float()

    def state(self) -> dict[str, Tensor]:
        return dict(self._state)

    def load(self, state: dict[str, Tensor]) -> None:
        self._state = dict(state)


FAMILY_SLICES = tuple(FAMILIES.values())


def _sorted(labels: Labels, usable: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Left, right and answer of the labels that train, in an order and with sides that do not depend on how they came."""
    keep = (labels.answer != SKIP) & usable[labels.left] & usable[labels.right] & (labels.left != labels.right)
    left, right, answer = labels.left[keep], labels.right[keep], labels.answer[keep]
    swap = left > right
    left, right = torch.where(swap, right, left), torch.where(swap, left, right)
    turned = torch.where(answer == LEFT, RIGHT, torch.where(answer == RIGHT, LEFT, answer))
    answer = torch.where(swap, turned, answer)
    size = int(right.max()) + 1 if len(right) else 1
    order = torch.argsort((left * size + right) * 8 + answer)
    return left[order], right[order], answer[order]


def _functionals(left: Tensor, right: Tensor, answer: Tensor) -> tuple[Tensor, Tensor, Told]:
    """What was told about f(first) - f(second); second is -1 where it is the mean of the reference."""
    neither = answer == NEITHER
    below = torch.cat([left[neither], right[neither]])
    sign = (answer == LEFT).double() - (answer == RIGHT).double()
    decisive = torch.ones_like(sign)
    none = torch.zeros_like(below, dtype=torch.float64)
    told = Told(
        torch.cat([sign, none - 1]), torch.cat([MARGIN * decisive, none]), torch.cat([NOISE * decisive, none]), MARGIN
    )
    return torch.cat([left, below]), torch.cat([right, torch.full_like(below, -1)]), told


def _draws(g: Tensor, mode: Mode, members: int) -> Tensor:
    """(R, M) weights whose mean over members is the posterior mean, and whose covariance estimates the posterior's.

    Matheron's rule: a draw from the prior, corrected by what the answers say of it.
    """
    random = torch.Generator().manual_seed(0)
    prior = torch.randn(g.shape[1], members, generator=random, dtype=g.dtype)
    noise = torch.randn(g.shape[0], members, generator=random, dtype=g.dtype)
    prior, noise = prior - prior.mean(1, keepdim=True), noise - noise.mean(1, keepdim=True)
    if not len(g):
        return prior
    told = mode.explain(g @ prior) + mode.root[:, None] * torch.cholesky_solve(noise, mode.factor)
    return (g.T @ mode.dual)[:, None] + prior - g.T @ told
