"""From the tables of a profile to the numbers that models learn from."""

from pathlib import Path

from pipeline import loop, tensors
from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.rows import Vote


def test_whoever_is_excluded_hands_down_neither_a_number_nor_a_debt(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config())
    people = [("ann", "left"), ("bob", "right"), ("ann", "tie"), ("cleo", "left")]
    votes = [Vote(id=f"{n}", left="a", right="b", answer=answer, labeler=who) for n, (who, answer) in enumerate(people)]
    profile.add_votes(votes)
    wanted = loop.blocks_wanted(profile)
    profile.exclude("ann")
    profile.undo("1", "bob")
    profile.add_votes([Vote(id="4", left="a", right="b", answer="left", labeler="bob")])
    assert profile.labels().labeler.tolist() == ["cleo", "bob"]
    assert tensors.labelers(profile) == ["ann", "bob", "cleo"]
    assert loop.answers_given(profile) == 4
    assert loop.blocks_wanted(profile) == wanted
