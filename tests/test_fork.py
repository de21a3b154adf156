"""A fork goes on from another profile as it was, and leaves it bit by bit as it is."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline import checkpoint, cluster, evaluate, loop, plugins, shelf, train, unattended
from pipeline.census import listing
from pipeline.config import ConfigError, Plugin
from pipeline.desk import Desk, DeskError
from pipeline.driver import Driver
from pipeline.profile import Profile, ProfileError
from pipeline.roll import failure, join
from tests.life import Here, answer, bytes_of, film, lived, settle

TABLES = ("rollouts", "labels", "films")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    lived(root, "a")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A folder with a profile "a" that has lived."""
    shutil.copytree(made, tmp_path / "profiles")
    return tmp_path / "profiles"


def columns(profile: Profile, table: str) -> dict[str, list]:
    return {name: values.tolist() for name, values in getattr(profile, table)().columns().items()}


def tables(profile: Profile) -> dict[str, dict[str, list]]:
    """All that a fork reads."""
    embedded = profile.embeddings("common", loop.new_rewardor(profile).version)
    found = {name: columns(profile, name) for name in TABLES}
    return found | {"embeddings": {name: values.tolist() for name, values in embedded.columns().items()}}


def unseen(profile: Profile) -> list[str]:
    """Living worlds that its rewardor has not embedded."""
    return loop.unanswered(profile, profile.config.rewardor.name, loop.new_rewardor(profile).version).tolist()


def other_rewardor(folder: Path) -> Path:
    """A rewardor that differs from the one that ships in its name alone."""
    path = folder / "mine.py"
    path.write_text("from models.rewardors.common import Common\n\nclass Mine(Common):\n    version = 7\n")
    return path


def again(profile: Profile) -> Profile:
    return Profile.open(profile.root, profile.name)


def test_a_fork_is_one_file_and_its_key_and_reads_what_the_other_holds(root: Path) -> None:
    before = bytes_of(root / "a")
    fork = shelf.fork(root, "a", "b")
    assert sorted(path.name for path in fork.path.iterdir()) == ["profile.toml", "secret.key"]
    parent = Profile.open(root, "a")
    assert tables(again(fork)) == tables(parent)
    assert fork.key != parent.key
    film_ = fork.films().file[0]
    assert fork.film_bytes(film_) == parent.film_bytes(film_)
    assert bytes_of(root / "a") == before


def test_a_whole_life_of_a_fork_leaves_the_other_as_it_is(root: Path) -> None:
    before = bytes_of(root / "a")
    fork = shelf.fork(root, "a", "b", ["generator.name=gibbs", "generator.kl=2.0"])
    assert fork.config.generator == Plugin(name="gibbs", options={"kl": 2.0})
    assert loop.due_fit(fork)
    assert not unseen(fork), "embeddings of the same rewardor are reused"
    settle(fork)
    answer(fork, 6, who="you")
    film(fork, 12)
    fork.undo("me0", "you")
    fork.pause("rewardor")
    fork.resume("rewardor")
    settle(fork)
    fork.compact(grace_s=0)
    with fork.claim("page"), fork.claim("train"):
        assert not Profile.open(root, "a").held("page")
    assert bytes_of(root / "a") == before
    assert loop.settled(fork)
    labels = again(fork).labels()
    assert labels.id.tolist() == [f"me{n}" for n in range(1, 12)] + [f"you{n}" for n in range(12, 18)]
    assert "me0" in Profile.open(root, "a").labels().id


def test_models_are_the_forks_own_and_numbered_after_those_that_rows_name(root: Path) -> None:
    parent, fork = Profile.open(root, "a"), shelf.fork(root, "a", "b")
    last = {role: checkpoint.manifests(parent, role)[-1].number for role in checkpoint.ROLES}
    assert [checkpoint.newest(fork, role) for role in checkpoint.ROLES] == [None, None]
    settle(fork)
    for role in checkpoint.ROLES:
        assert checkpoint.manifests(again(fork), role)[0].number == last[role] + 1


