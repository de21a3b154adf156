"""One part of a table: columns of numpy, as the bytes of a Parquet file. The only code that knows Parquet.

A part is named `FIRST-LAST-HASH.parquet` after the sequence numbers of its rows and its own bytes, so that whoever
reads it knows whether it is whole, and the folder's listing tells which number comes next.
"""

import hashlib
import io
import operator
import re
import sys
import time
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
LONG_ROWS = 256
"""Parts this long have dictionaries and statistics, which make a short one larger and slower."""

NAME = re.compile(r"(\d{12})-(\d{12})-([0-9a-f]{16})\.parquet")
DTYPES: dict[Kind, Any] = {"text": object, "int": np.int64, "float": np.float64, "rows": np.float32}
_ARROW = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "rows": pa.list_(pa.float32())}
_MISSING: dict[Kind, Any] = {"text": "", "int": -1, "float": np.nan}
"""What a column holds in rows that were written before it existed."""


class DamagedError(Exception):
    """Raised when bytes are not those that were written, or not those of a part."""


@dataclass(frozen=True)
class Part:
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


def encode(kinds_: Mapping[str, Kind], columns: Mapping[str, Sequence[Any] | np.ndarray]) -> tuple[str, bytes]:
    """The name and the bytes of a part.

    Raises:
        TypeError: A value is not of its column's kind.
    """
    return _encode(pa.table({name: _to_arrow(kind, columns[name]) for name, kind in kinds_.items()}))


def decode(name: str, data: bytes, kinds_: Mapping[str, Kind]) -> Part:
    """The part with this name and these bytes.

    Raises:
        DamagedError: These are not the bytes that were written under this name, or columns are missing.
    """
    table = _decode(name, data)
    metadata = table.schema.metadata or {}
    try:
        return Part(
            columns={name: _from_arrow(kind, table, name) for name, kind in kinds_.items()},
            replaces=frozenset(metadata.get(b"replaces", b"").decode().split()),
            merged_at=float(metadata.get(b"merged_at", b"0")),
        )
    except (KeyError, ValueError) as error:
        raise DamagedError(f"it is not a part of this table: {error}") from error


def merge(parts: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The name and the bytes of a part with all rows of some others, columns that this version does not know included.

    Raises:
        DamagedError: One of them is damaged, or the result does not read back as it was written.
    """
    table = pa.concat_tables([_decode(name, parts[name]) for name in sorted(parts)], promote_options="default")
    table = table.sort_by([("sequence", "ascending"), ("id", "ascending")])
    table = table.take(_to_arrow("int", first_of_each(table["id"].to_pylist())))
    metadata = {"replaces": " ".join(sorted(parts)), "merged_at": repr(time.time())}
    name, data = _encode(table.replace_schema_metadata(metadata))
    if not _decode(name, data).equals(table):
        raise DamagedError("rows changed in merging")
    return name, data


def until(name: str, data: bytes, last: int) -> tuple[str, bytes] | None:
    """The name and the bytes of a part with the rows that are numbered up to `last`; None if there are none.

    Raises:
        DamagedError: These are not the bytes that were written under this name.
    """
    table = _decode(name, data)
    rows = [row for row, number in enumerate(table["sequence"].to_pylist()) if number <= last]
    if len(rows) == len(table):
        return name, data
    kept = table.take(_to_arrow("int", rows)).replace_schema_metadata(None)
    return _encode(kept) if rows else None


def first_of_each(ids: Sequence[str]) -> list[int]:
    """Where each id stands first, ascending."""
    first: dict[str, int] = {}
    for row, id_ in enumerate(ids):
        first.setdefault(id_, row)
    return list(first.values())


def _encode(table: pa.Table) -> tuple[str, bytes]:
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
        data = sink.getvalue()
    numbers = table["sequence"].to_pylist()
    return f"{min(numbers):012d}-{max(numbers):012d}-{_digest(data)}.parquet", data


def _decode(name: str, data: bytes) -> pa.Table:
    if _digest(data) != name[26:42]:
        raise DamagedError("its bytes do not match the hash in its name")
    try:
        return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(f"it is not a Parquet file: {error}") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


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
        type_, count, [None, pa.py_buffer(np.fromiter(map(exact, values), DTYPES[kind], count))]
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
        return np.full(len(table), _MISSING[kind], DTYPES[kind])
    column = table.column(position).cast(_ARROW[kind]).combine_chunks()
    if kind != "rows":
        column = column.fill_null(_MISSING[kind]) if column.null_count else column
        return _texts(column) if kind == "text" else _numbers(column, DTYPES[kind])
    if np.diff(_numbers(column.value_lengths(), np.int32)).any():
        raise ValueError(f"the rows of {name} are not equally wide")
    return _numbers(column.flatten(), np.float32).reshape(len(column), -1)
