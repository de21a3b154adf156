"""Rewardors that are networks.

Each member adds to its network a random function that never learns [1]: members agree where answers have pulled them
together, and differ elsewhere. Each also trusts each answer more or less, at random [2]. Weights stay where they began
as far as answers allow, so members are, roughly, draws from the posterior of a Bayesian network [3].

[1] I. Osband, J. Aslanides, A. Cassirer. Randomized prior functions for deep reinforcement learning. 2018.
[2] D. B. Rubin. The Bayesian bootstrap. 1981.
[3] T. Pearce, F. Leibfried, A. Neely. Uncertainty in neural networks: approximately Bayesian ensembling. 2020.

Shapes: B worlds, F features, M members, N rows at a time.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from models import Labels, Rewardor, workers
from models.rewardors._descent import Plan, descend, useful

AMPLITUDE = 1.35
"""Standard deviation of rewards before the first answer, in logits: random pairs then differ by 1.9, as in `common`."""

AT_ONCE = 256
"""Worlds whose rewards are computed together."""


class Heads(nn.Module):
    """Small networks with two hidden layers, one for each member.

    Weights are standard normal and their sums divided by the root of how many there are, so that a network of any width
    is as wild as any other before it learns.

    Args:
        inputs: Numbers that go in.
        members: M.
        draw: Of the weights.
        hidden: Width of the hidden layers.
    """

    def __init__(self, inputs: int, members: int, draw: torch.Generator, hidden: int = 32) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(members, inputs, hidden, generator=draw))
        self.tilt = nn.Parameter(torch.randn(members, hidden, generator=draw))
        self.second = nn.Parameter(torch.randn(members, hidden, hidden, generator=draw))
        self.last = nn.Parameter(torch.randn(members, hidden, generator=draw))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) to (N, M)."""
        each = torch.vmap(_head, in_dims=(0, 0, 0, 0, None), out_dims=1)
        return each(self.first, self.tilt, self.second, self.last, x)


def _head(first: Tensor, tilt: Tensor, second: Tensor, last: Tensor, x: Tensor) -> Tensor:
    """One member's network: (N, inputs) to (N,)."""
    x = torch.tanh(x @ first / len(first) ** 0.5 + tilt)
    return torch.tanh(x @ second / len(second) ** 0.5) @ last / len(last) ** 0.5


