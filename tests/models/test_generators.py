"""What generators promise: points of the cube, the same for the same seed, and better ones the more they are told."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.stats import binomtest

from models import Archive, Generator
from models.generators import flow, gibbs
from models.generators._archive import distinct
from models.generators._chains import climb, reflect
from models.generators._policy import behavior_density, temper
from models.generators._surrogate import Surrogate
from models.generators.filter import Filter
from models.generators.flow import Flow
from models.generators.gibbs import FEWEST, REPEATS, Gibbs

D = 6
GENERATORS = [Filter, Flow, Gibbs]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is promised here holds after half of the flow's training, too."""
    monkeypatch.setattr(flow, "STEPS", 150)


def reward(unit: torch.Tensor) -> torch.Tensor:
    """A hill (B,) at 0.7 in the first two parameters; the others do not matter."""
    return -(unit[:, :2] - 0.7).square().sum(1)


def archive(unit: torch.Tensor, *, noise: float = 0.05, seed: int = 0) -> Archive:
    """Scored by the hill and some luck; worlds die where the third parameter is high."""
    draw = torch.Generator().manual_seed(seed)
    alive = unit[:, 2] < 0.6
    score = reward(unit) + noise * torch.randn(len(unit), generator=draw)
    floor = score[alive].quantile(0.02) if alive.any() else torch.tensor(0.0)
    embedding = torch.cat([unit, torch.randn(len(unit), 4, generator=draw)], 1)
    embedding[~alive] = torch.nan
    return Archive(unit, alive, torch.where(alive, score, floor), embedding)


def prior(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, D, generator=torch.Generator().manual_seed(seed))


def told(kind: type[Generator], n: int = 300) -> Generator:
    generator = kind(D)
    generator.tell(archive(prior(n)))
    return generator


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("explore", [True, False])
def test_before_the_first_tell_worlds_are_prior(kind, explore) -> None:
    unit = kind(D).ask(4000, 1, explore=explore)
    assert unit.shape == (4000, D)
    assert abs(float(unit.mean()) - 0.5) < 0.01
    assert abs(float(unit.var()) - 1 / 12) < 0.005


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("explore", [True, False])
def test_points_lie_in_the_cube_and_depend_on_the_seed_alone(kind, explore) -> None:
    generator = told(kind)
    first, again, other = (generator.ask(500, seed, explore=explore) for seed in (3, 3, 4))
    assert first.dtype == torch.float32
    assert bool(((first >= 0) & (first <= 1)).all())
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_tell_replaces_the_one_before(kind) -> None:
    once, twice = kind(D), kind(D)
    once.tell(archive(prior(200)))
    twice.tell(archive(prior(100, seed=9)))
    twice.tell(archive(prior(200)))
    assert torch.equal(once.ask(100, 0), twice.ask(100, 0))


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_loaded_generator_asks_what_the_saved_one_asked(kind) -> None:
    generator, loaded = told(kind), kind(D)
    loaded.load({name: tensor.clone() for name, tensor in generator.state().items()})
    for explore in (True, False):
        assert torch.equal(generator.ask(64, 5, explore=explore), loaded.ask(64, 5, explore=explore))


@pytest.mark.parametrize("kind", GENERATORS)
def test_what_is_emitted_beats_the_prior(kind) -> None:
    emitted, random = reward(told(kind).ask(400, 1)), reward(prior(400, seed=8))
    wins = int((emitted > random).sum())
    assert binomtest(wins, 400, 0.5).proportion_ci(0.99).low > 0.75


def test_gibbs_beats_the_filter_at_the_same_number_of_simulations() -> None:
    gibbs = Gibbs(D)
    unit = prior(150)
    for step in range(5):
        gibbs.tell(archive(unit))
        unit = torch.cat([unit, gibbs.ask(50, step, explore=True)])
    gibbs.tell(archive(unit))
    best_of_n = told(Filter, n=len(unit))
    wins = int((reward(gibbs.ask(400, 1)) > reward(best_of_n.ask(400, 2))).sum())
    assert binomtest(wins, 400, 0.5).proportion_ci(0.99).low > 0.55


