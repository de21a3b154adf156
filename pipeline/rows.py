"""What the tables of a profile hold: one class per table, one array per column."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from pipeline.parts import Floats, Ints, Rows, Texts

ANSWERS = ("left", "right", "tie", "neither", "skip")
PROGRAM = "oracle"
"""Labels a profile where nobody is there: it sees clips, and needs no films."""


class Snapshot:
    """A table as it was at one moment: a frozen dataclass of columns, equally long. Nobody changes their values."""

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray]) -> Self:
        """A table made of some of these columns."""
        return cls(**{each.name: columns[each.name] for each in fields(cls)})  # type: ignore[arg-type]

    def columns(self) -> dict[str, np.ndarray]:
        """The columns by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]

    def where(self, rows: np.ndarray) -> Self:
        """Some rows: those where a (B,) bool is true, or those that integers number, in that order."""
        return self.of({name: values[rows] for name, values in self.columns().items()})


@dataclass(frozen=True)
class RolloutTable(Snapshot):
    """Simulated worlds, in order of block and of position in it.

    Attributes:
        id: (B,) what `Profile.rollout_id` says.
        block: (B,) the block that they were asked for in.
        unit: (B, D) in [0, 1].
        seed: (B,) fixes the start.
        status: (B,) alive, dead, exploded, frozen or failed.
        origin: (B,) prior, generator or browse.
        generator: (B,) version that proposed them, -1 for the prior.
        time: (B,) seconds since 1970.
        error: (B,) why a rollout failed, else "".
    """

    id: Texts
    block: Ints
    unit: Rows
    seed: Ints
    status: Texts
    origin: Texts
    generator: Ints
    time: Floats
    error: Texts

    @classmethod
    def in_order(cls, columns: Mapping[str, np.ndarray]) -> Self:
        """Worlds in order of (block, position), a column of its own."""
        return cls.of(columns).where(np.lexsort((columns["position"], columns["block"])))


@dataclass(frozen=True)
class EmbeddingTable(Snapshot):
    """What a Rewardor keeps of clips.

    Attributes:
        rollout: (B,) whose frames.
        source: (B,) hash of the frames.
        values: (B, F).
    """

    rollout: Texts
    source: Texts
    values: Rows


@dataclass(frozen=True)
class FilmTable(Snapshot):
    """Films that people see.

    Attributes:
        rollout: (B,) whose film.
        file: (B,) its name in the profile.
        source: (B,) hash of its frames as programs see them.
        frames: (B,) how many.
        fps: (B,) how many a second.
        size: (B,) side, in pixels.
    """

    rollout: Texts
    file: Texts
    source: Texts
    frames: Ints
    fps: Floats
    size: Ints


@dataclass(frozen=True)
class EventTable(Snapshot):
    """What happened, for people who want to know why.

    Attributes:
        kind: (B,) one word, such as error.
        text: (B,) a line.
        time: (B,) seconds since 1970.
    """

    kind: Texts
    text: Texts
    time: Floats


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One answer to one pair. Fields as in `LabelTable`.

    Raises:
        ValueError: There is no such answer, a text is not Unicode, or a number is out of range.
    """

    id: str
    left: str
    right: str
    answer: str
    labeler: str
    question: str = ""
    left_source: str = ""
    right_source: str = ""
    response_ms: int = -1
    replays: int = 0
    how: str = ""
    probability: float = 1.0
    rewardor: int = -1
    generator: int = -1
    time: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        """Refuse what could not be stored or learned from: votes are stored together, one must not spoil the rest."""
        if self.answer not in ANSWERS:
            raise ValueError(f'"{self.answer}" is not an answer; there are: {", ".join(ANSWERS)}')
        for name, value in vars(self).items():
            if isinstance(value, str):
                value.encode()
            elif abs(value) >= 2**63:
                raise ValueError(f"{name} is {value}, out of range")


@dataclass(frozen=True)
class LabelTable(Snapshot):
    """What people answered, in order of sequence.

    Attributes:
        id: (P,) hash of the signed assignment.
        event: (P,) vote, undo, exclude or include: the last two say whether a person's votes count.
        target: (P,) id of the vote that is undone, or the labeler that is excluded or included, else "".
        question: (P,) what was asked.
        left: (P,) rollout shown left.
        right: (P,) rollout shown right.
        left_source: (P,) hash of the frames shown left.
        right_source: (P,) hash of the frames shown right.
        answer: (P,) left, right, tie, neither or skip.
        labeler: (P,) who.
        response_ms: (P,) milliseconds from sight to answer, -1 if unknown.
        replays: (P,) how often the films had started again.
        how: (P,) how the pair was chosen.
        probability: (P,) with what probability.
        rewardor: (P,) version that chose it, -1 for none.
        generator: (P,) newest version then, -1 for none.
        time: (P,) seconds since 1970.
        sequence: (P,) order.
    """

    id: Texts
    event: Texts
    target: Texts
    question: Texts
    left: Texts
    right: Texts
    left_source: Texts
    right_source: Texts
    answer: Texts
    labeler: Texts
    response_ms: Ints
    replays: Ints
    how: Texts
    probability: Floats
    rewardor: Ints
    generator: Ints
    time: Floats
    sequence: Ints

    @staticmethod
    def excluded(columns: Mapping[str, np.ndarray]) -> set[str]:
        """Whose votes do not count."""
        rows = np.flatnonzero((columns["event"] == "exclude") | (columns["event"] == "include"))
        last = dict(zip(columns["target"][rows].tolist(), columns["event"][rows].tolist(), strict=True))
        return {labeler for labeler, event in last.items() if event == "exclude"}


@dataclass(frozen=True)
class Saved:
    """A world that somebody kept.

    Attributes:
        rollout: Its id.
        params: What was saved with it: parameters in physical units, and whatever else.
    """

    rollout: str
    params: dict[str, Any]
