"""Two processes fit what one fits: the leader is this test, the other one follows it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import distributed as group

from models import Labels, workers
from models.preference import LEFT, RIGHT, TIE
from models.rewardors._features import F
from models.rewardors._networks import Networks
from models.rewardors.convnet import FRAMES, SIDE, ConvNet
from models.rewardors.ensemble import Ensemble

FOLLOWER = """
import sys
import torch
from torch import distributed as group
from models import workers
from models.rewardors.convnet import ConvNet
from models.rewardors.ensemble import Ensemble

torch.set_num_threads(1)
Ensemble.steps = ConvNet.steps = 5
group.init_process_group("gloo", init_method=sys.argv[1], rank=1, world_size=2)
for kind in (Ensemble, ConvNet):
    workers.follow(kind(members=3).fit)
"""


def taught(features: int, count: int = 21) -> tuple[torch.Tensor, Labels, torch.Tensor]:
    """An odd number of labels, so that the shares differ."""
    draw = torch.Generator().manual_seed(0)
    embedding = torch.rand(80, features, generator=draw)
    left, right = torch.randint(80, (2, count), generator=draw)
    answer = torch.where(embedding[left, 0] > embedding[right, 0], LEFT, RIGHT)
    answer[::9] = TIE
    return embedding, Labels(left, right, answer, left * 0), torch.arange(80) < 50


@pytest.fixture
def follower(tmp_path) -> Iterator[None]:
    where = f"file://{tmp_path}/group"
    process = subprocess.Popen([sys.executable, "-c", FOLLOWER, where])
    group.init_process_group("gloo", init_method=where, rank=0, world_size=2)
    yield
    assert process.wait(timeout=60) == 0, "it follows until it is let go, and no longer"
    group.destroy_process_group()


@pytest.mark.slow
@pytest.mark.usefixtures("follower")
def test_two_processes_fit_what_one_fits(monkeypatch) -> None:
    kinds: list[tuple[type[Networks], int]] = [(Ensemble, F), (ConvNet, FRAMES * 3 * SIDE * SIDE)]
    for kind, features in kinds:
        monkeypatch.setattr(kind, "steps", 5)
        both, alone, told = kind(members=3), kind(members=3), taught(features)
        assert workers.leads()
        first = both.fit(*told)
        workers.hand_out(None)
        with monkeypatch.context() as patch:
            patch.setattr(workers, "several", lambda: False)
            second = alone.fit(*told)
        for figure in ("loss", "spread", "doubt"):
            assert first[figure] == pytest.approx(second[figure], rel=1e-3), figure
        torch.testing.assert_close(both.forward(told[0]), alone.forward(told[0]), atol=1e-3, rtol=1e-3)


def test_alone_nobody_is_waited_for() -> None:
    assert workers.leads()
    assert not workers.several()
    workers.hand_out(None)
    gradient, rows = torch.ones(3), torch.arange(5)
    workers.add_up([gradient])
    assert torch.equal(gradient, torch.ones(3))
    assert torch.equal(workers.share(rows), rows)
