"""What Ray's exporter says of a profile is what its files say."""

import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.desk import Desk
from pipeline.profile import Profile
from pipeline.rows import RolloutTable, Vote

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PATIENCE_S = 60.0


@pytest.mark.usefixtures("ray_local")
def test_the_exporter_says_what_the_files_say(tmp_path: Path) -> None:
    import ray

    from pipeline import meters

    profile = Profile.create(tmp_path, "measured", Config())
    status = np.array(["alive", "alive", "dead"], object)
    texts = {"id": np.array(["a", "b", "c"], object), "status": status, "origin": status, "error": status}
    numbers = {name: np.arange(3) for name in ("block", "seed", "generator")}
    profile.add_rollouts(RolloutTable(**texts, **numbers, unit=np.zeros((3, 2), np.float32), time=np.zeros(3)))
    profile.add_votes([Vote(id=f"v{n}", left="a", right="b", answer="left", labeler="me") for n in range(5)])
    wanted = {
        'ray_alife_votes{profile="measured"}': 5.0,
        'ray_alife_votes_not_learned{profile="measured"}': 5.0,
        'ray_alife_rewardor_version{profile="measured"}': 0.0,
        'ray_alife_worlds{profile="measured",status="alive"}': 2.0,
        'ray_alife_worlds{profile="measured",status="dead"}': 1.0,
    }
    (node,) = ray.nodes()
    end, found = time.monotonic() + PATIENCE_S, {}
    while found != wanted and time.monotonic() < end:
        meters.show(profile, Desk(profile))
        time.sleep(0.5)
        found = exported(node["MetricsExportPort"], wanted)
    assert found == wanted


def exported(port: int, wanted: dict[str, float]) -> dict[str, float]:
    """Values by name, without the labels that Ray adds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith("ray_alife_")]
    found = {}
    for line in lines:
        name, _, value = line.rpartition(" ")
        kind, _, labels = name.rstrip("}").partition("{")
        ours = sorted(label for label in labels.split(",") if label.startswith(("profile=", "status=")))
        found[f"{kind}{{{','.join(ours)}}}"] = float(value)
    return {name: found[name] for name in wanted if name in found}
