"""The point of it all: few labels make worlds that an oracle likes, and more so than best-of-N does."""

import numpy as np
import pytest

from benchmarks.labels_loop import Loop
from pipeline import plugins
from pipeline.evaluate import percentile
from pipeline.roll import roll_here
from pipeline.teachers import make_panel

LABELS = 50
EMITTED = 100


def prior_utility(count: int) -> np.ndarray:
    """Of the alive ones among `count` prior worlds that nobody learns from, (A,)."""
    sim, oracle = plugins.load("sims", "lenia", {}), plugins.load("oracles", "movers", {})
    draw = np.random.default_rng(99)
    unit, seeds = draw.random((count, sim.space.dim), np.float32), draw.integers(2**62, size=count)
    told = roll_here(sim)(unit, seeds, {"utility": oracle.utility}).answers["utility"][:, 0]
    return told[np.isfinite(told)]


def win_rate(loop: Loop, rivals: np.ndarray) -> float:
    """Share of pairs with alive prior worlds that emitted ones win; the dead lose."""
    unit, seeds = loop.generator.ask(EMITTED, 1).numpy(), np.arange(EMITTED) + 10**9
    told = loop.roll(unit, seeds, {"utility": loop.utility}).answers["utility"][:, 0]
    return float(percentile(told[np.isfinite(told)], rivals).sum() / EMITTED)


@pytest.mark.slow
def test_fifty_labels_beat_the_prior_and_best_of_n() -> None:
    """At 800 simulations each; the prior itself wins half, less what dies: 0.22."""
    rivals = prior_utility(600)
    sim, oracle = plugins.load("sims", "lenia", {}), plugins.load("oracles", "movers", {})
    roll, panel, won = roll_here(sim), make_panel("human", rivals), {}
    for name in ("gibbs", "filter"):
        rewardor = plugins.load("rewardors", "common", {})
        generator = plugins.load("generators", name, {}, dim=sim.space.dim, seed=0)
        loop = Loop(roll, roll, oracle.utility, rewardor.embed, panel, rewardor, generator, seed=0)
        assert list(loop.run([LABELS])) == [0, LABELS]
        assert len(loop.worlds.unit) == loop.plan.prior + loop.plan.per_label * LABELS == 800
        won[name] = win_rate(loop, rivals)
    assert won["gibbs"] > 0.7
    assert won["gibbs"] > won["filter"] + 0.05
