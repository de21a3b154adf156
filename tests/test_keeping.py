"""The verbs that keep profiles, as people type them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import film
from pipeline.profile import Profile
from tests.life import bytes_of, lived, settle

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    lived(root, "a")
    return root


@pytest.fixture(autouse=True)
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a profile "a" that has lived."""
    shutil.copytree(made, tmp_path / "profiles")
    monkeypatch.setenv("ALIFE_ROOT", str(tmp_path / "profiles"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "profiles"


def test_a_fork_is_made_compared_sent_and_received(alife: Call, root: Path, tmp_path: Path) -> None:
    before = bytes_of(root / "a")
    status, out, _ = alife("fork", "a", "b", "--set", "generator.name=gibbs", "--set", "generator.kl=2")
    assert status == 0
    assert "goes on from 12 labels and 80 worlds of a. Next: alife train b" in out
    settle(Profile.open(root, "b"))

    status, out, err = alife("compare", "a", "b", "--n", "20", "--seed", "3")
    assert status == 0
    assert "wins, by the taste of a" in out
    assert "Film: compare/a-b.mp4" in out
    assert "Simulating 20 worlds of each" in err
    assert len(film.decode((tmp_path / "compare" / "a-b.mp4").read_bytes())) == film.FRAMES

    status, out, _ = alife("export", "b", "b.zip")
    assert status == 0
    assert "files into b.zip" in out
    shutil.rmtree(root / "b")
    status, out, _ = alife("import", "b.zip", "--trust")
    assert status == 0
    assert "with 12 labels and" in out
    assert Profile.open(root, "b").config.generator.options == {"kl": 2}
    assert bytes_of(root / "a") == before


def test_an_archived_profile_is_listed_only_with_all(alife: Call) -> None:
    told = alife("archive", "a")[1]
    assert "put it back: alife archive a --back" in told
    assert "Somebody runs it" not in told
    assert "No profiles" in alife("list")[1]
    assert "a (archived)" in alife("list", "--all")[1]
    assert alife("status", "a")[0] == 0
    assert "listed again" in alife("archive", "a", "--back")[1]
    assert "a (archived)" not in alife("list")[1]
    assert "tests.sims.toy:Toy" in alife("list")[1]


def test_who_archives_a_profile_that_runs_is_told(alife: Call, root: Path) -> None:
    with Profile.open(root, "a").claim("page"):
        assert "Somebody runs it now" in alife("archive", "a")[1]


def test_what_cannot_be_compared_is_refused_before_anything_begins(alife: Call, tmp_path: Path) -> None:
    _, _, err = alife("compare", "a", "a")
    assert "Simulating" not in err
    assert not (tmp_path / "compare").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fork", "a", "b", "--set", "sim.steps=40"), "a fork keeps the simulation"),
        (("fork", "x", "b"), 'no profile "x"'),
        (("fork", "a", "a"), 'there is a profile "a"'),
        (("compare", "a", "x"), 'no profile "x"'),
        (("compare", "a", "a"), "takes two"),
        (("archive", "x"), 'no profile "x"'),
        (("export", "x", "x.zip"), 'no profile "x"'),
        (("export", "a", "nowhere/x.zip"), "not written"),
        (("import", "nothing.zip"), "there is no file"),
        (("import", "profiles/a/profile.toml"), "not a zip"),
    ],
)
def test_mistakes_are_one_sentence(alife: Call, root: Path, words: tuple[str, ...], message: str) -> None:
    before = bytes_of(root)
    status, out, err = alife(*words)
    assert (status, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert bytes_of(root) == before


def test_code_from_elsewhere_is_named_before_it_could_run(alife: Call, root: Path) -> None:
    alife("export", "a", "a.zip")
    status, _, err = alife("import", "a.zip", "b")
    assert status == 2
    assert 'it would run the sim "tests.sims.toy:Toy" with' in err
    assert "--trust" in err
    assert sorted(path.name for path in root.iterdir()) == ["a"]


def test_what_is_damaged_is_left_out_and_named(alife: Call, root: Path) -> None:
    part = sorted((root / "a" / "labels").iterdir())[0]
    part.write_bytes(b"rotten")
    status, _, err = alife("export", "a", "a.zip")
    assert status == 0
    assert f"Left out: labels/{part.name}: " in err
