import hashlib
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.parts import DamagedError, Kind
from pipeline.store import Store
from pipeline.tables import Table, WidthError

COLUMNS: dict[str, Kind] = {"id": "text", "count": "int", "weight": "float", "unit": "rows"}


class Damage:
    """What a table complained about."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Exception]] = []

    def __call__(self, key: str, error: Exception) -> None:
        self.found.append((key, error))


@pytest.fixture
def damage() -> Damage:
    return Damage()


@pytest.fixture
def make(tmp_path: Path, damage: Damage) -> Callable[[], Table]:
    return lambda: Table(Store(tmp_path), "t/", COLUMNS, damage)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of logic need no durability."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def rows(ids: Sequence[str], value: int = 0) -> dict[str, np.ndarray]:
    count = len(ids)
    unit = np.arange(count * 3, dtype=np.float32).reshape(count, 3) / 7 + value
    return {
        "id": np.array(ids, object),
        "count": np.full(count, value),
        "weight": np.linspace(0, 1, count),
        "unit": unit,
    }


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in COLUMNS)


def test_rows_come_back_as_they_were_in_the_order_in_which_they_came(make: Callable[[], Table]) -> None:
    first, second = rows(["c", "a"]), rows(["b"], 5)
    table = make()
    assert table.append(first).tolist() == [True, True]
    assert table.append(second).tolist() == [True]
    read = make().read()
    assert same(read, {name: np.concatenate([first[name], second[name]]) for name in COLUMNS})
    assert read["sequence"].tolist() == [0, 1, 2]
    assert read["unit"].dtype == np.float32


def test_an_empty_table_has_empty_columns(make: Callable[[], Table]) -> None:
    read = make().read()
    assert [len(values) for values in read.values()] == [0] * 5
    assert read["unit"].shape == (0, 0)


def test_no_rows_add_nothing(make: Callable[[], Table], tmp_path: Path) -> None:
    # A block of worlds of which none lives has no embeddings.
    assert make().append(rows([])).tolist() == []
    make().append(rows(["a"]))
    assert make().append(rows([])).tolist() == []
    assert len(list((tmp_path / "t").iterdir())) == 1


def test_a_repeated_id_adds_nothing_and_the_first_row_stays(make: Callable[[], Table], tmp_path: Path) -> None:
    table = make()
    table.append(rows(["a", "b"], 1))
    assert table.append(rows(["b", "c", "c"], 2)).tolist() == [False, True, False]
    assert table.append(rows(["a", "c"], 3)).tolist() == [False, False]
    assert make().read()["count"].tolist() == [1, 1, 2]
    assert len(list((tmp_path / "t").iterdir())) == 2


def test_the_same_snapshot_until_something_is_added_and_nothing_is_read_twice(
    make: Callable[[], Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = make(), make()
    writer.append(rows(["a"]))
    before = reader.read()
    got: list[str] = []
    get = Store.get
    monkeypatch.setattr(Store, "get", lambda self, key, *args: got.append(key) or get(self, key, *args))
    assert reader.read() is before
    assert not got
    writer.append(rows(["b"]))
    got.clear()
    assert reader.read()["id"].tolist() == ["a", "b"]
    assert len(got) == 1


def test_snapshots_cannot_be_spoiled_by_a_careless_reader(make: Callable[[], Table]) -> None:
    table = make()
    table.append(rows(["a"]))
    with pytest.raises(ValueError, match="read-only"):
        table.read()["count"][0] = 9


def test_two_writers_who_number_alike_agree_on_one_order(
    make: Callable[[], Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Table, "_names", lambda _: [])  # each believes to be the first
    for writer, ids in ((make(), ["d", "a", "x"]), (make(), ["c", "b", "x"])):
        writer.append(rows(ids))
    monkeypatch.undo()
    orders = [make().read()["id"].tolist() for _ in range(2)]
    assert orders[0] == orders[1] == ["c", "d", "a", "b", "x"]


def test_rows_of_another_width_are_refused_and_never_fatal(
    make: Callable[[], Table], damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make()
    table.append(rows(["a"]))
    wide = rows(["b"]) | {"unit": np.zeros((1, 4), np.float32)}
    with pytest.raises(WidthError, match="t has 3 numbers per unit, not 4"):
        table.append(wide)
    monkeypatch.setattr(Table, "_check_width", lambda *_: None)  # another writer, in the same moment
    make().append(wide)
    monkeypatch.undo()
    assert make().read()["id"].tolist() == ["a"]
    assert "numbers per unit" in str(damage.found[0][1])


@pytest.mark.parametrize(
    ("column", "value"), [("count", "many"), ("count", 2.5), ("count", None), ("weight", None), ("id", 3)]
)
def test_values_that_do_not_fit_a_column_store_nothing(
    make: Callable[[], Table], tmp_path: Path, column: str, value: object
) -> None:
    with pytest.raises((TypeError, ValueError)):
        make().append(rows(["a"]) | {column: [value]})
    assert not (tmp_path / "t").exists()


# -- damage -----------------------------------------------------------------------------------------------------------


def flip(data: bytes, seed: int) -> bytes:
    bit = random.Random(seed).randrange(len(data) * 8)
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def test_a_damaged_part_is_named_and_the_others_are_read(
    make: Callable[[], Table], damage: Damage, tmp_path: Path
) -> None:
    table = make()
    for id_ in "abc":
        table.append(rows([id_]))
    broken = sorted((tmp_path / "t").iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:-100])
    assert make().read()["id"].tolist() == ["a", "c"]
    assert {key for key, _ in damage.found} == {f"t/{broken.name}"}


@pytest.mark.parametrize(
    "other",
    [
        pa.table({"x": [1]}),
        pa.table({"id": ["a"], "sequence": ["one"], "unit": [[1.0]]}),
        pa.table({"id": ["a", "b"], "sequence": [0, 1], "unit": [[1.0], [1.0, 2.0]]}),
    ],
    ids=["no id", "wrong type", "ragged"],
)
def test_a_stranger_among_the_parts_is_not_fatal(
    make: Callable[[], Table], damage: Damage, tmp_path: Path, other: pa.Table
) -> None:
    table = make()
    table.append(rows(["a"]))
    pq.write_table(other, tmp_path / "t" / "other")
    digest = hashlib.sha256((tmp_path / "t" / "other").read_bytes()).hexdigest()[:16]
    (tmp_path / "t" / "other").rename(tmp_path / "t" / f"{0:012d}-{0:012d}-{digest}.parquet")
    (tmp_path / "t" / "notes.parquet").write_bytes(b"not a part by its name")
    assert make().read()["id"].tolist() == ["a"]
    assert isinstance(damage.found[0][1], DamagedError)


# -- versions ---------------------------------------------------------------------------------------------------------


def test_columns_may_be_added_and_those_of_a_newer_version_survive_merging(
    make: Callable[[], Table], tmp_path: Path, damage: Damage
) -> None:
    make().append(rows(["old"], 1))
    newer = Table(Store(tmp_path), "t/", COLUMNS | {"mood": "text"}, damage)
    newer.append(rows(["new"], 2) | {"mood": ["glad"]})
    assert newer.read()["mood"].tolist() == ["", "glad"]
    old = make()
    assert old.read()["count"].tolist() == [1, 2]
    old.compact(grace_s=0, above=1)
    old.compact(grace_s=0, above=1)
    assert pq.read_table(tmp_path / "t")["mood"].to_pylist() == [None, "glad"]
    assert Table(Store(tmp_path), "t/", COLUMNS | {"mood": "text"}, damage).read()["mood"].tolist() == ["", "glad"]
    assert not damage.found


def test_reading_writing_and_merging_cost_no_import_of_pandas(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from pipeline.store import Store
from pipeline.tables import Table
columns = {"id": "text", "count": "int", "weight": "float", "unit": "rows"}
table = Table(Store(Path(sys.argv[1])), "t/", columns, print)
for number in range(3):
    table.append({"id": [str(number)], "count": [number], "weight": [0.5], "unit": np.ones((1, 3), np.float32)})
table.compact(grace_s=0, above=1)
table.compact(grace_s=0, above=1)
print(len(Table(Store(Path(sys.argv[1])), "t/", columns, print).read()["id"]))
print("pandas" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["3", "False"]


def test_plain_pyarrow_reads_a_table(make: Callable[[], Table], tmp_path: Path) -> None:
    written = rows(["a", "b"])
    make().append(written)
    (tmp_path / "t" / ".tmp-left-by-a-killed-writer").write_bytes(b"half")
    read = pq.read_table(tmp_path / "t")
    assert read["id"].to_pylist() == ["a", "b"]
    assert np.array_equal(np.stack(read["unit"].to_numpy()), written["unit"])


# -- merging ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_merging_keeps_every_row_and_their_order(make: Callable[[], Table], tmp_path: Path, damage: Damage) -> None:
    table = make()
    for number in range(40):
        table.append(rows([f"{number % 7}-{number}", str(number)], number))
    before = make().read()
    table.compact(above=8)
    assert len(list((tmp_path / "t").iterdir())) == 41
    assert same(make().read(), before)
    table.compact(grace_s=0, above=8)
    assert len(list((tmp_path / "t").iterdir())) == 1
    assert same(make().read(), before)
    assert same(table.read(), before)
    assert not damage.found


def test_few_parts_are_left_alone(make: Callable[[], Table], tmp_path: Path) -> None:
    table = make()
    for id_ in "abc":
        table.append(rows([id_]))
    table.compact(grace_s=0)
    assert len(list((tmp_path / "t").iterdir())) == 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("after_it_was_read", [False, True])
def test_a_merged_part_that_rots_gives_way_to_what_it_merged(
    make: Callable[[], Table], tmp_path: Path, damage: Damage, after_it_was_read: bool
) -> None:
    table = make()
    for number in range(9):
        table.append(rows([str(number)], number))
    before = table.read()
    inputs = set((tmp_path / "t").iterdir())
    table.compact(above=8)
    [merged] = set((tmp_path / "t").iterdir()) - inputs
    if after_it_was_read:
        table.read()
    merged.write_bytes(flip(merged.read_bytes(), 0))
    table.compact(grace_s=0, above=100)
    assert inputs <= set((tmp_path / "t").iterdir())
    assert damage.found
    assert same(make().read(), before)


@pytest.mark.usefixtures("quick")
def test_readers_never_see_rows_vanish_while_others_write_and_merge(make: Callable[[], Table], damage: Damage) -> None:
    done = threading.Event()
    written: list[str] = []

    def write(writer: Table, name: str) -> None:
        for number in range(60):
            writer.append(rows([f"{name}{number}"], number))
            written.append(f"{name}{number}")

    def merge(table: Table) -> None:
        while not done.is_set():
            table.compact(grace_s=0, above=4)

    writers = [threading.Thread(target=write, args=(make(), name)) for name in "ab"]
    mergers = [threading.Thread(target=merge, args=(make(),)) for _ in range(2)]
    for thread in writers + mergers:
        thread.start()
    warm, seen = make(), set[str]()
    try:
        while any(thread.is_alive() for thread in writers):
            acknowledged = set(written)
            for reader in (warm, make()):  # one that remembers, and one that has just come
                now = set(reader.read()["id"].tolist())
                assert seen | acknowledged <= now
            seen |= now
    finally:
        done.set()
        for thread in mergers + writers:
            thread.join()
    assert make().read()["id"].tolist() == warm.read()["id"].tolist()
    assert sorted(make().read()["id"].tolist()) == sorted(written)
    assert not damage.found
