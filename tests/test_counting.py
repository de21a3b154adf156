"""Which votes count: always what a count of everything gives, and what was handed out never changes."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.counting import Counting
from pipeline.growing import Growing
from pipeline.parts import Columns, kinds
from pipeline.rows import LabelTable
from pipeline.tables import DTYPES

PEOPLE = ("ann", "bob")
HAPPENINGS = st.one_of(
    st.tuples(st.just("vote"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("undo"), st.integers(0, 20).map(str)),
    st.tuples(st.sampled_from(["exclude", "include"]), st.sampled_from(PEOPLE)),
)


def rows(happened: list[tuple[str, str]], start: int) -> Columns:
    """What happened as rows of the table; votes have their places as ids."""
    blank = {name: np.zeros(len(happened), DTYPES[kind]) for name, kind in kinds(LabelTable).items()}
    ids = [
        f"{start + place}" if event == "vote" else f"{event}-{start + place}"
        for place, (event, _) in enumerate(happened)
    ]
    events, whom = [event for event, _ in happened], [whom for _, whom in happened]
    known = {"id": ids, "event": events, "labeler": whom, "target": whom}
    return blank | {name: np.array(values, blank[name].dtype) for name, values in known.items()}


def truth(happened: list[tuple[str, str]]) -> list[str]:
    """The ids of the votes that count, from the meaning of the words."""
    undone, out = set(), set()
    for event, whom in happened:
        if event == "undo":
            undone.add(whom)
        elif event in ("exclude", "include"):
            (out.add if event == "exclude" else out.discard)(whom)
    votes = [(str(place), whom) for place, (event, whom) in enumerate(happened) if event == "vote"]
    return [id_ for id_, whom in votes if id_ not in undone and whom not in out]


@given(st.lists(st.lists(HAPPENINGS, min_size=1, max_size=5), min_size=1, max_size=8), st.integers(0, 8))
def test_it_is_what_a_count_of_everything_gives_whatever_happens(news: list[list[tuple[str, str]]], moved: int) -> None:
    counting, growing, happened = Counting(), Growing(), []
    columns, told = rows([], 0), []
    for turn, new in enumerate(news):
        before, columns = columns, growing.append(columns, rows(new, len(happened)))
        if turn == moved:  # as after a merge of parts: the same rows elsewhere
            columns = {name: values.copy() for name, values in columns.items()}
        happened += new
        told.append((counting.of(columns), truth(happened)))
        if turn % 3 == 2:  # somebody asked a moment ago
            told.append((counting.of(before), truth(happened[: len(before["id"])])))
    for table, counted in told:
        assert table.id.tolist() == counted
        assert all(len(getattr(table, each.name)) == len(counted) for each in fields(table))


def test_a_vote_more_copies_only_itself() -> None:
    counting, growing = Counting(), Growing()
    columns = growing.append(rows([("vote", "ann")] * 100 + [("undo", "7")], 0), rows([("vote", "bob")], 101))
    counting.of(columns)
    columns = growing.append(columns, rows([("vote", "bob")], 102))
    before = counting.of(columns)
    columns = growing.append(columns, rows([("vote", "ann")], 103))
    after = counting.of(columns)
    assert after.id.tolist() == [*before.id.tolist(), "103"]
    assert np.shares_memory(before.sequence, after.sequence)
    with pytest.raises(ValueError, match="read-only"):
        after.labeler[0] = "eve"
