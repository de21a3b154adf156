import json
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import profile as profiles
from pipeline.config import Config, ConfigError, Plugin
from pipeline.profile import Profile, ProfileBusyError, ProfileError
from pipeline.rows import EmbeddingTable, RolloutTable, Vote


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile.create(tmp_path, "p", Config())


def again(profile: Profile) -> Profile:
    """The same profile, as a process that has just started sees it."""
    return Profile.open(profile.root, profile.name)


def vote(id_: str, answer: str = "left", **fields: object) -> Vote:
    return Vote(id=id_, left="a", right="b", answer=answer, labeler="me", **fields)  # type: ignore[arg-type]


def worlds(profile: Profile, block: int, seeds: list[int], status: str = "alive") -> RolloutTable:
    count = len(seeds)
    unit = np.random.default_rng(seeds).random((count, 3), np.float32)
    ids = [profile.rollout_id(row, seed) for row, seed in zip(unit, seeds, strict=True)]
    return RolloutTable(
        id=np.array(ids, object),
        block=np.full(count, block),
        unit=unit,
        seed=np.array(seeds),
        status=np.array([status] * count, object),
        origin=np.array(["prior"] * count, object),
        generator=np.full(count, -1),
        time=np.full(count, 1.5),
        error=np.array([""] * count, object),
    )


# -- making and finding -----------------------------------------------------------------------------------------------


def test_a_profile_is_found_again_with_its_settings(tmp_path: Path) -> None:
    made = Profile.create(tmp_path, "one", Config(seed=7, generator=Plugin(name="filter")))
    Profile.create(tmp_path, "two", Config())
    found = Profile.open(str(tmp_path), "one")
    assert found.config == Config(seed=7, generator=Plugin(name="filter"))
    assert found.key == made.key
    assert profiles.listing(tmp_path) == ["one", "two"]
    with pytest.raises(ProfileError, match='there is a profile "one" already'):
        Profile.create(tmp_path, "one", Config())


def test_a_profile_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="there are none yet"):
        Profile.open(tmp_path / "nowhere", "lenia")
    Profile.create(tmp_path, "lenia", Config())
    with pytest.raises(ProfileError, match=r'no profile "lena" in .* \(did you mean "lenia"\?\); there are: lenia'):
        Profile.open(tmp_path, "lena")


@pytest.mark.parametrize("name", ["../p", "P", "", "a/b"])
def test_names_that_would_leave_the_root_are_refused(tmp_path: Path, name: str) -> None:
    for attempt in (lambda: Profile.open(tmp_path, name), lambda: Profile.create(tmp_path, name, Config())):
        with pytest.raises(ConfigError, match="cannot be called"):
            attempt()
    assert list(tmp_path.iterdir()) == []


def test_a_profile_with_an_unknown_simulation_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='unknown sim "lena"'):
        Profile.create(tmp_path, "p", Config(sim=Plugin(name="lena")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"seed = 'x'", b"\xff\xfe", b"seed ="])
