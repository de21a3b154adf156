"""The picture of a search."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from pipeline import study, tune_plot, tuned
from pipeline.config import Plugin
from tests.test_tune import BOLD, judged


def test_a_value_outside_its_range_is_drawn_at_the_edge(tmp_path: Path) -> None:
    nothing = Plugin(name=BOLD.rewardor.name, options={"slope": 0.0})
    this = study.begin([judged(tmp_path, "one", config=replace(BOLD, rewardor=nothing))], "rewardor")
    for fold in range(study.FOLDS):
        this.keep({}, fold, [1.0])
    tune_plot.save(this, tuned.results(this, 1), tmp_path / "found.png")
    picture = Image.open(tmp_path / "found.png")
    column = [picture.getpixel((tune_plot.LEFT, y)) for y in range(picture.height)]
    assert tune_plot.NOW in column
