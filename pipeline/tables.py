"""A table: a folder of immutable parts that only ever grows.

The rows of a table are the union of its parts' rows, of which the first of each id counts. That is commutative and
idempotent, so correctness needs no lock: two writers, a retry, a replay or a stale compaction can neither lose nor
double a row. Two writers may number rows alike; these are then ordered by id, the same for every reader.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline import parts
from pipeline.growing import Growing
from pipeline.parts import DTYPES, NAME, Columns, DamagedError, Kind, Part
from pipeline.store import AnyStore

COMPACT_ABOVE = 64
"""Parts that a folder may hold before they are worth merging: each costs a reader about a millisecond once."""
FULL_ROWS = 20_000
"""Parts this long are left as they are: merging them again would cost more than it saves."""
GRACE_S = 60.0
"""How long merged parts stay, in seconds, for programs that listed the folder and have not opened its files yet."""

_PATIENCE = 10


class WidthError(ValueError):
    """Raised when the rows of a matrix are not as wide as those that are there."""


class Table:
    """One table of a profile.

    Args:
        store: Where it lies.
        folder: Its key prefix, such as "labels/".
        columns: What it holds besides `sequence`; one is called `id`.
        damaged: Told the key of a part that cannot be used, and why: a `DamagedError`, or what the disk said.
        inherited: Rows that lie elsewhere and never change; asked for once.
    """

    def __init__(
        self,
        store: AnyStore,
        folder: str,
        columns: Mapping[str, Kind],
        damaged: Callable[[str, Exception], None],
        inherited: Callable[[], Sequence[Columns]] = tuple,
    ) -> None:
        self._store = store
        self._folder = folder
        self._columns = dict(columns) | {"sequence": "int"}
        self._damaged = damaged
        self._inherit = inherited
        self._inherited: Sequence[Columns] | None = None
        self._widths: dict[str, int] = {}
        self._parts: dict[str, Part] = {}
        self._rows = _union(self._columns, [])
        self._known: set[str] = set()
        self._growing = Growing()
        self._listed: list[str] | None = None
        self._reading = threading.RLock()
        self._writing = threading.Lock()

    def read(self) -> Columns:
        """All rows in order of sequence: the very same object until a row is added. Costs one listing when idle."""
        with self._reading:
            listed = self._store.list(self._folder)
            if listed is self._listed:  # it is believed for a moment, and so is what was read then
                return self._rows
            names = self._named(listed)
            if names != list(self._parts) or self._inherited is None:
                before, inherited = self._parts, self._older()
                there = self._settle(names)
                if before and before.keys() <= there.keys():  # the common case, and it costs little
                    self._add([part.columns for name, part in there.items() if name not in before])
                else:
                    self._rows = _union(self._columns, [*inherited, *(part.columns for part in there.values())])
                    self._known = set(self._rows["id"].tolist())
                self._parts = there  # last: where there was no memory for the rows, they are still to be read
            self._listed = listed if names == list(self._parts) else None
            return self._rows

    def _add(self, news: Sequence[Columns]) -> None:
        """Rows of parts that are new."""
        if not news:
            return
        more = _union(self._columns, news)
        ids, last = more["id"].tolist(), self._rows["sequence"][-1:]
        if len(last) and (more["sequence"][:1] > last).all() and self._known.isdisjoint(ids):
            self._rows = _protect(self._columns, self._growing.append(self._rows, more))
        else:
            self._rows = _union(self._columns, [self._rows, more])
        self._known.update(ids)

    def files(self) -> dict[str, bytes]:
        """The names and bytes of parts that hold all rows of this table, inherited ones aside."""
        found: dict[str, bytes] = {}
        names: list[str] = []
        for _ in range(_PATIENCE):  # for the reason that `_settle` gives
            before, names = names, self._names()
            if names == before:
                break
            found |= {name: data for name in names if name not in found and (data := self._bytes(name)) is not None}
        return {name: data for name, data in found.items() if name in names}

    def _older(self) -> Sequence[Columns]:
        """What is inherited."""
        if self._inherited is None:
            rows = self._inherit()
            for columns in rows:
                self._fix_widths(columns)
            self._inherited = rows
        return self._inherited

    def _settle(self, names: list[str]) -> dict[str, Part]:
        """The parts that these names, or newer ones, stand for.

        While others merge, one listing may miss both a part that is being made and those that it replaces, which are
        deleted meanwhile. The next listing shows it; two that agree can have missed nothing. Where a listing is
        believed, both may be the same: merged parts stay for `GRACE_S`, and one that is gone ends belief.
        """
        found = dict(self._parts)
        for _ in range(_PATIENCE):
            for name in (name for name in names if name not in found):
                part = self._load(name)
                if part is not None:
                    found[name] = part
            before, names = names, self._names()
            if names == before:
                break
        return {name: found[name] for name in names if name in found}

    def append(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
        """Add rows for good: when this returns, they survive a power cut.

        Args:
            columns: All columns of the table, equally long. Rows whose id is there already are left out.

        Returns:
            (B,) bool, which rows were new.

        Raises:
            WidthError: The rows of a matrix are not as wide as those that are there.
            StoreError: Nothing was saved.
        """
        with self._writing:
            self.read()
            self._check_width(columns)
            ids = list(columns["id"])
            fresh = np.zeros(len(ids), bool)
            fresh[parts.first_of_each(ids)] = True
            fresh &= np.array([id_ not in self._known for id_ in ids], bool)
            if fresh.any():
                self._commit(columns, np.flatnonzero(fresh))
            return fresh

    def _commit(self, columns: Mapping[str, Sequence[Any] | np.ndarray], rows: np.ndarray) -> None:
        """Write some rows as one part, numbered after all that are there."""
        older = [int(rows["sequence"].max(initial=-1)) for rows in self._older()]
        start = max([-1, *older, *(int(name[13:25]) for name in self._names())]) + 1
        numbers = {"sequence": np.arange(start, start + len(rows))}
        picked = {name: _pick(columns[name], rows) for name in self._columns if name != "sequence"} | numbers
        name, data = parts.encode(self._columns, picked)
        self._store.put(self._folder + name, data)

    def _check_width(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
        """Refuse matrices of another width than those that are there, which the first part decides."""
        for name, there in self._widths.items():
            width = np.shape(columns[name])[1]
            if width != there:
                raise WidthError(f"{self._folder.rstrip('/')} has {there} numbers per {name}, not {width}")

    # -- merging ------------------------------------------------------------------------------------------------------

    def compact(self, *, grace_s: float = GRACE_S, above: int = COMPACT_ABOVE) -> None:
        """Merge small parts once there are many; delete merged ones a while later.

        Loses nothing, whoever else reads, writes, compacts or is killed meanwhile: the union stays the same at
        each step, and a part is deleted only when its rows were read back from the one that replaces it.

        Args:
            grace_s: How long merged parts stay, in seconds.
            above: How many parts are many.
        """
        self._store.sweep(self._folder)
        self.read()
        there = self._parts
        for name, part in there.items():
            if time.time() - part.merged_at >= grace_s:
                self._delete_replaced(name, {old: there[old] for old in part.replaces & there.keys()})
        replaced = {name for part in there.values() for name in part.replaces}
        small = [name for name in there if name not in replaced and len(there[name].columns["id"]) < FULL_ROWS]
        if len(small) > above:
            self._merge(small)

    def _merge(self, names: list[str]) -> None:
        """Write the rows of some parts as one part."""
        there = {name: data for name in names if (data := self._bytes(name)) is not None}
        if not there:
            return
        try:
            name, data = parts.merge(there)
        except DamagedError:
            with self._reading:
                self._parts = {}  # one of them rotted after it was read: the next `read` will find it
                self._listed = None
        else:
            self._store.put(self._folder + name, data)

    def _delete_replaced(self, name: str, olds: Mapping[str, Part]) -> None:
        """Delete parts whose rows are all in the part `name`, which is read again, from the disk, to be sure."""
        part = self._load(name) if olds else None
        there = set() if part is None else set(part.columns["id"].tolist())
        for old, replaced in olds.items():
            if there.issuperset(replaced.columns["id"].tolist()):
                self._store.delete(self._folder + old)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        """Names of all parts, in order."""
        return self._named(self._store.list(self._folder))

    def _named(self, keys: list[str]) -> list[str]:
        names = (key.rpartition("/")[2] for key in keys)
        return [name for name in names if name in self._parts or NAME.fullmatch(name)]

    def _load(self, name: str) -> Part | None:
        """A part; None if it is gone, or cannot be used."""
        data = self._bytes(name)
        if data is None:
            return None
        try:
            part = parts.decode(name, data, self._columns)
            self._fix_widths(part.columns)
            return part
        except (DamagedError, WidthError) as error:
            self._damaged(self._folder + name, DamagedError(str(error)))
            return None

    def _bytes(self, name: str) -> bytes | None:
        """The bytes of a part; None if it is gone, or the disk does not give it."""
        try:
            return self._store.get(self._folder + name)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._damaged(self._folder + name, error)
            return None

    def _fix_widths(self, columns: Columns) -> None:
        """Let the first part decide how wide matrices are."""
        for name in (name for name, kind in self._columns.items() if kind == "rows"):
            self._widths.setdefault(name, columns[name].shape[1])
        self._check_width(columns)


def _union(kinds: Mapping[str, Kind], all_parts: Sequence[Columns]) -> Columns:
    """The rows of all parts in order of (sequence, id), the first of each id."""
    columns = {name: _join(kind, [part[name] for part in all_parts]) for name, kind in kinds.items()}
    if (np.diff(columns["sequence"]) <= 0).any():
        columns = _take(columns, np.argsort(columns["sequence"], kind="stable"))
    if len(set(columns["id"].tolist())) < len(columns["id"]):
        columns = _take(columns, parts.first_of_each(columns["id"].tolist()))
    if (np.diff(columns["sequence"]) == 0).any():
        columns = _take(columns, np.lexsort((columns["id"], columns["sequence"])))
    return _protect(kinds, columns)


def _protect(kinds: Mapping[str, Kind], columns: Columns) -> Columns:
    """All callers share these arrays. Torch warns of read-only memory, so matrices are left writable."""
    for name, kind in kinds.items():
        columns[name].flags.writeable = kind == "rows"
    return columns


def _join(kind: Kind, arrays: list[np.ndarray]) -> np.ndarray:
    if arrays:
        return np.concatenate(arrays)
    return np.zeros((0, 0), np.float32) if kind == "rows" else np.zeros(0, DTYPES[kind])


def _take(columns: Columns, rows: np.ndarray | list[int]) -> Columns:
    return {name: array[rows] for name, array in columns.items()}


def _pick(values: Sequence[Any] | np.ndarray, rows: np.ndarray) -> Sequence[Any] | np.ndarray:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]