def test_another_rewardor_finds_the_worlds_due_again(root: Path) -> None:
    fork = shelf.fork(root, "a", "b", [f"rewardor.name={other_rewardor(root.parent)}"])
    alive = fork.rollouts().id[fork.rollouts().status == "alive"]
    assert set(unseen(fork)) == set(alive)
    assert loop.waits_for_embeddings(fork)
    assert not loop.due_fit(fork), "there is nothing to learn from yet"
    assert train.step(fork, "rewardor") is None
    embed(fork, alive[:8])
    assert train.step(fork, "rewardor") is not None
    few = checkpoint.newest(fork, "rewardor").snapshot
    assert 0 < few["used"] < few["labels"] == 12
    assert not loop.due_fit(fork)
    embed(fork, alive[8:])
    assert loop.due_fit(fork), "more of the answers can be learned from"
    settle(fork)
    assert not unseen(fork)
    assert not loop.waits_for_embeddings(fork)
    assert checkpoint.newest(fork, "rewardor").snapshot["used"] == 12


def embed(profile: Profile, worlds: np.ndarray) -> None:
    """Let the rewardor, a copy of the other profile's, see some worlds."""
    parent = Profile.open(profile.root, "a")
    seen = parent.embeddings("common", loop.new_rewardor(parent).version)
    name, version = profile.config.rewardor.name, loop.new_rewardor(profile).version
    profile.add_embeddings(name, version, seen.where(np.isin(seen.rollout.astype(str), worlds.astype(str))))


class Trained(Here):
    """A pool beside which both models train, and which evaluates."""

    def __init__(self, sim, profile: Profile) -> None:
        super().__init__(sim)
        self.profile = profile

    def __call__(self, *args, **how):
        return self.roll(*args, **how)

    def spread(self, places: dict) -> None:
        assert places == {"here": 2}

    def collect(self, timeout: float) -> list:
        for role in checkpoint.ROLES:
            train.step(self.profile, role)
        return super().collect(timeout)


def test_a_program_answers_in_a_fork_and_leaves_the_other_as_it_is(root: Path, monkeypatch) -> None:
    before = bytes_of(root / "a")
    fork = shelf.fork(root, "a", "b", [f"rewardor.name={other_rewardor(root.parent)}"])
    sim = plugins.load("sims", fork.config.sim.name, fork.config.sim.options)
    monkeypatch.setattr(unattended, "Pool", lambda *_, **__: Trained(sim, fork))
    for name, few in {"RIVALS": 40, "EMITTED": 20, "VARIED": 8}.items():
        monkeypatch.setattr(evaluate, name, few)
    monkeypatch.setattr(cluster, "nodes", lambda: {"here": 2.0})
    judge, plan = plugins.load("oracles", "movers", {}), cluster.plan(cluster.nodes(), train=True, actor=0.5)
    rows = unattended._Run(fork, "movers", judge, plan, 30, None).go()
    assert [row["labels"] for row in rows][-1] == 30
    found = again(fork).labels().labeler.tolist()
    assert found == ["me"] * 12 + ["oracle"] * 18
    assert loop.settled(fork)
    assert not unseen(fork)
    assert bytes_of(root / "a") == before


def test_questions_that_are_new_are_put_to_old_worlds(root: Path) -> None:
    fork = shelf.fork(root, "a", "b")
    sim = plugins.load("sims", fork.config.sim.name, fork.config.sim.options)
    driver = Driver(fork, sim, Here(sim), ask={"brightness": lambda clip: clip.float().mean((1, 2, 3, 4))[:, None]})
    alive = set(fork.rollouts().id[fork.rollouts().status == "alive"])
    assert driver.unanswered() == alive
    for _ in range(4):
        driver.tick(0)
    assert set(fork.embeddings("brightness", 1).rollout) == alive
    assert not driver.unanswered()