def test_a_spoiled_profile_toml_is_named(profile: Profile, text: bytes) -> None:
    (profile.path / "profile.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=r"p/profile\.toml: "):
        again(profile)


def test_without_a_profile_toml_there_is_no_profile(profile: Profile) -> None:
    (profile.path / "profile.toml").unlink()
    assert profiles.listing(profile.root) == []
    with pytest.raises(ProfileError, match="no profile"):
        again(profile)


def test_the_key_is_secret_and_made_once(tmp_path: Path) -> None:
    profile = Profile.create(tmp_path, "p", Config())
    path = profile.path / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(profile.key) == 32
    path.unlink()
    others = [again(profile) for _ in range(8)]
    threads = [threading.Thread(target=lambda other=other: other.key) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {other.key for other in others} == {path.read_bytes()}


def test_a_profile_travels_to_other_processes_by_name(profile: Profile) -> None:
    profile.add_votes([vote("1")])
    copy = pickle.loads(pickle.dumps(profile))
    assert copy.labels().id.tolist() == ["1"]
    assert len(pickle.dumps(profile)) < 2000


# -- worlds -----------------------------------------------------------------------------------------------------------


def test_worlds_stand_in_order_of_block_whoever_came_first(profile: Profile) -> None:
    late, early = worlds(profile, 2, [5, 6]), worlds(profile, 0, [1, 2, 3])
    profile.add_rollouts(late)
    profile.add_rollouts(early)
    table = again(profile).rollouts()
    assert table.id.tolist() == [*early.id, *late.id]
    assert np.array_equal(table.unit, np.concatenate([early.unit, late.unit]))
    assert table.unit.dtype == np.float32
    assert table.seed.tolist() == [1, 2, 3, 5, 6]
    assert table.block.tolist() == [0, 0, 0, 2, 2]


def test_a_world_that_is_rolled_out_twice_counts_once(profile: Profile) -> None:
    profile.add_rollouts(worlds(profile, 0, [1, 2]))
    profile.add_rollouts(worlds(profile, 0, [1, 2], status="failed"))
    again(profile).add_rollouts(worlds(profile, 1, [1, 2]))
    assert profile.rollouts().status.tolist() == ["alive", "alive"]


def test_a_world_is_called_by_its_simulation_parameters_and_seed(profile: Profile, tmp_path: Path) -> None:
    unit = np.array([0.1, 0.2], np.float32)
    id_ = profile.rollout_id(unit, 1)
    assert id_ == again(profile).rollout_id(unit.copy(), np.int64(1))
    assert Profile.create(tmp_path, "same", Config(seed=9)).rollout_id(unit, 1) == id_
    other = Profile(tmp_path, "other", Config(sim=Plugin(name="lenia", options={"size": 96})))
    unlike = [profile.rollout_id(unit, 2), profile.rollout_id(unit[::-1], 1), other.rollout_id(unit, 1)]
    assert len({id_, *unlike}) == 4


def test_worlds_of_another_shape_are_refused(profile: Profile) -> None:
    profile.add_rollouts(worlds(profile, 0, [1]))
    table = worlds(profile, 1, [2])
    wide = RolloutTable(**table.columns() | {"unit": np.zeros((1, 4), np.float32)})
    with pytest.raises(ProfileError, match="3 numbers per unit, not 4"):
        profile.add_rollouts(wide)


def test_tables_can_be_narrowed(profile: Profile) -> None:
    profile.add_rollouts(worlds(profile, 0, [1, 2, 3]))
    table = profile.rollouts()
    assert table.where(table.seed > 1).seed.tolist() == [2, 3]
    assert table.where(np.array([2, 0])).seed.tolist() == [3, 1]


def test_embeddings_are_kept_apart_by_embedder_and_version(profile: Profile) -> None:
    def table(value: float, width: int) -> EmbeddingTable:
        values = np.full((2, width), value, np.float32)
        return EmbeddingTable(np.array(["a", "b"], object), np.array(["s", "s"], object), values)

    profile.add_embeddings("common", 1, table(1, 4))
    profile.add_embeddings("common", 1, table(2, 4))
    profile.add_embeddings("common", 2, table(3, 5))
    profile.add_embeddings("package.module:Class", 1, table(4, 6))
    fresh = again(profile)
    assert fresh.embeddings("common", 1).values.tolist() == [[1] * 4] * 2
    assert fresh.embeddings("common", 2).values.tolist() == [[3] * 5] * 2
    assert fresh.embeddings("package.module:Class", 1).values.shape == (2, 6)
    assert fresh.embeddings("common", 3).values.shape == (0, 0)
    with pytest.raises(ProfileError, match="4 numbers per values, not 5"):
        profile.add_embeddings("common", 1, EmbeddingTable(*table(5, 5).columns().values()))


def test_a_film_is_named_by_its_content(profile: Profile) -> None:
    file = profile.add_film("a", b"mp4", "source", 90, 24.0, 256)
    assert profile.add_film("a", b"mp4", "source", 90, 24.0, 256) == file
    other = profile.add_film("b", b"other", "s2", 120, 30.0, 512)
    table = again(profile).films()
    assert table.rollout.tolist() == ["a", "b"]
    assert table.file.tolist() == [file, other]
    assert (table.frames.tolist(), table.fps.tolist(), table.size.tolist()) == ([90, 120], [24, 30], [256, 512])
    assert profile.film_bytes(file) == (profile.path / "films" / "_mp4" / file).read_bytes() == b"mp4"


@pytest.mark.parametrize("file", ["../secret.key", "", "x.mp4", "0" * 32 + ".mp4", "/etc/passwd"])
def test_only_films_are_served_as_films(profile: Profile, file: str) -> None:
    with pytest.raises(ProfileError, match="no film"):
        profile.film_bytes(file)


def test_a_damaged_film_is_quarantined(profile: Profile) -> None:
    file = profile.add_film("a", b"mp4", "source", 90, 24.0, 256)
    (profile.path / "films" / "_mp4" / file).write_bytes(b"mp5")
    with pytest.raises(ProfileError, match="damaged"):
        profile.film_bytes(file)
    assert (profile.path / "quarantine" / "films" / "_mp4" / file).read_bytes() == b"mp5"
    with pytest.raises(ProfileError, match="no film"):
        profile.film_bytes(file)
    assert file in profile.problems()[0]
    assert again(profile).problems() == profile.problems()
    assert profile.add_film("a", b"mp4", "source", 90, 24.0, 256) == file
    assert profile.film_bytes(file) == b"mp4"


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_worlds_are_kept_as_a_film_and_a_text(profile: Profile) -> None:
    file = profile.add_film("a", b"mp4", "source", 90, 24.0, 256)
    (profile.path / "saved").mkdir()
    (profile.path / "saved" / "a.mp4").write_bytes(b"of a save that was cut short")
    kept = profile.save("a", file, {"mu": 0.15})
    assert profile.save("a", file, {"mu": 0.9}) == kept
    assert again(profile).saved() == [kept]
    assert profile.saved_bytes("a", "mp4") == b"mp4"
    assert json.loads(profile.saved_bytes("a", "json")) == {
        "rollout": "a",
        "film": file,
        "params": {"mu": 0.15},
    }


def test_a_damaged_text_of_a_saved_world_is_quarantined_and_it_can_be_saved_again(profile: Profile) -> None:
    file = profile.add_film("a", b"\0\0\0\x18ftyp", "source", 90, 24.0, 256)
    kept = profile.save("a", file, {"mu": 0.15})
    (profile.path / "saved" / "a.json").write_text('{"rollout')
    fresh = again(profile)
    assert fresh.saved() == []
    assert fresh.problems() == ["saved/a.json: it does not describe the world that its name says"]
    assert profile.save("a", file, {"mu": 0.15}) == kept
    assert again(profile).saved() == [kept]


def test_a_pause_outlives_who_asked_for_it(profile: Profile) -> None:
    assert not profile.paused("rewardor")
    profile.pause("rewardor")
    profile.pause("rewardor")
    assert again(profile).paused("rewardor")
    assert not again(profile).paused("generator")
    again(profile).resume("rewardor")
    assert not profile.paused("rewardor")


def test_a_role_is_held_once_and_says_by_whom(profile: Profile) -> None:
    with profile.claim("train"), profile.claim("page"):
        assert again(profile).held("train")
        with pytest.raises(ProfileBusyError, match=f'"train" is held by process {os.getpid()} on '):
            again(profile).claim("train")
    assert not profile.held("train")


def test_events_are_written_down(profile: Profile) -> None:
    profile.event("error", "one")
    profile.event("error", "one")
    assert again(profile).events().text.tolist() == ["one", "one"]


def test_a_damaged_part_is_moved_away_and_named_and_the_rest_goes_on(profile: Profile) -> None:
    for number in range(3):
        profile.add_votes([vote(str(number))])
    [_, broken, _] = profile.store.list("labels/")
    (profile.path / broken).write_bytes(b"PAR1 no more")
    fresh = again(profile)
    assert fresh.labels().id.tolist() == ["0", "2"]
    assert fresh.add_votes([vote("3")]) == [False]
    expected = [f"{broken}: its bytes do not match the hash in its name"]
    assert fresh.problems() == expected
    assert again(profile).problems() == expected
    assert (profile.path / "quarantine" / broken).read_bytes() == b"PAR1 no more"
    assert pq.read_table(profile.path / "labels")["id"].to_pylist() == ["0", "2", "3"]


def test_a_part_that_cannot_be_read_today_is_not_moved(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    profile.add_votes([vote("1")])
    fresh = again(profile)

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(fresh.store, "get", broken)
    assert fresh.labels().id.tolist() == []
    assert "Input/output error" in fresh._unreadable.popitem()[1]
    monkeypatch.undo()
    assert fresh.labels().id.tolist() == ["1"]


def test_everything_is_merged_and_nothing_lost(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    values = np.ones((1, 4), np.float32)
    for number in range(70):
        profile.add_votes([vote(str(number))])
        profile.add_rollouts(worlds(profile, number, [number]))
        name = np.array([str(number)], object)
        profile.add_embeddings("common", 1, EmbeddingTable(name, name, values * number))
    profile.undo("7", "me")
    before = again(profile)
    truth = before.labels(), before.rollouts(), before.embeddings("common", 1)
    profile.compact()
    profile.compact(grace_s=0)
    for folder in ("labels", "rollouts", "embeddings/common-1"):
        assert len(profile.store.list(f"{folder}/")) == 1
    for fresh in (again(profile), profile):
        after = fresh.labels(), fresh.rollouts(), fresh.embeddings("common", 1)
        for one, other in zip(truth, after, strict=True):
            for name, values in one.columns().items():
                assert np.array_equal(values, other.columns()[name])
    assert not profile.problems()


def test_a_full_disk_puts_merging_off(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for number in range(70):
        profile.event("error", str(number))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    profile.compact(grace_s=0)
    assert len(profile.store.list("events/")) == 70
    monkeypatch.undo()
    profile.compact()
    profile.compact(grace_s=0)
    assert len(profile.store.list("events/")) == 1
    assert again(profile).events().text.tolist() == [str(number) for number in range(70)]


def test_plain_pyarrow_reads_every_table(profile: Profile) -> None:
    profile.add_votes([vote("1"), vote("2")])
    profile.add_rollouts(worlds(profile, 0, [1, 2, 3]))
    profile.add_film("a", b"mp4", "source", 90, 24.0, 256)
    profile.add_embeddings("common", 1, EmbeddingTable(np.array(["a"]), np.array(["s"]), np.ones((1, 4), np.float32)))
    profile.event("error", "one")
    rows = {
        name: pq.read_table(profile.path / name) for name in ("labels", "rollouts", "films", "embeddings", "events")
    }
    assert {name: len(table) for name, table in rows.items()} == {
        "labels": 2, "rollouts": 3, "films": 1, "embeddings": 1, "events": 1,
    }  # fmt: skip
    assert rows["labels"]["answer"].to_pylist() == ["left", "left"]
    assert rows["rollouts"]["sim"].to_pylist() == ["lenia"] * 3
    assert rows["rollouts"]["unit"].to_pylist()[0] == profile.rollouts().unit[0].tolist()
