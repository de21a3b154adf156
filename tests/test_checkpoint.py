import json
import math
import random
import threading
from pathlib import Path

import pytest
import torch

from pipeline import checkpoint
from pipeline.checkpoint import CheckpointError
from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.store import Store, StoreError

STATE = {
    "mean": torch.linspace(-1, 1, 300).reshape(30, 10),
    "half": torch.arange(7, dtype=torch.bfloat16),
    "count": torch.tensor(3),
    "mask": torch.tensor([True, False]),
    "none": torch.zeros(0, 4),
}


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile.create(tmp_path, "p", Config())


def commit(profile: Profile, value: float = 0.0, **manifest: object) -> int:
    return checkpoint.commit(profile, "rewardor", {"w": torch.full((100,), value)}, manifest)


def again(profile: Profile) -> Profile:
    """The same profile, as a process that has just started sees it."""
    return Profile.open(profile.root, profile.name)


def flip(path: Path, seed: int) -> None:
    data = bytearray(path.read_bytes())
    bit = random.Random(seed).randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_a_state_comes_back_exactly(profile: Profile) -> None:
    number = checkpoint.commit(profile, "rewardor", STATE, {})
    loaded = checkpoint.weights(again(profile), "rewardor", number)
    assert loaded.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_views_and_shared_memory_are_committed_by_value(profile: Profile) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    number = checkpoint.commit(profile, "generator", {"a": base, "b": base.T, "c": base[:, 1]}, {})
    loaded = checkpoint.weights(profile, "generator", number)
    assert torch.equal(loaded["b"], base.T)
    assert torch.equal(loaded["c"], base[:, 1])


def test_a_model_without_state_has_versions_too(profile: Profile) -> None:
    assert checkpoint.weights(profile, "generator", checkpoint.commit(profile, "generator", {}, {})) == {}


def test_versions_count_from_one_and_the_newest_is_found(profile: Profile) -> None:
    assert checkpoint.newest(profile, "rewardor") is None
    assert [commit(profile, snapshot={"labels": n}) for n in range(3)] == [1, 2, 3]
    newest = checkpoint.newest(again(profile), "rewardor")
    assert newest is not None
    assert (newest.number, newest.snapshot) == (3, {"labels": 2})
    assert checkpoint.newest(profile, "generator") is None


def test_a_manifest_keeps_what_it_was_given(profile: Profile) -> None:
    commit(
        profile, metrics={"loss": 0.25, "bad": math.nan, "worse": math.inf}, snapshot={"labels": 4}, note="hand made"
    )
    [manifest] = checkpoint.manifests(again(profile), "rewardor")
    assert manifest.metrics["loss"] == 0.25
    assert math.isnan(manifest.metrics["bad"])
    assert math.isnan(manifest.metrics["worse"])
    assert manifest.snapshot == {"labels": 4}
    assert manifest.more == {"note": "hand made"}
    assert manifest.time > 1.7e9


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_refused(profile: Profile, value: float) -> None:
    with pytest.raises(CheckpointError, match="not finite: w"):
        commit(profile, value)
    assert checkpoint.manifests(profile, "rewardor") == []
    assert profile.store.list("rewardor/") == []


def test_weights_stay_for_the_newest_three_and_every_tenth_manifests_for_ever(profile: Profile) -> None:
    for value in range(24):
        commit(profile, value)
    kept = [key[9:15] for key in profile.store.list("rewardor/") if key.endswith(".safetensors")]
    assert kept == ["000010", "000020", "000022", "000023", "000024"]
    assert [manifest.number for manifest in checkpoint.manifests(profile, "rewardor")] == list(range(1, 25))
    assert checkpoint.weights(profile, "rewardor", 10)["w"][0] == 9
    with pytest.raises(CheckpointError, match="version 11 were not kept"):
        checkpoint.weights(profile, "rewardor", 11)
    with pytest.raises(CheckpointError, match="no version 25"):
        checkpoint.weights(profile, "rewardor", 25)


