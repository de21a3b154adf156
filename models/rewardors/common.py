"""The Rewardor for any simulation: fixed features of a clip and a Gaussian process that learns from few labels."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from models import Labels, Rewardor
from models.rewardors._answers import Questions, understand
from models.rewardors._features import FAMILIES, F, describe
from models.rewardors._gaussian_process import SHARE, TOTAL, learn
from models.rewardors._kernels import Kernels
from models.rewardors._labelers import MANNER, Manner, opposites, size, surprise
from models.rewardors._posterior import draw_members

TUNED_ON = 400
"""Answers from which amplitudes are learned: more take long and change little."""


ONE = torch.ones((), dtype=torch.float64)


class Common(Rewardor):
    """A preference Gaussian process on fixed spatio-temporal features, with kernels of their own for each family.

    Rewards are logits: of two worlds one unit apart the better one is preferred almost three times as often, ties
    aside. With few labels they shrink to zero rather than grow. The mean over members is the posterior mean exactly,
    their covariance estimates the posterior's, and each member's mean over the reference worlds is zero. Without labels
    members are draws from the prior and scores are zero.

    Args:
        members: Number M of functions drawn from the posterior.
        variance: Of how much better one world is than another before the first answer, in squared logits: the prior's
            median, for it is learned.
        focus: How unequally families may matter: the deviation of the logarithm of how much one does.
    """

    version = 2
    tunable: ClassVar[dict[str, tuple[float, float]]] = {"variance": (0.5, 25.0), "focus": (0.4, 4.0)}

    def __init__(self, *, members: int = 32, variance: float = TOTAL, focus: float = SHARE) -> None:
        if members < 2:
            raise ValueError(f"members = {members}: at least 2 are needed to tell how sure a reward is")
        if variance <= 0 or focus <= 0:
            raise ValueError(f"variance = {variance}, focus = {focus}: both have to be above 0")
        self.members, self.variance, self.focus = members, variance, focus
        self._state: dict[str, Tensor] = {}

    def embed(self, clip: Tensor) -> Tensor:
        """Features (B, F) float32 of clips (B, T, H, W, 3) uint8, to the last bit the same in any batch."""
        # one clip at a time: sums may be taken in another order in a larger batch, and one clip fits the cache
        with torch.inference_mode():  # a twelfth faster; what leaves it is copied, for others may want gradients
            rows = [describe(row) for row in clip.cpu()]
        return torch.stack(rows).to(clip.device) if rows else torch.zeros(0, F, device=clip.device)

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Learn from all labels, from scratch, also how much each family of features matters and how people answer.

        Returns:
            `spread`, the standard deviation over reference worlds of the mean reward; `doubt`, the mean over them of
            the standard deviation over members, both before rewards are sharpened; `weight_*`, how much each family of
            features explains; `margin`, and for each labeler N `reliability_N`, `side_bias_N` and `lapses_N`: `Manner`.
        """
        usable, rows = _split(embedding, reference)
        kernels = Kernels.learn(embedding[rows].double(), SLICES)
        z, questions = kernels.normalize(embedding), understand(labels, usable)
        amplitude, manner = _learn(kernels, z, questions, z[rows].mean(0), (self.variance, self.focus))
        return self._draw(kernels, amplitude, manner, z, questions, rows, ONE.to(z))

    def refit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Like `fit`, with everything but the answers as the last `fit` found it, and from the last solution.

        So it is much faster, and the same to 1e-5 from whichever solution it starts.

        Raises:
            RuntimeError: Neither `fit` nor `load` was called.
        """
        s, (usable, rows) = self._fitted(), _split(embedding, reference)
        kernels, manner = self._kernels(), Manner(*[s[name] for name in MANNER])
        z, questions = kernels.normalize(embedding), understand(labels, usable)
        return self._draw(kernels, s["amplitude"], manner, z, questions, rows, s["sharpness"], self._mean)

    def forward(self, embedding: Tensor) -> Tensor:
        """Rewards (B, M) in logits; NaN for embeddings that are.

        Raises:
            RuntimeError: Neither `fit` nor `load` was called.
        """
        s, kernels = self._fitted(), self._kernels()
        z = kernels.normalize(embedding)
        return ((kernels.mix(z, s["anchor"], s["amplitude"]) @ s["weight"] - s["offset"]) * s["sharpness"]).float()

    def state(self) -> dict[str, Tensor]:
        """Normalisation, amplitudes, how people answer, and the anchors with the weights of each member."""
        return {name: value.clone() for name, value in self._state.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._state = {"sharpness": ONE} | {name: value.clone() for name, value in state.items()}

    def sharpen(self, factor: float) -> float:
        """Multiply all rewards by a factor, until the next `fit`; returns it."""
        self._state = self._fitted() | {"sharpness": factor * ONE}
        return factor

    def _fitted(self) -> dict[str, Tensor]:
        if not self._state:
            raise RuntimeError("call fit or load first: a Rewardor that has seen no worlds has no scale")
        return self._state

    def _kernels(self) -> Kernels:
        s = self._fitted()
        return Kernels(s["shift"], s["scale"], s["distance"], s["unit"], SLICES)

    def _mean(self, z: Tensor) -> Tensor:
        """The mean (n,) over members at normalised features, up to a constant and before it is sharpened."""
        s = self._fitted()
        return self._kernels().mix(z, s["anchor"], s["amplitude"]) @ s["weight"].mean(1)

    def _draw(
        self,
        kernels: Kernels,
        amplitude: Tensor,
        manner: Manner,
        z: Tensor,
        questions: Questions,
        rows: Tensor,
        sharpness: Tensor,
        last: Callable[[Tensor], Tensor] | None = None,
    ) -> dict[str, float]:
        manner = manner.extend(1 + int(questions.labeler.max()) if len(questions.labeler) else 1)
        kernel = partial(kernels.mix, amplitude=amplitude)
        drawn = draw_members(kernel, z, questions, manner, rows, self.members, last)
        learned = {"amplitude": amplitude, "sharpness": sharpness, **manner.state()}
        self._state = {**kernels.state(), **learned, **drawn}
        reward = kernel(z[rows], drawn["anchor"]) @ drawn["weight"] - drawn["offset"]
        return {
            "spread": float(reward.mean(1).std(correction=0)),
            "doubt": float(reward.std(1).mean()),
            **_shares(amplitude),
            **manner.metrics(),
        }


SLICES = tuple(FAMILIES.values())


def _shares(amplitude: Tensor) -> dict[str, float]:
    """How much of the difference between worlds each family is believed to explain."""
    share = amplitude.view(len(FAMILIES), -1).sum(1) / amplitude.sum()
    return {f"weight_{name}": value for name, value in zip(FAMILIES, share.tolist(), strict=True)}


def _split(embedding: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Which worlds (B,) can be used at all, and the rows of the reference."""
    usable = embedding.isfinite().all(1)
    chosen = reference & usable if int((reference & usable).sum()) > 1 else usable
    if not chosen.any():
        raise ValueError("no world has finite features: there is nothing to learn from")
    return usable, torch.nonzero(chosen)[:, 0]


def _learn(
    kernels: Kernels, z: Tensor, questions: Questions, middle: Tensor, prior: tuple[float, float]
) -> tuple[Tensor, Manner]:
    """Amplitudes (J,) and how people answer; equal and as usual if nothing was asked.

    A world of mean features (F,) stands in for the middle. The prior is `variance` and `focus`.
    """
    J, m = len(kernels.unit), len(questions.first)
    if m == 0:
        return torch.full((J,), prior[0] / J).to(z), Manner.unpack(torch.zeros(size(1)).to(z))
    labelers = 1 + int(questions.labeler.max())
    if m > TUNED_ON:
        questions, m = questions[torch.linspace(0, m - 1, TUNED_ON).long()], TUNED_ON
    second = torch.where(questions.second[:, None] >= 0, z[questions.second], middle)
    both = torch.cat([z[questions.first], second])
    stack = torch.stack([k[:m, :m] - k[:m, m:] - k[m:, :m] + k[m:, m:] for k in kernels.each(both, both)])
    code = torch.zeros(size(labelers))
    amplitude, code = learn(stack, lambda code: questions.told(Manner.unpack(code)), surprise, code, opposites, *prior)
    return amplitude, Manner.unpack(code)