def test_gibbs_emits_what_lives() -> None:
    assert float((told(Gibbs).ask(500, 1)[:, 2] < 0.6).float().mean()) > 0.97


@pytest.mark.parametrize("seed", range(3))
def test_gibbs_is_less_taken_in_by_luck_than_the_filter(seed) -> None:
    """Where luck is as large as what parameters explain, the best of the archive are mostly the luckiest."""
    lucky = archive(prior(400, seed), noise=0.3, seed=seed)
    gibbs, best_of_n = Gibbs(D), Filter(D)
    gibbs.tell(lucky)
    best_of_n.tell(lucky)
    wins = int((reward(gibbs.ask(400, 1)) > reward(best_of_n.ask(400, 2))).sum())
    assert binomtest(wins, 400, 0.5).proportion_ci(0.99).low > 0.55


def test_a_greedier_gibbs_is_better_and_less_diverse() -> None:
    modest, greedy = Gibbs(D, kl=1.0), Gibbs(D, kl=4.0)
    for generator in (modest, greedy):
        generator.tell(archive(prior(600)))
    first, second = modest.ask(500, 0), greedy.ask(500, 0)
    assert float(reward(second).mean()) > float(reward(first).mean())
    assert float(torch.pdist(second).mean()) < float(torch.pdist(first).mean())


def test_each_nat_of_gibbs_counts() -> None:
    """From what is diverse to what is greedy no step of the knob is without effect, whatever bounds it."""
    known = archive(prior(1000), noise=0.1)

    def rests_on(kl: float) -> float:
        generator = Gibbs(D, kl=kl)
        generator.tell(known)
        weight = generator.state()["weight"]
        return float(1 / (weight / weight.sum()).square().sum())

    counts = [rests_on(kl) for kl in (1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 6.0)]
    assert all(more > 1.3 * fewer for more, fewer in pairwise(counts))
    assert counts[4] >= FEWEST * 0.99


@pytest.mark.parametrize("kind", GENERATORS)
def test_an_archive_of_corpses_leaves_the_prior(kind) -> None:
    generator = kind(D)
    unit = prior(50)
    unit[:, 2] = 0.9
    generator.tell(archive(unit))
    assert abs(float(generator.ask(2000, 0).mean()) - 0.5) < 0.02


@pytest.mark.parametrize("kind", GENERATORS)
def test_nonsense_is_refused(kind) -> None:
    good = archive(prior(20))
    with pytest.raises(ValueError, match="expected"):
        kind(D + 1).tell(good)
    with pytest.raises(ValueError, match="not finite"):
        kind(D).tell(Archive(good.unit, good.alive, good.score * math.nan, good.embedding))


@pytest.mark.parametrize("kl", [0.5, 1.5, 3.0])
def test_tempered_weights_diverge_as_much_as_was_asked(kl) -> None:
    base = torch.rand(500, generator=torch.Generator().manual_seed(1)) + 0.1
    weight, tau = temper(reward(prior(500)), base, kl)
    p, q = weight.double(), (base / base.sum()).double()
    assert float(torch.special.xlogy(p, p / q).sum()) == pytest.approx(kl, abs=0.01)
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    expected = (q.log() + reward(prior(500)).double() / tau).softmax(0)
    torch.testing.assert_close(p, expected, atol=1e-5, rtol=1e-3)


def test_tempered_weights_rest_on_enough_points() -> None:
    reward = torch.zeros(200)
    reward[0] = 9.0
    for fewest in (1.0, 4.0, 16.0):
        weight, _ = temper(reward, torch.ones(200), 4.5, fewest)
        assert float(1 / weight.square().sum()) >= fewest - 1e-3
    assert float(weight[0]) > 0.2


def test_density_counts_look_alikes() -> None:
    draw = torch.Generator().manual_seed(0)
    alike, different = 1e-4 * torch.randn(10, 40, generator=draw), torch.randn(60, 40, generator=draw)
    density = behavior_density(torch.cat([alike, different]), 0.06)
    assert float(density[:10].mean()) == pytest.approx(10, rel=0.15)
    assert float(density[10:].mean()) == pytest.approx(1, rel=0.3)


