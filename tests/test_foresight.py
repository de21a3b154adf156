"""How sure the Rewardor was: asked before it knew, and judged only by enough answers."""

import shutil
from pathlib import Path

import pytest
import torch

from pipeline import checkpoint, foresight, loop
from pipeline.config import Config
from pipeline.foresight import FEWEST, Foreseen, judged
from pipeline.profile import Profile
from pipeline.rows import Vote
from tests.life import answer, lived


def said(sure: float, right: int, of: int, count: int) -> list[Foreseen]:
    """So many answers, of which `right` in a row of `of` came as expected."""
    return [Foreseen("me", sure, n % of < right) for n in range(count)]


@pytest.mark.parametrize(
    ("sure", "right", "verdict", "error"),
    [(0.8, 4, "true", 0.0), (0.9, 3, "bold", 0.3), (0.55, 5, "shy", 0.45)],
)
def test_chances_are_told_only_where_they_come_true(sure: float, right: int, verdict: str, error: float) -> None:
    facts = judged(said(sure, right, 5, 100))
    assert facts["verdict"] == verdict
    assert facts["calibration_error"] == pytest.approx(error, abs=1e-6)
    assert facts["right"] == 20 * right


def test_of_few_answers_nothing_is_said() -> None:
    assert judged([])["verdict"] == "few"
    assert judged(said(0.8, 4, 5, FEWEST - 1))["calibration_error"] is None
    assert judged(said(0.8, 4, 5, FEWEST))["verdict"] == "true"


def test_the_diagram_has_a_bin_for_each_tenth_of_sureness_that_was_said() -> None:
    facts = judged(said(1.0, 5, 5, 10) + said(0.62, 1, 2, 20))
    low, high = facts["bins"]
    assert (low["floor"], low["answers"], low["right"]) == (pytest.approx(0.6), 20, 10)
    assert (high["floor"], high["answers"], high["right"]) == (pytest.approx(0.9), 10, 10)
    assert low["low"] < 0.5 < low["high"]


def test_whoever_answers_the_opposite_is_left_out(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config())
    given = [("ann", "left"), ("eve", "right"), ("ann", "left")]
    profile.add_votes([Vote(id=f"{n}", left="a", right="b", answer=a, labeler=who) for n, (who, a) in enumerate(given)])
    expected = {"0": 0.8, "1": 0.8, "2": 0.8}
    for reliability, counted in ((0.4, 3), (-0.4, 2)):
        metrics = {"reliability_0": 1.2, "reliability_1": reliability}
        made = {"metrics": metrics, "labelers": ["ann", "eve"], "expected": expected}
        checkpoint.commit(profile, "rewardor", {"w": torch.zeros(1)}, made)
        facts = foresight.facts(profile)
        assert (facts["answers"], facts["right"]) == (counted, 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    lived(root, "a")
    return root


@pytest.fixture
def profile(made: Path, tmp_path: Path) -> Profile:
    """With twelve answers that are known to a version."""
    shutil.copytree(made / "a", tmp_path / "a")
    return Profile.open(tmp_path, "a")


def give(profile: Profile, said: str) -> None:
    """The next answer: the same pair each time, so that only what is said differs."""
    left, right = profile.labels().right[0], profile.labels().left[-1]
    profile.add_votes([Vote(id="next", left=left, right=right, answer=said, labeler="me")])


def newest(profile: Profile) -> checkpoint.Manifest:
    return checkpoint.manifests(profile, "rewardor")[-1]


def test_what_is_expected_of_an_answer_does_not_depend_on_it(made: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(made / "a", tmp_path / name)
    expected = []
    for name, said in (("a", "left"), ("b", "right")):
        one = Profile.open(tmp_path, name)
        give(one, said)
        loop.fit(one)
        expected.append(newest(one).more["expected"])
        assert foresight.foreseen(one)[-1].right == ((expected[0]["next"] >= 0.5) == (said == "left"))
    assert expected[0] == expected[1]
    assert expected[0].keys() == {"next"}
    assert 0 < expected[0]["next"] < 1


def test_each_answer_is_expected_once_by_the_first_version_that_hears_of_it(profile: Profile) -> None:
    known = set(profile.labels().id.tolist())
    for _ in range(2):
        answer(profile, 2)
        while loop.due_fit(profile):
            loop.fit(profile)
    asked = [id_ for each in checkpoint.manifests(profile, "rewardor") for id_ in each.more["expected"]]
    assert len(asked) == len(set(asked))
    assert set(profile.labels().id.tolist()) - known <= set(asked)


def test_nothing_is_expected_of_a_pair_whose_answer_was_known_and_taken_back(profile: Profile) -> None:
    give(profile, "left")
    loop.fit(profile)
    before = len(foresight.foreseen(profile))
    profile.undo("next", "me")
    assert len(foresight.foreseen(profile)) == before - 1
    last = profile.label_events()
    again = {"left": last.left[-1], "right": last.right[-1], "labeler": "me"}
    profile.add_votes([Vote(id="again", answer="right", **again)])
    loop.fit(profile)
    assert newest(profile).more["expected"] == {}


def test_another_model_begins_anew(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config())
    profile.add_votes([Vote(id=f"{n}", left="a", right="b", answer="left", labeler="ann") for n in range(2)])
    counts = []
    for model, expected in (("old", {"0": 0.8}), ("old", {"1": 0.7}), ("new", {"1": 0.6})):
        made = {"metrics": {}, "model": model, "labelers": ["ann"], "expected": expected}
        checkpoint.commit(profile, "rewardor", {"w": torch.zeros(1)}, made)
        counts.append(len(foresight.foreseen(profile)))
    assert counts == [1, 2, 1]
