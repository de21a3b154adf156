"""The examples of CONTRIBUTING.md, executed."""

import re
from pathlib import Path

import pytest
import torch

from models import Archive, Labels
from models.preference import LEFT, RIGHT
from pipeline import plugins

ROOT = Path(__file__).parents[1]
EXAMPLES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL))


@pytest.fixture
def example(tmp_path: Path):
    """The path of a file that holds an example."""

    def written(name: str) -> str:
        path = tmp_path / Path(name).name
        path.write_text(EXAMPLES[name])
        return str(path)

    return written


def test_there_is_an_example_of_each_kind() -> None:
    assert sorted(EXAMPLES) == ["models/generators/climber.py", "models/rewardors/linear.py"]


def test_the_climber_climbs(example) -> None:
    generator = plugins.load("generators", example("models/generators/climber.py"), {"best": 5}, dim=3, seed=0)
    prior = generator.ask(200, 0)
    archive = Archive(prior, torch.ones(200, dtype=torch.bool), -(prior - 0.3).norm(dim=1), torch.zeros(200, 1))
    generator.tell(archive)
    asked = generator.ask(200, 1)
    assert ((asked >= 0) & (asked <= 1)).all()
    assert (asked - 0.3).norm(dim=1).mean() < 0.5 * (prior - 0.3).norm(dim=1).mean()


def test_the_linear_rewardor_learns_to_like_motion(example) -> None:
    rewardor = plugins.load("rewardors", example("models/rewardors/linear.py"), {})
    draw = torch.Generator().manual_seed(0)
    speed = torch.rand(60, 1, 1, 1, 1, generator=draw)
    clips = (255 * (0.5 + 0.5 * speed * (torch.rand(60, 8, 8, 8, 3, generator=draw) - 0.5))).to(torch.uint8)
    embedding, pace = rewardor.embed(clips), speed.flatten()
    left, right = torch.randint(40, (2, 80), generator=draw)
    answer = torch.where(pace[left] > pace[right], LEFT, RIGHT)
    rewardor.fit(embedding, Labels(left, right, answer, torch.zeros(80)), torch.arange(60) < 40)
    reward = rewardor.forward(embedding).mean(1)[40:]
    assert torch.corrcoef(torch.stack([reward, pace[40:]]))[0, 1] > 0.9