def test_chains_sample_the_density_they_climb() -> None:
    """A Gaussian in the first parameter, of width sqrt(tau / 2 / 20) around 0.5; the second stays uniform."""
    draw = torch.Generator().manual_seed(0)
    end = climb(lambda u: -20 * (u[:, 0] - 0.5).square(), torch.rand(2000, 2, generator=draw), 0.4, draw, steps=200)
    assert float(end[:, 0].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(end[:, 0].std()) == pytest.approx(0.1, rel=0.07)
    assert float(end[:, 1].std()) == pytest.approx(12**-0.5, rel=0.05)


def test_mirrors_keep_points_in_the_cube() -> None:
    torch.testing.assert_close(reflect(torch.tensor([-0.2, 0.3, 1.1, 2.3])), torch.tensor([0.2, 0.3, 0.9, 0.3]))


def test_the_surrogate_sees_through_luck() -> None:
    unit, fresh = prior(400), prior(300, seed=5)
    luck = 0.2 * torch.randn(400, generator=torch.Generator().manual_seed(2))
    predicted = Surrogate(unit, reward(unit) + luck, seed=0)(fresh)
    assert float(torch.corrcoef(torch.stack([predicted, reward(fresh)]))[0, 1]) > 0.9


def test_worlds_of_the_same_parameters_are_taken_together() -> None:
    unit = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.1, 0.2], [0.5, 0.6], [0.3, 0.4]])
    tried = distinct(unit, torch.tensor([False, True, True, False, True]))
    assert tried.unit.tolist() == unit[[0, 1]].tolist()
    assert tried.count.tolist() == [2, 2]
    assert tried.shown.tolist() == [2, 1]
    assert tried.mean(torch.tensor([0.0, 3.0, 1.0, 9.0, 5.0])).tolist() == [0.5, 4.0]


def test_exploring_simulates_again_what_would_be_emitted() -> None:
    gibbs = told(Gibbs)
    known = {tuple(row) for row in gibbs.state()["unit"].tolist()}
    asked = [tuple(row) in known for row in gibbs.ask(1000, 0, explore=True).tolist()]
    assert abs(sum(asked) / 1000 - REPEATS) < 0.05


def test_gibbs_gives_up_a_gamble_that_it_has_tried_often_enough() -> None:
    unit, worlds = prior(200), 12
    gamble, steady = 0, 1
    unit = torch.cat([unit, unit[[gamble]].repeat(worlds, 1), unit[[steady]].repeat(worlds, 1)])
    score = torch.randn(len(unit), generator=torch.Generator().manual_seed(0)) * 0.3
    score[gamble], score[steady] = 5.0, 2.0
    score[200 : 200 + worlds], score[200 + worlds :] = -2.0, 2.0
    embedding = torch.cat([unit, torch.zeros(len(unit), 4)], 1)
    gibbs = Gibbs(D)
    gibbs.tell(Archive(unit, torch.ones(len(unit), dtype=torch.bool), score, embedding))
    emitted = gibbs.ask(500, 1)
    near = [int(((emitted - unit[row]).abs().amax(1) < 0.05).sum()) for row in (gamble, steady)]
    assert near[1] > 10 * near[0]


def test_what_was_tried_often_enough_is_tried_again_less(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = prior(100)
    unit = torch.cat([unit, unit[:20].repeat(8, 1)])
    score = torch.randn(len(unit), generator=torch.Generator().manual_seed(0))
    score[:20] = score[100:] = 1.5
    archive = Archive(unit, torch.ones(len(unit), dtype=torch.bool), score, torch.cat([unit, unit], 1))
    often = {tuple(row) for row in unit[:20].tolist()}

    def share(by: str) -> float:
        generator = Gibbs(D, kl=3.0)
        generator.tell(archive)
        state = generator.state()
        rows = torch.tensor([tuple(row) in often for row in state["unit"].tolist()])
        return float(state[by][rows].sum() / state[by].sum())

    emitted, again = share("weight"), share("again")
    monkeypatch.setattr(gibbs, "ENOUGH", 1e9)  # never enough
    assert share("again") > again + 0.1
    assert share("weight") == pytest.approx(emitted)
    assert emitted > 0.2
