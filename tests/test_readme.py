"""The README's loop, executed: four rounds of answers make worlds that the judge likes better than the prior's."""

import re
from pathlib import Path

import numpy as np
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
LOOP = next(code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "generator.ask" in code)


@pytest.mark.slow
def test_the_loop_in_the_readme_learns() -> None:
    scope: dict = {}
    exec(compile(LOOP, "README.md", "exec"), scope)
    emitted = scope["generator"].ask(100, 99).numpy()
    seeds = np.arange(100) + 10**6
    made = scope["roll"](emitted, seeds, {"taste": scope["judge"].utility}).answers["taste"]
    prior = scope["taste"][:150]
    prior = prior[np.isfinite(prior)]
    wins = np.where(np.isfinite(made), (made > prior).mean(1, keepdims=True), 0).mean()
    assert wins > 0.7
    assert len(scope["answers"]) == 100
