"""What `alife tune` leaves behind."""

from pathlib import Path

import pytest

from pipeline import cluster, tuning
from pipeline.store import StoreError
from tests.test_tune import judged


def test_ray_is_left_even_if_something_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(tmp_path, "one")
    left: list[bool] = []

    def search(*_: object) -> str:
        raise StoreError("the disk is full")

    monkeypatch.setattr(tuning, "_search", search)
    monkeypatch.setattr(cluster, "stop", lambda: left.append(True))
    with pytest.raises(StoreError):
        tuning.run(tmp_path, ["one"], ["rewardor"])
    assert left == [True]
