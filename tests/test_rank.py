"""Worlds are ranked from the command line: a contest begins, the page opens in it, and programs ask how far it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli, contest, run
from pipeline.profile import Profile
from pipeline.rows import Vote

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the profiles of a test are."""
    monkeypatch.setenv("ALIFE_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The pages that are served, instead of serving them."""
    served: list[tuple[Any, ...]] = []
    monkeypatch.setattr(cli, "_refuse_taken", lambda *_: None)  # somebody may be using this machine
    monkeypatch.setattr(run, "serve", lambda *args, **how: served.append((*args, how["tab"])))
    return served


@pytest.fixture
def compared(alife: Call, root: Path) -> list[str]:
    """A profile with six worlds that were filmed and compared; their ids, the best first."""
    alife("new", "here")
    profile = Profile.open(root, "here")
    worlds = [f"{number:032x}" for number in range(6)]
    for world in worlds:
        profile.add_film(world, world.encode(), "seen", 96, 24.0, 256)
    pairs = [(better, worse) for number, better in enumerate(worlds) for worse in worlds[number + 1 :]]
    names = [f"{better}-{worse}" for better, worse in pairs]
    profile.add_votes(
        [Vote(id=name, left=a, right=b, answer="left", labeler="x") for name, (a, b) in zip(names, pairs, strict=True)]
    )
    return worlds


@pytest.mark.usefixtures("compared")
def test_too_few_worlds_or_too_many_are_not_ranked(alife: Call, work: list) -> None:
    for words, told in (
        (("--top", "1", "--worlds", "8"), "only 6 worlds"),
        (("--worlds", "6"), "a contest has 2 to 5"),
    ):
        status, _, err = alife("rank", "here", *words)
        assert status == 2
        assert told in err
    assert work == []


def test_worlds_are_ranked_on_the_page_until_their_order_is_established(
    alife: Call, work: list, compared: list[str], root: Path
) -> None:
    status, out, _ = alife("rank", "here", "--worlds", "3")
    assert status == 0
    assert out.startswith("The order of 3 worlds: open, 1 to 1 of 20 to 1 after 0 answers")
    assert [tab for *_, tab in work] == ["label"]
    profile = Profile.open(root, "here")
    for number in range(200):
        pairs = contest.next_pairs(profile, 1, [])
        if pairs is None:
            break
        better = "left" if pairs[0][0] < pairs[0][1] else "right"
        profile.add_votes([Vote(id=f"{number}", left=pairs[0][0], right=pairs[0][1], answer=better, labeler="x")])
    with profile.claim("page"):  # which is nothing that a program wants to read
        facts = json.loads(alife("rank", "here", "--status")[1])
    assert facts["established"]
    assert [each["rollout"] for each in facts["worlds"]] == compared[:3]
    assert "established after" in alife("rank", "here", "--end")[1]
    assert json.loads(alife("rank", "here", "--status")[1]) == {}
    assert [tab for *_, tab in work] == ["label"]
