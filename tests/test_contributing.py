"""The examples of CONTRIBUTING.md, executed."""

import re
from pathlib import Path

import pytest
import torch

from models import Archive, Labels
from models.preference import LEFT, RIGHT
from pipeline import plugins
from sims import Plan, check_simulation

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
    assert sorted(EXAMPLES) == ["models/generators/climber.py", "models/rewardors/linear.py", "sims/gray_scott.py"]


def test_gray_scott_grows_where_pearson_says(example) -> None:
    sim = plugins.load("sims", example("sims/gray_scott.py"), {"size": 32})
    one = torch.ones(1, 1)
    params = {
        "feed": torch.tensor([0.035, 0.035]),
        "kill": torch.tensor([0.06, 0.07]),
        "seeds": torch.tensor([0.3, 0.3]),
    }
    made = sim.simulate(sim.space.encode(params), torch.tensor([1, 1]), Plan())
    alive, starved = made.clip[:, -1].float().std((1, 2, 3))
    assert alive > 20
    assert starved < 1
    # without any v nothing ever happens: u = 1 is the sea, and it is stable
    sea = {"u": one[None], "v": 0 * one[None]}
    rule = dict.fromkeys(("feed", "kill"), one[None] * 0.05)
    assert torch.equal(sim.step(sea, rule)["u"], sea["u"])


@pytest.mark.slow
def test_gray_scott_keeps_the_contract(example) -> None:
    assert check_simulation(plugins.load("sims", example("sims/gray_scott.py"), {"size": 32, "steps": 400})) == []


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
