"""What a Rewardor is: from a clip to how much people would like it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from torch import Tensor

Answer: TypeAlias = Literal["left", "right", "tie", "neither", "skip"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)


@dataclass(frozen=True)
class Labels:
    """What people answered.

    Attributes:
        left: (P,) int64, rows of the embedding shown left.
        right: (P,) int64, rows shown right.
        answer: (P,) int64, indices into `ANSWERS`.
        labeler: (P,) int64, one number per person.
    """

    left: Tensor
    right: Tensor
    answer: Tensor
    labeler: Tensor


class Rewardor(ABC):
    """A reward for each clip, from each of M ensemble members.

    Only differences of rewards within a member mean anything: pairs identify a reward up to a constant.

    Attributes:
        version: Raised whenever `embed` changes: old embeddings are then made again.
        tunable: Options of the constructor that `alife tune` may try, each with its lowest and highest value, above 0:
            it searches evenly in the logarithm, and among whole numbers where both are. They never change `embed`.
        members: M, at least 1.
        caution: What `score` takes off the mean, in standard deviations over members.
    """

    version: ClassVar[int]
    tunable: ClassVar[Mapping[str, tuple[float, float]]] = {}
    members: int
    caution: float = 0.0

    @abstractmethod
    def embed(self, clip: Tensor) -> Tensor:
        """What is kept of clips (B, T, H, W, 3) uint8: (B, F) float32. Deterministic; needs no `fit`."""

    @abstractmethod
    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Learn from all labels, from scratch; returns numbers worth plotting.

        Args:
            embedding: (B, F).
            labels: Rows of `embedding`, with answers. Skipped pairs never train.
            reference: (B,) bool, the worlds on which normalisation is learned and members are centred.
        """

    def refit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """Learn from all labels with the settings that the last `fit` found, or `load` brought back; like `fit`.

        This is what happens after each answer, and for each held-out part, while people wait; `fit` follows now and
        then. The result may depend on the settings, never on the labels that were known before. By default it is `fit`.
        """
        return self.fit(embedding, labels, reference)

    def sharpen(self, factor: float) -> float:
        """Multiply all rewards by a factor, until the next `fit`, so that chances made from them come true.

        Returns:
            By how much they were multiplied: 1 by default, where nothing is.
        """
        del factor
        return 1.0

    @abstractmethod
    def forward(self, embedding: Tensor) -> Tensor:
        """Rewards (B, M) of embeddings (B, F): member m is one function, the same in every call until the next fit."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that `forward` needs after a `fit`, as contiguous tensors."""

    @abstractmethod
    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""

    def score(self, embedding: Tensor) -> Tensor:
        """What the Generator climbs, (B,): the mean over members minus `caution` standard deviations."""
        reward = self.forward(embedding)
        if self.caution == 0:
            return reward.mean(1)
        return reward.mean(1) - self.caution * reward.std(1)
