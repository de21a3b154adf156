"""The tutorial on eyes of one's own, executed."""

import re
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from pipeline import plugins

TEXT = (Path(__file__).parents[1] / "docs" / "tutorial_rewardor.md").read_text()
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture
def eyes(tmp_path: Path) -> Path:
    """The file of the tutorial, in a hurry."""
    path = tmp_path / "eyes.py"
    path.write_text(FILES["eyes.py"].replace("STEPS, BATCH = 64, 300, 48", "STEPS, BATCH = 64, 20, 16"))
    return path


def test_it_has_the_file_it_speaks_of() -> None:
    assert list(FILES) == ["eyes.py"]


def test_without_weights_it_says_how_to_make_them(eyes: Path) -> None:
    with pytest.raises(plugins.PluginError, match=r"eyes\.pt is missing; make it with: python eyes\.py lenia 400"):
        plugins.load("rewardors", str(eyes), {})


def clips(count: int, seed: int) -> torch.Tensor:
    """Worlds of blots that drift, each with a color and a grain of its own: (count, 32, 64, 64, 3) uint8."""
    draw = torch.Generator().manual_seed(seed)
    made = torch.zeros(count, 32, 64, 64, 3, dtype=torch.uint8)
    for world in range(count):
        grain = int(2 ** torch.randint(1, 4, (), generator=draw))
        blots = torch.rand(64 // grain, 64 // grain, generator=draw).kron(torch.ones(grain, grain)) > 0.7
        picture = 255 * blots[..., None] * torch.rand(3, generator=draw)
        for frame in range(32):
            made[world, frame] = picture.roll(frame, 0).to(torch.uint8)
    return made


@pytest.mark.slow
def test_eyes_learn_to_recognise_worlds(eyes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = plugins._module_from_file("rewardors", str(eyes))
    module.train(clips(24, 0))
    monkeypatch.setattr(module.Eyes, "version", module._version())
    seeing, fresh = module.Eyes(), clips(16, 1)
    assert seeing.version > 0, "other weights are another version"
    first, later = (seeing.embed(part) for part in (fresh[:, :20], fresh[:, 12:].roll((5, 9), (2, 3))))
    assert torch.equal(first[3:5], seeing.embed(fresh[3:5, :20]))
    one, other = (normalize((x - first.mean(0)) / first.std(0)) for x in (first, later))
    found = (one @ other.T).argmax(1) == torch.arange(16)
    assert float(found.float().mean()) > 0.6, "one of sixteen would be chance"
    assert seeing.embed(fresh[:2, :1]).shape == (2, 64), "single pictures can be seen, too"