class Networks(Rewardor):
    """A Rewardor whose members are networks of one form.

    Rewards are logits. Each member's mean over the reference is zero; so is, before the first answer, each world's mean
    over members. Fits on a GPU where there is one, and in several processes where somebody started them: see
    `models.workers`.

    Args:
        members: M.
        rate: Highest learning rate.
        amplitude: Standard deviation of rewards before the first answer, in logits.
    """

    parallel: ClassVar[bool] = True
    tunable: ClassVar[dict[str, tuple[float, float]]] = {"rate": (0.01, 0.3), "amplitude": (0.3, 4.0)}
    steps: ClassVar[int]
    batch: ClassVar[int]

    def __init__(self, *, members: int, rate: float, amplitude: float = AMPLITUDE) -> None:
        if members < 2:
            raise ValueError(f"members = {members}: at least 2 are needed to tell how sure a reward is")
        if rate <= 0 or amplitude <= 0:
            raise ValueError(f"rate = {rate}, amplitude = {amplitude}: both have to be above 0")
        self.members, self.rate, self.amplitude = members, rate, amplitude
        self._state: dict[str, Tensor] = {}

    @abstractmethod
    def network(self, draw: torch.Generator) -> nn.Module:
        """A network with random weights from (N, F) normalised embeddings to (N, M); its `last` ones are linear."""

    @abstractmethod
    def normal(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """What to take off embeddings, and what to divide them by, learned on the reference (B, F)."""

    def vary(self, x: Tensor, luck: Tensor) -> Tensor:
        """Views of normalised embeddings (N, F) that people would judge alike, by uniform numbers (N, LUCK)."""
        del luck
        return x

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Learn from all labels, from scratch.

        Returns:
            `loss`, in nats per answer, near the end of the descent; `spread`, the standard deviation over reference
            worlds of the mean reward; `doubt`, the mean over them of the standard deviation over members.

        Raises:
            ValueError: No world has finite features.
        """
        known = embedding.isfinite().all(1)
        chosen = reference & known if int((reference & known).sum()) > 1 else known
        if not chosen.any():
            raise ValueError("no world has finite features: there is nothing to learn from")
        workers.hand_out((embedding, labels, reference))
        rows = torch.nonzero(chosen)[:, 0]
        both = self._both(*self.normal(embedding[rows]))
        both.begin(embedding[rows], self.amplitude)
        both.to("cuda" if torch.cuda.is_available() else "cpu")

        def rewards(worlds: Tensor, luck: Tensor) -> Tensor:
            return both(self.vary(both.normalize(embedding[worlds]), luck.to(both.shift)))

        weights, plan = list(both.net.parameters()), Plan(self.members, self.steps, self.batch, self.rate)
        loss = descend(rewards, weights, useful(labels, known), rows, plan)
        both.center(embedding[rows])
        self._state = {name: value.detach().cpu().clone() for name, value in both.state_dict().items()}
        reward = self.forward(embedding[rows])
        spread, doubt = reward.mean(1).std(correction=0), reward.std(1).mean()
        return {"loss": loss, "spread": float(spread), "doubt": float(doubt)}

    def refit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Like `fit`, as sharp as the last one was made: nothing else is searched for."""
        sharpness = float(self._fitted()["sharpness"])
        metrics = self.fit(embedding, labels, reference)
        self.sharpen(sharpness)
        return metrics

    def sharpen(self, factor: float) -> float:
        """See `Rewardor.sharpen`."""
        self._state = self._fitted() | {"sharpness": torch.tensor(factor)}
        return factor

    def forward(self, embedding: Tensor) -> Tensor:
        """Rewards (B, M) in logits; NaN for embeddings that are.

        Raises:
            RuntimeError: Neither `fit` nor `load` was called.
        """
        state = self._fitted()
        both = self._both(state["shift"], state["scale"])
        both.load_state_dict(state)
        return both.to(embedding.device).rewards(embedding)

    def state(self) -> dict[str, Tensor]:
        """Normalisation, the weights that learned, those that never do, and the members' offsets."""
        return {name: value.clone() for name, value in self._state.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._state = {name: value.clone() for name, value in state.items()}

    def _fitted(self) -> dict[str, Tensor]:
        if not self._state:
            raise RuntimeError("call fit or load first: a Rewardor that has seen no worlds has no scale")
        return self._state

    def _both(self, shift: Tensor, scale: Tensor) -> "_Both":
        draw = torch.Generator().manual_seed(1)
        return _Both(self.network(draw), self.network(draw), shift, scale, self.members)


class _Both(nn.Module):
    """Networks that learn, and others of the same form that never do."""

    shift: Tensor
    scale: Tensor
    size: Tensor
    offset: Tensor
    sharpness: Tensor

    def __init__(self, net: nn.Module, still: nn.Module, shift: Tensor, scale: Tensor, members: int) -> None:
        super().__init__()
        self.net, self.still = net, still.requires_grad_(False)
        for name, value in net.named_parameters():
            if name.rpartition(".")[2] == "last":
                nn.init.zeros_(value)  # nothing is known before the first answer
        self.register_buffer("shift", shift.clone())
        self.register_buffer("scale", scale.clone())
        self.register_buffer("size", torch.ones(()))
        self.register_buffer("offset", torch.zeros(members))
        self.register_buffer("sharpness", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Rewards (N, M) of normalised embeddings (N, F)."""
        still = self.still(x)
        M = still.shape[1]
        still = (still - still.mean(1, keepdim=True)) * (M / (M - 1)) ** 0.5  # so that their mean knows nothing
        return self.sharpness * (self.size * (self.net(x) + still) - self.offset)

    def normalize(self, embedding: Tensor) -> Tensor:
        """Embeddings (N, F) in standard deviations, outliers cut."""
        return ((embedding.to(self.shift) - self.shift) / self.scale).clamp(-4, 4)

    @torch.no_grad()
    def rewards(self, embedding: Tensor) -> Tensor:
        """Rewards (B, M) of embeddings (B, F)."""
        return torch.cat([self(self.normalize(part)) for part in embedding.split(AT_ONCE)])

    def begin(self, reference: Tensor, amplitude: float) -> None:
        """Set the scale that all members share, by the reference (B, F)."""
        self.size.fill_(amplitude / self.rewards(reference).std(0, correction=0).square().mean().sqrt().clamp_min(1e-6))

    def center(self, reference: Tensor) -> None:
        """Make the mean of each member over the reference (B, F) zero."""
        self.offset.add_(self.rewards(reference).mean(0))
