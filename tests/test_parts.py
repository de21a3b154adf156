import io
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import parts
from pipeline.parts import Columns, DamagedError, Kind

COLUMNS: dict[str, Kind] = {"id": "text", "count": "int", "weight": "float", "unit": "rows", "sequence": "int"}


def rows(ids: list[str]) -> Columns:
    count = len(ids)
    return {
        "id": np.array(ids, object),
        "count": np.arange(count) * 2**40,
        "weight": np.linspace(0, 1, count),
        "unit": np.arange(count * 3, dtype=np.float32).reshape(count, 3) / 7,
        "sequence": np.arange(count) + 5,
    }


def same(a: Columns, b: Columns) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in COLUMNS)


def flip(data: bytes, seed: int) -> bytes:
    bit = random.Random(seed).randrange(len(data) * 8)
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def foreign(table: pa.Table) -> tuple[str, bytes]:
    """A part that another program wrote, its name as it should be."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return f"{0:012d}-{9:012d}-{parts._digest(sink.getvalue())}.parquet", sink.getvalue()


@pytest.mark.parametrize("count", [1, 50, 1000])
def test_columns_come_back_as_they_were(count: int) -> None:
    written = rows([f"id{number}" for number in range(count)])
    name, data = parts.encode(COLUMNS, written)
    assert name.startswith(f"{5:012d}-{count + 4:012d}-")
    assert parts.NAME.fullmatch(name)
    read = parts.decode(name, data, COLUMNS)
    assert same(read.columns, written)
    assert [read.columns[name].dtype for name in COLUMNS] == [object, np.int64, np.float64, np.float32, np.int64]


def test_texts_of_any_alphabet_come_back() -> None:
    texts = ["", "plain", "zoë", "生命", "🦠", "a\0b", "line\nline"]
    assert parts.decode(*parts.encode(COLUMNS, rows(texts)), COLUMNS).columns["id"].tolist() == texts
    assert parts.decode(*parts.encode(COLUMNS, rows([""])), COLUMNS).columns["id"].tolist() == [""]


@pytest.mark.parametrize(
    ("column", "value"), [("count", "many"), ("count", 2.5), ("count", None), ("weight", None), ("id", 3), ("id", None)]
)
def test_values_of_another_kind_are_refused(column: str, value: object) -> None:
    with pytest.raises(TypeError):
        parts.encode(COLUMNS, rows(["a"]) | {column: np.array([value], object)})


def test_not_one_of_400_flipped_bits_is_read_as_data() -> None:
    truth = rows([f"id{number}" for number in range(50)])
    name, data = parts.encode(COLUMNS, truth)
    for seed in range(400):
        with pytest.raises(DamagedError, match="do not match the hash"):
            parts.decode(name, flip(data, seed), COLUMNS)
    # Others who read the folder can rely on page checksums, which cover all but the footer.
    footer = int.from_bytes(data[-8:-4], "little") + 8
    wrong = caught = 0
    for seed in range(400):
        flipped = flip(data[:-footer], seed) + data[-footer:]
        try:
            read = pq.read_table(pa.BufferReader(flipped), page_checksum_verification=True)
            wrong += not same({name: parts._from_arrow(kind, read, name) for name, kind in COLUMNS.items()}, truth)
        except (OSError, pa.ArrowException):
            caught += 1
    assert wrong == 0
    assert caught > 300


def test_missing_values_of_others_are_filled() -> None:
    table = pa.table({
        "id": ["a", "b"], "sequence": [0, 1], "count": pa.array([2**60 + 1, None]), "weight": [None, 0.5],
        "unit": pa.array([[1.0], [2.0]], pa.list_(pa.float32())),
    })  # fmt: skip
    read = parts.decode(*foreign(table), COLUMNS | {"mood": "text"}).columns
    assert read["count"].tolist() == [2**60 + 1, -1]
    assert np.array_equal(read["weight"], [np.nan, 0.5], equal_nan=True)
    assert read["mood"].tolist() == ["", ""]


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"sequence": [0], "unit": [[1.0]]}),
        pa.table({"id": ["a"], "sequence": ["one"], "unit": [[1.0]]}),
        pa.table({"id": ["a"], "sequence": [0]}),
        pa.table({"id": ["a", "b"], "sequence": [0, 1], "unit": [[1.0], [1.0, 2.0]]}),
        pa.table({"id": ["a", "b"], "sequence": [0, 1], "unit": [[1.0], None]}),
        pa.table({"id": ["a"], "sequence": [0], "unit": [[None]]}),
    ],
    ids=["no id", "wrong kind", "no matrix", "ragged", "no row", "hole"],
)
def test_what_is_no_part_is_named_damaged(table: pa.Table) -> None:
    with pytest.raises(DamagedError, match="not a part of this table"):
        parts.decode(*foreign(table), COLUMNS)


def test_what_is_no_parquet_is_named_damaged() -> None:
    with pytest.raises(DamagedError, match="not a Parquet file"):
        parts.decode(f"{0:012d}-{0:012d}-{parts._digest(b'x')}.parquet", b"x", COLUMNS)


def test_merging_keeps_the_first_row_of_each_id_in_order() -> None:
    early, late = rows(["a", "b"]), rows(["b", "c"])
    late["sequence"] = np.array([7, 8])
    files = dict([parts.encode(COLUMNS, late), parts.encode(COLUMNS, early)])
    merged = parts.decode(*parts.merge(files), COLUMNS)
    assert merged.columns["id"].tolist() == ["a", "b", "c"]
    assert merged.columns["sequence"].tolist() == [5, 6, 8]
    assert merged.replaces == set(files)
    assert merged.merged_at > 1.7e9
