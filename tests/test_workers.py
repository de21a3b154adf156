"""Several processes fit what one would have fitted."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline import checkpoint, loop, tensors, train
from pipeline.config import Config, Plugin, TrainPlan
from pipeline.profile import Profile
from tests.life import SMALL, answer, settle

PARALLEL = replace(SMALL, rewardor=Plugin(name="ensemble", options={"members": 4}), train=TrainPlan(workers=2))


@pytest.mark.parametrize(
    ("rewardor", "count", "gpus", "expected"),
    [
        ("common", 2, 0, (1, {"CPU": 1.0})),
        ("ensemble", 1, 0, (1, {"CPU": 1.0})),
        ("ensemble", 2, 0, (2, {"CPU": 0.5})),
        ("convnet", 2, 1, (2, {"CPU": 0.5})),
        ("convnet", 2, 2, (2, {"CPU": 0.5, "GPU": 1})),
        ("common", 1, 2, (1, {"CPU": 1.0})),
    ],
)
def test_only_who_can_share_work_gets_help_and_gpus(rewardor, count, gpus, expected) -> None:
    config = Config(rewardor=Plugin(name=rewardor), train=TrainPlan(workers=count))
    assert train.workers(config, "rewardor", {"CPU": 1.0}, gpus) == expected
    assert train.workers(config, "generator", {"CPU": 1.0}, gpus) == (1, {"CPU": 1.0})


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_two_workers_fit_what_one_does(tmp_path: Path) -> None:
    """The descent is the same to rounding, which its few steps hardly amplify."""
    profile = Profile.create(tmp_path, "together", PARALLEL)
    settle(profile)
    job = train.start(str(tmp_path), "together", "rewardor", cpus=0.5)
    for count, searched in ((14, 12), (17, 15)):  # the second search is done beside, by one
        answer(profile, count - len(profile.labels().id))
        give_up = time.monotonic() + 120
        while loop.due_fit(profile):
            assert time.monotonic() < give_up
            time.sleep(0.1)
        made = checkpoint.newest(profile, "rewardor")
        assert made is not None
        assert (made.snapshot["labels"], made.snapshot["searched"]["labels"]) == (count, searched)
        fitted, alone = loop.load_rewardor(profile), loop.new_rewardor(profile)
        metrics = alone.fit(*tensors.training_set(profile, alone, profile.labels()))
        assert made.metrics["loss"] == pytest.approx(metrics["loss"], rel=1e-3)
        alone.sharpen(float(fitted.state()["sharpness"]))
        values = torch.from_numpy(profile.embeddings("ensemble", alone.version).values)
        torch.testing.assert_close(fitted.forward(values), alone.forward(values), atol=1e-2, rtol=1e-2)
    train.stop(job)
    train.wait(job)