def test_worlds_that_do_not_live_twice_are_not_tried_for_ever(root: Path) -> None:
    fork = shelf.fork(root, "a", "b")
    sim = plugins.load("sims", fork.config.sim.name, fork.config.sim.options)
    pool = Here(sim)
    pool.roll = lambda unit, _seeds, ask, _film: join([failure("gone")] * len(unit), ask)
    driver = Driver(fork, sim, pool, ask={"brightness": lambda clip: clip.float().mean((1, 2, 3, 4))[:, None]})
    for _ in range(4):
        driver.tick(0)
    assert not driver.unanswered()
    assert not pool.keys


def test_what_comes_later_to_the_other_never_appears(root: Path) -> None:
    parent, fork = Profile.open(root, "a"), shelf.fork(root, "a", "b")
    before = tables(fork)
    answer(parent, 8)
    film(parent, 12)
    settle(parent)
    parent.undo("me1", "me")
    later = parent.films().file[-1]
    assert tables(again(fork)) == before
    assert len(parent.labels().id) > len(fork.labels().id)
    # Merged parts hold rows from before and after the fork.
    for table in parent.tables().values():
        table.compact(grace_s=0, above=1)
        table.compact(grace_s=0, above=1)
    assert len(list((root / "a" / "labels").iterdir())) == 1
    assert tables(again(fork)) == before
    assert later not in fork.films().file


def test_rows_of_a_fork_stand_behind_those_that_it_went_on_from(root: Path) -> None:
    fork = shelf.fork(root, "a", "b")
    answer(fork, 3, who="you")
    labels = again(fork).labels()
    assert np.all(np.diff(labels.sequence) > 0)
    assert labels.id.tolist()[-3:] == ["you12", "you13", "you14"]
    repeated = fork.add_votes([])
    assert repeated == []


def test_forks_of_forks_read_each_up_to_its_moment(root: Path) -> None:
    first = shelf.fork(root, "a", "b")
    answer(first, 2, who="b")
    second = shelf.fork(root, "b", "c", ["seed=5"])
    answer(first, 2, who="late")
    answer(Profile.open(root, "a"), 2, who="later")
    answer(second, 2, who="c")
    third = shelf.fork(root, "c", "d")
    before = bytes_of(root)
    settle(third)
    expected = [f"me{n}" for n in range(12)] + ["b12", "b13", "c14", "c15"]
    assert again(third).labels().id.tolist() == expected
    assert third.config.seed == 5
    assert {key: data for key, data in bytes_of(root).items() if not key.startswith("d/")} == {
        key: data for key, data in before.items() if not key.startswith("d/")
    }


def test_a_damaged_part_of_the_other_is_named_and_stays_where_it_is(root: Path) -> None:
    fork = shelf.fork(root, "a", "b")
    part = sorted((root / "a" / "labels").iterdir())[0]
    part.write_bytes(part.read_bytes()[:-3])
    before = bytes_of(root / "a")
    assert len(fork.labels().id) == 6
    assert [line.startswith(f"a/labels/{part.name}: ") for line in fork.problems()] == [True]
    fork.compact(grace_s=0)
    assert bytes_of(root / "a") == before


def test_a_damaged_film_of_the_other_stays_where_it_is(root: Path) -> None:
    fork = shelf.fork(root, "a", "b")
    file = fork.films().file[0]
    (root / "a" / "films" / "_mp4" / file).write_bytes(b"rotten")
    before = bytes_of(root / "a")
    with pytest.raises(ProfileError, match="was damaged"):
        fork.film_bytes(file)
    assert bytes_of(root / "a") == before


@pytest.mark.parametrize("setting", ["sim.name=lenia", "sim.steps=40"])
def test_another_simulation_is_refused(root: Path, setting: str) -> None:
    with pytest.raises(ProfileError, match="a fork keeps the simulation"):
        shelf.fork(root, "a", "b", [setting])
    assert listing(root) == ["a"]
    assert not (root / "b").exists()


