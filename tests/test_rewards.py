from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import checkpoint, loop
from pipeline.config import Config, Plugin
from pipeline.profile import Profile
from pipeline.rewards import rewards
from pipeline.rows import EmbeddingTable

WORLDS = np.array(["a", "b", "dead"], object)
STRANGER = """
from models import Rewardor

class Echo(Rewardor):
    version, members = 1, 2

    def embed(self, clip): ...
    def fit(self, embedding, labels, reference): ...
    def state(self): ...

    def load(self, state):
        self.shift, self.asked = state["shift"], 0

    def forward(self, embedding):
        self.asked += 1
        assert self.asked == 1, "it was asked again for what it had said"
        if self.shift < 0:
            raise RuntimeError("weights of another shape")
        return embedding[:, :2] + self.shift
"""


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """A profile whose Rewardor comes from outside, with two worlds that it embedded."""
    (tmp_path / "echo.py").write_text(STRANGER)
    name = str(tmp_path / "echo.py")
    profile = Profile.create(tmp_path, "first", Config(rewardor=Plugin(name=name)))
    values = torch.arange(6, dtype=torch.float32).reshape(2, 3).numpy()
    profile.add_embeddings(name, 1, EmbeddingTable(WORLDS[:2], np.array(["x", "y"]), values))
    return profile


def commit(profile: Profile, shift: float) -> None:
    manifest = {"model": loop.model(profile, "rewardor")}
    checkpoint.commit(profile, "rewardor", {"shift": torch.tensor(shift)}, manifest)


def test_before_the_first_version_nobody_judges(profile: Profile) -> None:
    assert rewards(profile, WORLDS).shape == (3, 0)


def test_each_world_is_judged_once_by_each_version(profile: Profile) -> None:
    commit(profile, 10)
    for _ in range(3):
        reward = rewards(profile, WORLDS)
        assert reward[:2].tolist() == [[10, 11], [13, 14]]
        assert np.isnan(reward[2]).all()
    commit(profile, 20)
    assert rewards(profile, WORLDS[1:2]).tolist() == [[23, 24]]


def test_a_rewardor_that_raises_stops_nobody_and_says_why(profile: Profile) -> None:
    commit(profile, -1)
    for _ in range(3):
        assert rewards(profile, WORLDS).shape == (3, 0)
    (text,) = profile.events().text
    assert "weights of another shape" in text
    commit(profile, 1)
    assert rewards(profile, WORLDS[:1]).tolist() == [[1, 2]]
