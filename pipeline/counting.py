"""Which votes count, kept at the cost of what is new."""

import numpy as np

from pipeline.growing import Growing
from pipeline.parts import Columns
from pipeline.rows import LabelTable


class Counting:
    """The votes that were not undone, of people who were not excluded, or were included again.

    While people only vote, each snapshot of what they did costs what it has more than the one before.
    """

    def __init__(self) -> None:
        self._seen: Columns = {}
        self._votes: Columns = {}
        self._growing = Growing()
        self._undone: set[str] = set()
        self._out: set[str] = set()

    def of(self, columns: Columns) -> LabelTable:
        """The votes that count among all that labelers did, columns (P,) of a `LabelTable`, in the same order."""
        seen = self._prefix(columns)
        if seen and (columns["event"][seen:] == "vote").all():
            more = {name: values[seen:] for name, values in columns.items()}
            self._votes = self._growing.append(self._votes, self._counted(more))
        else:
            self._undone = set(columns["target"][columns["event"] == "undo"].tolist())
            self._out = LabelTable.excluded(columns)
            self._votes = self._counted(columns)
        for values in self._votes.values():
            values.flags.writeable = False  # later snapshots share this memory
        self._seen = columns
        return LabelTable.of(self._votes)

    def _prefix(self, columns: Columns) -> int:
        """How many rows are those that were seen before: they begin in the same memory, which only grows at its end."""
        if not self._seen or (memory := columns["id"].base) is None or memory is not self._seen["id"].base:
            return 0
        seen = len(self._seen["id"])
        return seen if seen <= len(columns["id"]) else 0

    def _counted(self, columns: Columns) -> Columns:
        """Those votes among rows that count."""
        votes = np.flatnonzero(columns["event"] == "vote")
        if self._undone:
            votes = votes[[id_ not in self._undone for id_ in columns["id"][votes].tolist()]]
        if self._out:
            votes = votes[[labeler not in self._out for labeler in columns["labeler"][votes].tolist()]]
        everything = len(votes) == len(columns["id"])
        return columns if everything else {name: values[votes] for name, values in columns.items()}