@pytest.mark.parametrize(
    ("source", "name", "settings", "message"),
    [
        ("x", "b", [], 'no profile "x"'),
        ("a", "a", [], 'there is a profile "a"'),
        ("a", "../b", [], "cannot be called"),
        ("a", "b", ["generator.name=gibs"], "unknown generator"),
        ("a", "b", ["parents=[]"], "cannot be set"),
        ("a", "b", ["rollouts.prior=-1"], "rollouts.prior is -1"),
    ],
)
def test_a_fork_that_makes_no_sense_leaves_nothing(root: Path, source, name, settings, message) -> None:
    with pytest.raises((ProfileError, ConfigError), match=message):
        shelf.fork(root, source, name, settings)
    assert [path.name for path in root.iterdir()] == ["a"]


def test_a_fork_whose_parent_is_gone_says_so(root: Path) -> None:
    shelf.fork(root, "a", "b")
    shelf.fork(root, "b", "c")
    (root / "a").rename(root / "moved")
    for name in ("b", "c"):
        with pytest.raises(ProfileError, match=rf'"{name}" cannot be read: it was forked from "a", .*put it back'):
            Profile.open(root, name)
    assert 'was forked from "a"' in shelf.table(root)
    shelf.create(root, "a")
    with pytest.raises(ProfileError, match=r'forked from "a", and .* is another profile by now'):
        Profile.open(root, "b")
    shutil.rmtree(root / "a")
    (root / "moved").rename(root / "a")
    assert len(Profile.open(root, "c").labels().id) == 12


def test_settings_of_a_fork_change_like_those_of_any_profile(root: Path) -> None:
    fork = shelf.fork(root, "a", "b")
    changed = shelf.opened(root, "b", ["generator.keep=0.2", "rollouts.per_label=9"])
    assert changed.config.parents == fork.config.parents
    assert changed.config.generator.options == {"keep": 0.2}
    with pytest.raises(ProfileError, match="sim cannot change any more"):
        shelf.opened(root, "b", ["sim.steps=40"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "../a"\nmark = ""\nupto = {}', "parents.0.name is '../a'"),
        ('name = "a"\nmark = ""\nupto = {labels = "x"}', "parents.0.upto.labels is 'x'"),
        ('name = "a"\nmark = ""\nupto = {}\nmore = 1', 'unknown key "parents.0.more"'),
        ('name = "a"\nupto = {}', "parents.0.mark is missing"),
    ],
)
def test_spoiled_parents_are_named(root: Path, text: str, message: str) -> None:
    shelf.fork(root, "a", "b")
    (root / "b" / "profile.toml").write_text(f"[[parents]]\n{text}\n")
    with pytest.raises(ConfigError, match=message):
        Profile.open(root, "b")


def test_pairs_that_were_handed_out_before_are_of_the_other(root: Path) -> None:
    parent, fork = Profile.open(root, "a"), shelf.fork(root, "a", "b")
    film(parent, 12)
    desk = Desk(parent)
    desk.wanted()
    [pair] = desk.offer("me", 1)
    with pytest.raises(DeskError, match="not of this profile"):
        Desk(fork).vote(pair.token, "left", "me", 900, 0)
    assert Desk(parent).vote(pair.token, "left", "me", 900, 0).saved


def test_a_fork_can_be_killed_at_any_moment(root: Path) -> None:
    before = bytes_of(root / "a")
    code = "import sys, os; from pathlib import Path; from pipeline import shelf\n"
    code += "for n in range(10**6): shelf.fork(Path(sys.argv[1]), 'a', f'f{n}', ['seed=1']); os.write(1, b'!')"
    with subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
    names = listing(root)
    assert len(names) > 1
    for name in names:
        assert len(Profile.open(root, name).labels().id) == 12
    unfinished = {path.name for path in root.iterdir()} - set(names)
    for name in unfinished:
        assert len(shelf.fork(root, "a", name).labels().id) == 12
    assert bytes_of(root / "a") == before