def test_a_commit_cut_before_its_manifest_is_no_version_and_its_number_is_not_used_again(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(profile)
    put = Store.put

    def full(self: Store, key: str, data: bytes) -> None:
        if key.endswith(".json"):
            raise StoreError("disk full")
        put(self, key, data)

    monkeypatch.setattr(Store, "put", full)
    with pytest.raises(StoreError):
        commit(profile)
    monkeypatch.undo()
    assert [manifest.number for manifest in checkpoint.manifests(again(profile), "rewardor")] == [1]
    assert commit(profile) == 3


def test_two_trainers_at_once_make_two_histories_of_one(profile: Profile) -> None:
    numbers: list[int] = []

    def train(own: Profile, value: float) -> None:
        numbers.extend(commit(own, value + step, snapshot={"value": value + step}) for step in range(8))

    threads = [threading.Thread(target=train, args=(again(profile), 100.0 * number)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(numbers)) == 24
    for manifest in checkpoint.manifests(profile, "rewardor")[-3:]:
        loaded = checkpoint.weights(profile, "rewardor", manifest.number)
        assert loaded["w"][0] == manifest.snapshot["value"]


def test_not_one_of_200_flipped_bits_in_weights_is_loaded(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    commit(profile, 1.0)
    number = commit(profile, 2.0)
    manifest = checkpoint.newest(profile, "rewardor")
    assert manifest is not None
    path = profile.path / manifest.weights
    intact, note = path.read_bytes(), (profile.path / "rewardor" / "000002.json").read_bytes()
    for seed in range(200):
        path.write_bytes(intact)
        (profile.path / "rewardor" / "000002.json").write_bytes(note)
        flip(path, seed)
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint.weights(again(profile), "rewardor", number)
    assert checkpoint.newest(again(profile), "rewardor") == checkpoint.manifests(profile, "rewardor")[0]


def test_damaged_weights_are_quarantined_and_the_version_before_is_used(profile: Profile) -> None:
    for value in (1.0, 2.0):
        commit(profile, value)
    newest = checkpoint.newest(profile, "rewardor")
    assert newest is not None
    flip(profile.path / newest.weights, 0)
    fresh = again(profile)
    found = checkpoint.newest(fresh, "rewardor")
    assert found is not None
    assert found.number == 1
    assert checkpoint.weights(fresh, "rewardor", 1)["w"][0] == 1
    assert any(newest.weights in problem for problem in fresh.problems())
    assert commit(fresh, 3.0) == 3


def test_not_one_of_200_flipped_bits_in_a_manifest_changes_it(profile: Profile) -> None:
    commit(profile, metrics={"loss": 0.5}, snapshot={"labels": 7})
    truth = checkpoint.newest(profile, "rewardor")
    path = profile.path / "rewardor" / "000001.json"
    intact = path.read_bytes()
    for seed in range(200):
        path.write_bytes(intact)
        flip(path, seed)
        try:
            assert checkpoint._parse(path.read_bytes()) == truth
        except (ValueError, KeyError, TypeError):
            continue


def test_a_damaged_manifest_is_quarantined(profile: Profile) -> None:
    for value in (1.0, 2.0):
        commit(profile, value)
    path = profile.path / "rewardor" / "000002.json"
    document = json.loads(path.read_text())
    document["manifest"]["snapshot"] = {"labels": 1000}
    path.write_text(json.dumps(document))
    fresh = again(profile)
    assert [manifest.number for manifest in checkpoint.manifests(fresh, "rewardor")] == [1]
    assert [problem.split(":")[0] for problem in fresh.problems()] == ["rewardor/000002.json"]


def test_what_somebody_else_left_among_the_versions_stops_nobody(profile: Profile) -> None:
    commit(profile)
    for name in ("notes.txt", "best.safetensors"):
        (profile.path / "rewardor" / name).write_text("mine")
    assert [commit(profile) for _ in range(4)] == [2, 3, 4, 5]
    assert (profile.path / "rewardor" / "best.safetensors").read_text() == "mine"


def test_looking_again_reads_nothing_again(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(profile)
    fresh = again(profile)
    checkpoint.newest(fresh, "rewardor")
    monkeypatch.setattr(Store, "get", lambda *_: pytest.fail("read again"))
    assert checkpoint.newest(fresh, "rewardor") is not None
