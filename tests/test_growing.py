"""Columns that grow: always what concatenation gives, and what was handed out never changes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.growing import Growing
from pipeline.parts import Columns


def some(start: int, count: int) -> Columns:
    number = np.arange(start, start + count)
    return {
        "id": np.array([f"world {each}" for each in number], object),
        "sequence": number.astype(np.int64),
        "values": np.stack([number, -number], 1).astype(np.float32),
    }


def same(left: Columns, right: Columns) -> bool:
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and (left[name] == right[name]).all() for name in left
    )


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_each_snapshot_is_the_rows_so_far_for_ever(counts: list[int]) -> None:
    growing, rows, total = Growing(), some(0, 3), 3
    snapshots = [(rows, total)]
    for count in counts:
        rows = growing.append(rows, some(total, count))
        total += count
        snapshots.append((rows, total))
    for snapshot, there in snapshots:
        assert same(snapshot, some(0, there))


def test_rows_that_are_not_the_last_ones_are_left_as_they_are() -> None:
    growing = Growing()
    first = growing.append(some(0, 3), some(3, 2))
    second = growing.append(first, some(5, 2))
    other = growing.append(first, some(50, 2))
    assert same(second, some(0, 7))
    assert other["sequence"].tolist() == [0, 1, 2, 3, 4, 50, 51]


def test_adding_a_few_copies_only_these() -> None:
    growing = Growing()
    rows = growing.append(some(0, 1000), some(1000, 1))
    grown = growing.append(rows, some(1001, 1))
    assert all(np.shares_memory(rows[name], grown[name]) for name in ("sequence", "values"))
