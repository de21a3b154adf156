"""A table: a folder of immutable Parquet parts, and the only code that reads or writes Parquet.

The rows of a table are the union of its parts' rows, of which the first of each id counts. That is commutative and
idempotent, so correctness needs no lock: two writers, a retry, a replay or a stale compaction can neither lose nor
double a row. A part is named `FIRST-LAST-HASH.parquet` after the sequence numbers of its rows and its own bytes.
Two writers may number rows alike; these are then ordered by id, the same for every reader.
"""

import hashlib
import io
import operator
import re
import sys
import threading
import time
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.store import Store

Kind: TypeAlias = Literal["text", "int", "float", "rows"]
Texts: TypeAlias = Annotated[np.ndarray, "text"]
"""(B,) str."""
Ints: TypeAlias = Annotated[np.ndarray, "int"]
"""(B,) int64."""
Floats: TypeAlias = Annotated[np.ndarray, "float"]
"""(B,) float64."""
Rows: TypeAlias = Annotated[np.ndarray, "rows"]
"""(B, D) float32."""

Columns: TypeAlias = dict[str, np.ndarray]

SCHEMA_VERSION = 1
COMPACT_ABOVE = 64
"""Parts that a folder may hold before they are worth merging: each costs a reader about a millisecond once."""
LONG_ROWS = 256
"""Parts this long have dictionaries and statistics, which make a short one larger and slower."""
FULL_ROWS = 20_000
"""Parts this long are left as they are: merging them again would cost more than it saves."""
GRACE_S = 60.0
"""How long merged parts stay, in seconds, for programs that listed the folder and have not opened its files yet."""

_PATIENCE = 10
_NAME = re.compile(r"(\d{12})-(\d{12})-([0-9a-f]{16})\.parquet")
_ARROW = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "rows": pa.list_(pa.float32())}


class DamagedError(Exception):
    """Raised when bytes are not those that were written."""


class WidthError(ValueError):
    """Raised when the rows of a matrix are not as wide as those that are there."""


@dataclass(frozen=True)
class _Part:
    """A part in memory.

    Attributes:
        columns: The known columns, as arrays.
        replaces: Names of the parts that it merged.
        merged_at: When it merged them, in seconds since 1970; 0 if it did not.
    """

    columns: Columns
    replaces: frozenset[str]
    merged_at: float


