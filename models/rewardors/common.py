"""The Rewardor for any simulation: fixed features of a clip and a Gaussian process that learns from few labels."""

import math

import torch
from torch import Tensor

from models import Labels, Rewardor
from models.rewardors._answers import Questions, understand
from models.rewardors._features import FAMILIES, F, describe
from models.rewardors._gaussian_process import TOTAL, learn_amplitudes
from models.rewardors._kernels import Kernels
from models.rewardors._posterior import draw_members

TUNED_ON = 400
"""Answers from which amplitudes are learned: more take long and change little."""


class Common(Rewardor):
    """A preference Gaussian process on fixed spatio-temporal features, with kernels of their own for each family.

    Rewards are logits: of two worlds one unit apart the better one is preferred almost three times as often, ties
    aside. With few labels they shrink to zero rather than grow. The mean over members is the posterior mean exactly,
    their covariance estimates the posterior's, and each member's mean over the reference worlds is zero. Without labels
    members are draws from the prior and scores are zero.

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
        """Features (B, F) float32 of clips (B, T, H, W, 3) uint8, to the last bit the same in any batch."""
        # one clip at a time: sums may be taken in another order in a larger batch, and one clip fits the cache
        with torch.inference_mode():  # a twelfth faster; what leaves it is copied, for others may want gradients
            rows = [describe(row) for row in clip.cpu()]
        return torch.stack(rows).to(clip.device) if rows else torch.zeros(0, F, device=clip.device)

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Learn from all labels, from scratch; how much each family of features matters is learned too.

        Returns:
            `spread`, the standard deviation over reference worlds of the mean reward; `doubt`, the mean over them of
            the standard deviation over members; `weight_*`, how much each family of features explains.
        """
        return self._fit(embedding, labels, reference, None)

    def refit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Like `fit`, but with the weights of families that the last fit found: cheaper, for cross-validation."""
        return self._fit(embedding, labels, reference, self._fitted()["amplitude"])

    def forward(self, embedding: Tensor) -> Tensor:
        """Rewards (B, M) in logits; NaN for embeddings that are.

        Raises:
            RuntimeError: Neither `fit` nor `load` was called.
        """
        s = self._fitted()
        kernels = Kernels(s["shift"], s["scale"], s["distance"], s["unit"], SLICES)
        z = kernels.normalize(embedding)
        return (kernels.mix(z, s["anchor"], s["amplitude"]) @ s["weight"] - s["offset"]).float()

    def state(self) -> dict[str, Tensor]:
        """Normalisation, amplitudes, and the anchors with the weights of each member."""
        return {name: value.clone() for name, value in self._state.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._state = {name: value.clone() for name, value in state.items()}

    def _fitted(self) -> dict[str, Tensor]:
        if not self._state:
            raise RuntimeError("call fit or load first: a Rewardor that has seen no worlds has no scale")
        return self._state

    def _fit(self, embedding: Tensor, labels: Labels, reference: Tensor, amplitude: Tensor | None) -> dict[str, float]:
        usable = embedding.isfinite().all(1)
        chosen = reference & usable if int((reference & usable).sum()) > 1 else usable
        if not chosen.any():
            raise ValueError("no world has finite features: there is nothing to learn from")
        questions, rows = understand(labels, usable), torch.nonzero(chosen)[:, 0]
        kernels = Kernels.learn(embedding[rows].double(), SLICES)
        z = kernels.normalize(embedding)
        if amplitude is None:
            amplitude = _learn(kernels, z, questions, z[rows].mean(0))
        drawn = draw_members(lambda a, b: kernels.mix(a, b, amplitude), z, questions, rows, self.members)
        self._state = {**kernels.state(), "amplitude": amplitude, **drawn}
        reward = self.forward(embedding[rows])
        return {
            "spread": float(reward.mean(1).std(correction=0)),
            "doubt": float(reward.std(1).mean()),
            **_shares(amplitude),
        }


SLICES = tuple(FAMILIES.values())


def _shares(amplitude: Tensor) -> dict[str, float]:
    """How much of the difference between worlds each family is believed to explain."""
    share = amplitude.view(len(FAMILIES), -1).sum(1) / amplitude.sum()
    return {f"weight_{name}": value for name, value in zip(FAMILIES, share.tolist(), strict=True)}


def _learn(kernels: Kernels, z: Tensor, questions: Questions, middle: Tensor) -> Tensor:
    """Amplitudes (J,); equal ones if nothing was asked. A world of mean features (F,) stands in for the middle."""
    J, m = len(kernels.unit), len(questions.first)
    if m == 0:
        return torch.full((J,), math.exp(TOTAL[0]) / J, dtype=z.dtype)
    if m > TUNED_ON:
        questions, m = questions[torch.linspace(0, m - 1, TUNED_ON).long()], TUNED_ON
    second = torch.where(questions.second[:, None] >= 0, z[questions.second], middle)
    both = torch.cat([z[questions.first], second])
    stack = [k[:m, :m] - k[:m, m:] - k[m:, :m] + k[m:, m:] for k in kernels.each(both, both)]
    return learn_amplitudes(torch.stack(stack), questions.told)
