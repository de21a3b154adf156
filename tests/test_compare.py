"""Two profiles side by side: counted as it is said, written nowhere."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline import evaluate, film, loop, shelf
from pipeline.compare import Comparison
from pipeline.config import Config, Plugin
from pipeline.profile import Profile, ProfileError
from tests.life import bytes_of, lived, settle


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile "a" that has lived, and a fork of it with another generator."""
    root = tmp_path_factory.mktemp("profiles")
    lived(root, "a")
    settle(shelf.fork(root, "a", "b", ["generator.name=gibbs"]))
    return root


def both(root: Path) -> tuple[Profile, Profile]:
    return Profile.open(root, "a"), Profile.open(root, "b")


def test_win_rates_count_pairs_and_the_dead_lose() -> None:
    inf = np.inf
    assert evaluate.win_rate(np.array([2.0, 3.0]), np.array([1.0, -inf]), 0) == (1.0, 1.0, 1.0)
    share, low, high = evaluate.win_rate(np.array([1.0, 3.0, -inf]), np.array([2.0, 1.0]), 0)
    assert share == pytest.approx((0.5 + 2) / 6)
    assert 0 <= low <= share <= high <= 1
    assert evaluate.win_rate(np.array([-inf]), np.array([-inf]), 0)[0] == 0.5


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draw, held = np.random.default_rng(0), 0
    for seed in range(100):
        ours, theirs = draw.normal(0.5, 1, 60), draw.normal(0, 1, 60)
        _, low, high = evaluate.win_rate(ours, theirs, seed)
        held += low <= 0.6382 <= high  # P(x > y) of these normals
    assert held >= 88


def test_both_sides_are_judged_by_both_tastes_and_nothing_is_written(root: Path) -> None:
    before, steps = bytes_of(root), []
    found = Comparison(both(root), 45, 3, steps.append)
    text, mp4 = str(found), found.film()
    assert sum(steps) == 90
    assert max(steps) <= 20
    assert bytes_of(root) == before
    cells = [re.split("  +", line) for line in text.splitlines()]
    among = found.verdicts[0].among
    assert cells[0] == ["", "a", "b"]
    assert cells[1] == ["generator", "filter 2", "gibbs 3"]
    assert [row[0] for row in cells[2:]] == [
        "alive",
        "wins, by the taste of a",
        f"different worlds of {among}, as a sees them",
        "wins, by the taste of b",
        f"different worlds of {among}, as b sees them",
    ]
    assert all(re.fullmatch(r"\d+% \(\d+% to \d+%\)", cell) for cell in cells[3][1:])
    frames = film.decode(mp4)
    assert frames.shape[0] == film.FRAMES
    assert frames.shape[2] > 2 * 3 * 128


def test_the_same_numbers_whoever_stands_first(root: Path) -> None:
    a, b = both(root)
    here, there = Comparison((a, b), 30, 1), Comparison((b, a), 30, 1)
    np.testing.assert_array_equal(here.sides[0].unit, there.sides[1].unit)
    np.testing.assert_array_equal(here.seeds, there.seeds)
    ours, theirs = here.verdicts[0], there.verdicts[1]
    assert ours.judge == theirs.judge == "a"
    assert ours.wins[0] == pytest.approx(1 - theirs.wins[0])
    assert ours.diversity == theirs.diversity[::-1]


def test_one_generator_ties_with_itself(root: Path) -> None:
    if "c" not in [path.name for path in root.iterdir()]:
        settle(shelf.fork(root, "a", "c"))
    found = Comparison((Profile.open(root, "a"), Profile.open(root, "c")), 40, 0)
    for verdict in found.verdicts:
        share, low, high = verdict.wins
        assert low <= 0.5 <= high
        assert share == pytest.approx(0.5, abs=0.15)


def test_an_untrained_side_is_the_prior(root: Path, tmp_path: Path) -> None:
    fresh = Profile.create(tmp_path, "fresh", Profile.open(root, "a").config)
    found = Comparison((Profile.open(root, "a"), fresh), 25, 0)
    assert "the prior" in str(found)
    assert "no rewardor yet" in str(found)
    np.testing.assert_array_equal(found.sides[1].unit, loop.new_generator(fresh, found.sim.space.dim).ask(25, 0))


def test_what_cannot_be_compared_is_refused(root: Path, tmp_path: Path) -> None:
    a = Profile.open(root, "a")
    other = Profile.create(tmp_path, "other", Config(sim=Plugin(name="lenia")))
    with pytest.raises(ProfileError, match=r'the same simulation .*"a" has tests.sims.toy:Toy .*"other" has lenia'):
        Comparison((a, other), 10, 0)
    with pytest.raises(ProfileError, match="takes two"):
        Comparison((a, a), 10, 0)