def kinds(row_type: type) -> dict[str, Kind]:
    """The columns of a dataclass whose fields are annotated `Texts`, `Ints`, `Floats` or `Rows`."""
    hints = typing.get_type_hints(row_type, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


class Table:
    """One table of a profile.

    Args:
        store: Where it lies.
        folder: Its key prefix, such as "labels/".
        columns: What it holds besides `sequence`; one is called `id`.
        damaged: Told the key of a part that cannot be used, and why: a `DamagedError`, or what the disk said.
    """

    def __init__(
        self, store: Store, folder: str, columns: Mapping[str, Kind], damaged: Callable[[str, Exception], None]
    ) -> None:
        self._store = store
        self._folder = folder
        self._columns = dict(columns) | {"sequence": "int"}
        self._damaged = damaged
        self._widths: dict[str, int] = {}
        self._parts: dict[str, _Part] = {}
        self._rows = _union(self._columns, [])
        self._known: set[str] = set()
        self._reading = threading.RLock()
        self._writing = threading.Lock()

    def read(self) -> Columns:
        """All rows in order of sequence: the very same object until a row is added. Costs one listing when idle."""
        with self._reading:
            names = self._names()
            if names != list(self._parts):
                self._parts = self._settle(names)
                self._rows = _union(self._columns, list(self._parts.values()))
                self._known = set(self._rows["id"].tolist())
            return self._rows

    def _settle(self, names: list[str]) -> dict[str, _Part]:
        """The parts that these names, or newer ones, stand for.

        While others merge, one listing may miss both a part that is being made and those that it replaces, which are
        deleted meanwhile. The next listing shows it; two that agree can have missed nothing.
        """
        parts = dict(self._parts)
        for _ in range(_PATIENCE):
            for name in (name for name in names if name not in parts):
                part = self._load(name)
                if part is not None:
                    parts[name] = part
            before, names = names, self._names()
            if names == before:
                break
        return {name: parts[name] for name in names if name in parts}

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
            fresh[_first_of_each(ids)] = True
            fresh &= [id_ not in self._known for id_ in ids]
            if fresh.any():
                self._commit(columns, np.flatnonzero(fresh))
            return fresh

    def _commit(self, columns: Mapping[str, Sequence[Any] | np.ndarray], rows: np.ndarray) -> None:
        """Write some rows as one part, numbered after all that are there."""
        start = max((int(name[13:25]) for name in self._names()), default=-1) + 1
        numbers = {"sequence": np.arange(start, start + len(rows))}
        picked = {name: _pick(columns[name], rows) for name in self._columns if name != "sequence"} | numbers
        self._put(pa.table({name: _to_arrow(kind, picked[name]) for name, kind in self._columns.items()}))

    def _put(self, table: pa.Table) -> str:
        data = _encode(table)
        numbers = table["sequence"].to_pylist()
        name = f"{min(numbers):012d}-{max(numbers):012d}-{_digest(data)}.parquet"
        self._store.put(self._folder + name, data)
        return name

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
        parts = self._parts
        for name, part in parts.items():
            if time.time() - part.merged_at >= grace_s:
                self._delete_replaced(name, {old: parts[old] for old in part.replaces & parts.keys()})
        replaced = {name for part in parts.values() for name in part.replaces}
        small = [name for name in parts if name not in replaced and len(parts[name].columns["id"]) < FULL_ROWS]
        if len(small) > above:
            self._merge(small)

    def _merge(self, names: list[str]) -> None:
        """Write the union of some parts as one part, columns that this version does not know included."""
        tables = {name: table for name in names if (table := self._table(name)) is not None}
        if not tables:
            return
        table = pa.concat_tables(tables.values(), promote_options="default")
        table = table.sort_by([("sequence", "ascending"), ("id", "ascending")])
        table = table.take(_to_arrow("int", _first_of_each(table["id"].to_pylist())))
        metadata = {"replaces": " ".join(tables), "merged_at": repr(time.time())}
        name = self._put(table.replace_schema_metadata(metadata))
        back = self._table(name)
        if back is not None and not back.equals(table):
            self._damaged(self._folder + name, DamagedError("it does not read back as it was written"))

    def _delete_replaced(self, name: str, olds: Mapping[str, _Part]) -> None:
        """Delete parts whose rows are all in the part `name`, which is read again, from the disk, to be sure."""
        table = self._table(name) if olds else None
        there = set() if table is None else set(table["id"].to_pylist())
        for old, part in olds.items():
            if there.issuperset(part.columns["id"].tolist()):
                self._store.delete(self._folder + old)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        """Names of all parts, in order."""
        names = (key.rpartition("/")[2] for key in self._store.list(self._folder))
        return [name for name in names if _NAME.fullmatch(name)]

    def _load(self, name: str) -> _Part | None:
        """A part; None if it is gone, or cannot be used."""
        table = self._table(name)
        if table is None:
            return None
        try:
            part = _part(table, self._columns)
            for column in (column for column, kind in self._columns.items() if kind == "rows"):
                self._widths.setdefault(column, part.columns[column].shape[1])
            self._check_width(part.columns)
            return part
        except (KeyError, ValueError) as error:
            self._damaged(self._folder + name, DamagedError(f"it is not a part of this table: {error}"))
            return None

    def _table(self, name: str) -> pa.Table | None:
        """The rows of a part as they lie on the disk; None if it is gone, or cannot be used."""
        try:
            return _decode(self._store.get(self._folder + name), name)
        except FileNotFoundError:
            return None
        except (DamagedError, OSError) as error:
            self._damaged(self._folder + name, error)
            return None


def _union(kinds_: Mapping[str, Kind], parts: Sequence[_Part]) -> Columns:
    """The rows of all parts in order of (sequence, id), the first of each id."""
    columns = {name: _join(kind, [part.columns[name] for part in parts]) for name, kind in kinds_.items()}
    if (np.diff(columns["sequence"]) <= 0).any():
        columns = _take(columns, np.argsort(columns["sequence"], kind="stable"))
    if len(set(columns["id"].tolist())) < len(columns["id"]):
        columns = _take(columns, _first_of_each(columns["id"].tolist()))
    if (np.diff(columns["sequence"]) == 0).any():
        columns = _take(columns, np.lexsort((columns["id"], columns["sequence"])))
    for name, kind in kinds_.items():
        # All callers share these arrays. Torch warns of read-only memory, so matrices are left writable.
        columns[name].flags.writeable = kind == "rows"
    return columns


def _join(kind: Kind, arrays: list[np.ndarray]) -> np.ndarray:
    if arrays:
        return np.concatenate(arrays)
    return np.zeros((0, 0), np.float32) if kind == "rows" else np.zeros(0, _DTYPES[kind])


def _take(columns: Columns, rows: np.ndarray | list[int]) -> Columns:
    return {name: array[rows] for name, array in columns.items()}


def _first_of_each(ids: Sequence[str]) -> list[int]:
    """Where each id stands first, ascending."""
    first: dict[str, int] = {}
    for row, id_ in enumerate(ids):
        first.setdefault(id_, row)
    return list(first.values())


# -- bytes ------------------------------------------------------------------------------------------------------------

_DTYPES: dict[str, Any] = {"text": object, "int": np.int64, "float": np.float64, "rows": np.float32}
_MISSING: dict[str, Any] = {"text": "", "int": -1, "float": np.nan}
"""What a column holds in rows that were written before it existed."""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _encode(table: pa.Table) -> bytes:
    metadata = (table.schema.metadata or {}) | {b"schema": str(SCHEMA_VERSION).encode()}
    long = len(table) >= LONG_ROWS
    with io.BytesIO() as sink:
        pq.write_table(
            table.replace_schema_metadata(metadata),
            sink,
            compression="zstd",
            write_page_checksum=True,
            use_dictionary=long,
            write_statistics=long,
        )
        return sink.getvalue()


def _decode(data: bytes, name: str) -> pa.Table:
    """The rows in the bytes of a part.

    Raises:
        DamagedError: These are not the bytes that were written under this name.
    """
    if _digest(data) != name[26:42]:
        raise DamagedError("its bytes do not match the hash in its name")
    try:
        return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(f"it is not a Parquet file: {error}") from error


def _part(table: pa.Table, columns: Mapping[str, Kind]) -> _Part:
    metadata = table.schema.metadata or {}
    return _Part(
        columns={name: _from_arrow(kind, table, name) for name, kind in columns.items()},
        replaces=frozenset(metadata.get(b"replaces", b"").decode().split()),
        merged_at=float(metadata.get(b"merged_at", b"0")),
    )


def _pick(values: Sequence[Any] | np.ndarray, rows: np.ndarray) -> Sequence[Any] | np.ndarray:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


def _to_arrow(kind: Kind, values: Sequence[Any] | np.ndarray) -> pa.Array:
    """A column. Made from buffers: `pa.array` would import pandas, half a second and 50 MB in every process.

    Raises:
        TypeError: A value is of another kind.
    """
    count, type_ = len(values), _ARROW[kind]
    if kind == "text":
        texts = [str.encode(text) for text in values]
        return pa.Array.from_buffers(
            type_, count, [None, _offsets(map(len, texts), count), pa.py_buffer(b"".join(texts))]
        )
    if kind == "rows":
        matrix = np.ascontiguousarray(values, np.float32)
        numbers = pa.Array.from_buffers(pa.float32(), matrix.size, [None, pa.py_buffer(matrix)])
        offsets = _offsets([matrix.shape[1]] * count, count)
        return pa.Array.from_buffers(type_, count, [None, offsets], children=[numbers])
    exact = operator.index if kind == "int" else float  # 2.5 is no integer
    return pa.Array.from_buffers(
        type_, count, [None, pa.py_buffer(np.fromiter(map(exact, values), _DTYPES[kind], count))]
    )


def _offsets(lengths: Iterable[int], count: int) -> pa.Buffer:
    """Where items of these lengths begin and end in a row of all."""
    return pa.py_buffer(np.concatenate([[0], np.cumsum(np.fromiter(lengths, np.int64, count))]).astype(np.int32))


def _numbers(column: pa.Array, dtype: Any) -> np.ndarray:
    """The numbers of a column without missing ones, without a copy; `to_numpy` too would import pandas."""
    if column.null_count:
        raise ValueError("numbers are missing")
    return np.frombuffer(column.buffers()[1], dtype)[column.offset : column.offset + len(column)]


def _texts(column: pa.StringArray) -> np.ndarray:
    """The texts of a column as objects, repeated ones once in memory."""
    _, ends, data = column.buffers()
    bounds = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1].tolist() if ends else [0]
    whole = data.to_pybytes() if data else b""
    if whole.isascii():
        text = whole.decode()
        pieces = [text[start:end] for start, end in pairwise(bounds)]
    else:
        pieces = [whole[start:end].decode() for start, end in pairwise(bounds)]
    return np.fromiter(map(sys.intern, pieces), object, len(pieces))


def _from_arrow(kind: Kind, table: pa.Table, name: str) -> np.ndarray:
    position = table.schema.get_field_index(name)
    if position < 0:
        if kind == "rows" or name in ("id", "sequence"):
            raise KeyError(name)
        return np.full(len(table), _MISSING[kind], _DTYPES[kind])
    column = table.column(position).cast(_ARROW[kind]).combine_chunks()
    if kind != "rows":
        column = column.fill_null(_MISSING[kind]) if column.null_count else column
        return _texts(column) if kind == "text" else _numbers(column, _DTYPES[kind])
    if np.diff(_numbers(column.value_lengths(), np.int32)).any():
        raise ValueError(f"the rows of {name} are not equally wide")
    return _numbers(column.flatten(), np.float32).reshape(len(column), -1)
