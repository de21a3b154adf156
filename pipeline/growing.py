"""Columns that grow at their end, at the cost of what is new."""

import numpy as np

from pipeline.parts import Columns


class Growing:
    """Room for more rows than there are, of which snapshots show a part.

    What was handed out before stays as it was: new rows are written behind it, in the same memory.
    """

    def __init__(self) -> None:
        self._room: Columns = {}
        self._filled = 0

    def append(self, rows: Columns, more: Columns) -> Columns:
        """`rows`, followed by `more`. Without copying `rows`, if they are what was returned last.

        Args:
            rows: Arrays (B, …) by name.
            more: Arrays (N, …), of the same names and types.
        """
        first = next(iter(rows))
        old, filled = len(rows[first]), len(rows[first]) + len(more[first])
        at_end = bool(self._room) and rows[first].base is self._room[first] and old == self._filled
        if not at_end or filled > len(self._room[first]):
            self._room = {name: np.empty((2 * filled, *more[name].shape[1:]), more[name].dtype) for name in more}
            for name, room in self._room.items():
                room[:old] = rows[name]
        for name, room in self._room.items():
            room[old:filled] = more[name]
        self._filled = filled
        return {name: room[:filled] for name, room in self._room.items()}
