"""What may not happen to a profile by a careless command, and that a folder of another kind than was meant is said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import run, shelf
from pipeline.profile import Profile, ProfileError
from pipeline.store import Store
from pipeline.studio import RunningStudio
from tests.life import worlds

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the profiles of a test are."""
    monkeypatch.setenv("ALIFE_ROOT", str(tmp_path / "profiles"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "profiles"


@pytest.fixture
def mine(alife: Call, root: Path) -> Profile:
    """A profile."""
    alife("new", "mine")
    return Profile.open(root, "mine")


def leave_remains(profile: Profile) -> None:
    """Worlds, a damaged answer, and no profile.toml."""
    worlds(profile, 4)
    (profile.path / "labels").mkdir()
    (profile.path / "labels" / f"{0:012}-{0:012}-{0:016}.parquet").write_bytes(b"PAR1 no more")
    (profile.path / "profile.toml").unlink()


@pytest.mark.parametrize("role", ["page", "train"])
def test_settings_stay_while_somebody_runs_the_profile(alife: Call, mine: Profile, role: str) -> None:
    before = (mine.path / "profile.toml").read_bytes()
    with mine.claim(role):  # type: ignore[arg-type]
        status, _, err = alife("run", "mine", "--set", "sim.name=boids")
        assert shelf.opened(mine.root, "mine", ["sim.name=lenia"]).config == mine.config  # as it is already
    assert status == 2
    assert f'profile "mine" runs already: the role "{role}" is held by process' in err
    assert (mine.path / "profile.toml").read_bytes() == before
    assert shelf.opened(mine.root, "mine", ["sim.name=boids"]).config.sim.name == "boids"


def test_nothing_is_made_of_what_is_left_of_a_profile(alife: Call, mine: Profile) -> None:
    leave_remains(mine)
    status, _, err = alife("new", "mine", "--sim", "boids")
    assert status == 2
    assert "all is there but its profile.toml; see: alife doctor mine" in err
    assert alife("run", "mine")[0] == 2
    studio = RunningStudio(mine.root, Profile.create(mine.root, "other", mine.config), train=False)
    with pytest.raises(ProfileError, match="alife doctor mine"):
        studio.create("mine", "boids", "common", "gibbs")
    studio._claims.close()  # it never started
    assert not (mine.path / "profile.toml").exists()


def test_a_profile_that_cannot_be_opened_takes_nothing_from_the_one_that_runs(mine: Profile, tmp_path: Path) -> None:
    lost = tmp_path / "lost.py"
    lost.touch()
    bad = shelf.create(mine.root, "bad", [f"sim.name={lost}"])
    lost.unlink()
    studio = RunningStudio(mine.root, mine, train=True)
    with pytest.raises(ValueError, match="there is no such file"):
        studio.open("bad")
    assert studio.profile is mine
    assert [(each.held("page"), each.held("train")) for each in (mine, bad)] == [(True, True), (False, False)]
    studio._claims.close()


def test_worlds_of_another_simulation_are_not_gone_on_from(mine: Profile) -> None:
    worlds(mine, 4)  # of three parameters, where Lenia has twelve
    with pytest.raises(ProfileError, match=r"have 3 parameters, those of lenia have 12: .* alife doctor mine"):
        RunningStudio(mine.root, Profile.open(mine.root, "mine"), train=False)
    assert not mine.held("page")


def test_the_doctor_looks_at_a_profile_without_its_settings(alife: Call, mine: Profile) -> None:
    leave_remains(mine)
    status, out, _ = alife("doctor", "mine", "--repair")
    assert status == 1
    assert "profile.toml: it is not there; " in out
    assert len(list((mine.path / "quarantine" / "labels").glob("*.parquet"))) == 1


def test_a_profile_that_nobody_may_look_into_hides_no_other(alife: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    alife("new", "mine")
    alife("new", "shut")
    look = Store.exists

    def exists(store: Store, key: str) -> bool:
        if "shut" in str(store.root / key):
            raise PermissionError(13, "Permission denied", key)
        return look(store, key)

    monkeypatch.setattr(Store, "exists", exists)
    status, out, _ = alife("list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["mine", "shut"]


def test_a_change_of_settings_does_not_hide_that_a_run_was_killed(mine: Profile) -> None:
    (mine.path / "page.lock").write_text(json.dumps({"pid": 1, "host": "here"}))  # as a killed process leaves it
    shelf.opened(mine.root, "mine", ["rollouts.prior=301"])
    events = mine.events()
    assert [text for text in events.text[events.kind == "recovered"] if "ended without a word" in text]


@pytest.mark.parametrize(
    "words", [("new", "mine", "--sim", "lenia", "--set", "sim.size=0"), ("gallery", "lenia", "--set", "size=0")]
)
def test_options_that_leave_a_simulation_no_ranges_are_refused(alife: Call, root: Path, words: tuple[str, ...]) -> None:
    status, _, err = alife(*words)
    assert status == 2
    assert 'sim "lenia" refuses its options: radius: low' in err
    assert not (root / "mine").exists()


@pytest.mark.parametrize("words", [("--sim", "nowhere.py"), ("--set", 'sim.name="nowhere.py"')])
def test_a_file_that_is_not_there_makes_no_profile(alife: Call, root: Path, words: tuple[str, ...]) -> None:
    status, _, err = alife("new", "mine", *words)
    assert status == 2
    assert 'nowhere.py": there is no such file' in err
    assert not (root / "mine").exists()


@pytest.mark.parametrize("words", [("list",), ("new", "x"), ("status", "x"), ("run", "x"), ("import", "x.zip")])
def test_a_file_where_a_folder_should_be_is_one_sentence(alife: Call, root: Path, words: tuple[str, ...]) -> None:
    root.touch()
    status, out, err = alife(*words)
    assert (status, out) == (2, "")
    assert err.startswith("alife: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("report", [".", "nowhere/x.json"])
def test_a_report_that_cannot_be_written_is_said_before_the_work(alife: Call, mine: Profile, report: str) -> None:
    status, _, err = alife("run", "mine", "--oracle", "movers", "--report", report)
    assert status == 2
    assert "the report needs a file in a folder that is there" in err
    assert not mine.rollouts().id.size


def test_a_profile_that_nobody_can_hold_is_one_sentence(alife: Call, mine: Profile) -> None:
    (mine.path / "train.lock").mkdir()  # what a folder without rights says, to whoever has all of them
    status, _, err = alife("train", "mine")
    assert (status, err) == (2, f"alife: {mine.path / 'train.lock'}: Is a directory\n")


def test_one_profile_that_cannot_be_read_hides_no_other(alife: Call, mine: Profile) -> None:
    alife("new", "bad")
    (mine.root / "bad" / "labels").touch()  # type: ignore[operator]
    status, out, _ = alife("list")
    assert status == 0
    assert "labels cannot be listed: Not a directory" in out
    assert "mine" in out


def test_status_has_a_line_for_each_problem(alife: Call, mine: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = run.status(mine.root, "mine") | {"problems": ["a: rotten", "b: rotten"]}
    monkeypatch.setattr(run, "status", lambda *_: facts)
    assert "problems   a: rotten\n           b: rotten\n" in alife("status", "mine")[1]
