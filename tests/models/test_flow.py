"""What a density promises: it integrates to one, and can be drawn from; what a flow learns of two tastes: both."""

import pytest
import torch
from scipy.stats import binomtest

from models import Archive
from models.generators._chains import reflect
from models.generators._spline import BINS, Knots, _edges, bend, unbend
from models.generators._spline import Flow as Density
from models.generators.filter import Filter
from models.generators.flow import BLUR, Flow, _learn
from models.generators.gibbs import Gibbs


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bumpy(dim: int, seed: int = 0) -> Density:
    """A flow far from the prior."""
    density = Density(dim, 4, stream(seed))
    for weight in density.parameters():
        weight.data.add_(0.1 * torch.randn(weight.shape, generator=stream(seed + 1)))
    return density.double()


def test_before_it_has_learned_anything_a_flow_is_the_prior():
    unit = torch.rand(500, 5, generator=stream())
    density = Density(5, 4, stream())
    assert density.log_prob(unit).abs().max() < 1e-4
    torch.testing.assert_close(density.sample(unit), unit, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dim", [1, 2, 3, 11])
def test_the_way_there_and_back_is_the_identity(dim):
    density, unit = bumpy(dim), torch.rand(400, dim, generator=stream(2), dtype=torch.float64)
    with torch.no_grad():
        flat, _ = density.flatten(unit)
        assert bool(((flat >= 0) & (flat <= 1)).all())
        assert float((flat - unit).abs().max()) > 0.1
        torch.testing.assert_close(density.sample(flat), unit, atol=1e-7, rtol=0)


def test_the_log_density_is_the_determinant_of_the_jacobian():
    density, unit = bumpy(5), torch.rand(20, 5, generator=stream(3), dtype=torch.float64)
    for row in unit:
        jacobian = torch.autograd.functional.jacobian(lambda x: density.flatten(x[None])[0][0], row)
        exact = torch.linalg.slogdet(jacobian)[1]
        torch.testing.assert_close(density.log_prob(row[None])[0], exact, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_density_integrates_to_one(seed):
    side = (torch.arange(300, dtype=torch.float64) + 0.5) / 300
    with torch.no_grad():
        mass = bumpy(2, seed).log_prob(torch.cartesian_prod(side, side)).exp().mean()
    assert float(mass) == pytest.approx(1, abs=2e-3)


def test_a_spline_is_a_monotone_map_of_the_interval_onto_itself():
    raw = 2 * torch.randn(3, 7, 3 * BINS + 1, generator=stream(5), dtype=torch.float64)
    width, height, slope = raw.split((BINS, BINS, BINS + 1), 2)
    knots = Knots(_edges(width), _edges(height), slope.exp())
    x = torch.linspace(0, 1, 501, dtype=torch.float64)
    for row in range(3):
        one = Knots(*[part[row].expand(501, 7, -1) for part in knots])
        y, steep = bend(x[:, None].expand(-1, 7), one)
        assert float(y.diff(dim=0).min()) > 0
        assert (float(y[0].abs().max()), float(y[-1].min())) == pytest.approx((0, 1))
        measured = y.diff(dim=0) / x.diff()[:, None]
        middle = (steep[1:].exp() + steep[:-1].exp()) / 2
        assert float(((measured - middle).abs() / measured).median()) < 1e-3
        torch.testing.assert_close(unbend(y, one), x[:, None].expand(-1, 7), atol=1e-6, rtol=0)


PEAKS = torch.tensor([[0.2, 0.3, 0.7, 0.5], [0.8, 0.6, 0.2, 0.5]])


def two_tastes(count: int = 900) -> Archive:
    """Worlds are liked near either of two points, where they also look different; nowhere else."""
    unit = torch.rand(count, 4, generator=stream(1))
    unit[:200] = reflect(PEAKS.repeat(100, 1) + 0.1 * torch.randn(200, 4, generator=stream(2)))
    near = torch.cdist(unit, PEAKS)
    score = 3 * torch.exp(-((near / 0.2) ** 2)).amax(1)
    embedding = torch.cat([unit, torch.randn(count, 2, generator=stream(3))], 1)
    return Archive(unit, torch.ones(count, dtype=torch.bool), score, embedding)


@pytest.fixture(scope="module")
def learned() -> tuple[Flow, dict[str, float]]:
    flow = Flow(4, kl=2.5)
    return flow, flow.tell(two_tastes())


def test_both_tastes_are_kept(learned):
    emitted = learned[0].ask(1000, 1)
    near = torch.cdist(emitted, PEAKS)
    share = (near < 0.25).float().mean(0)
    assert float(share.min()) > 0.3
    assert float(share.sum()) > 0.85, "little is wasted between the two"


def test_the_flow_is_as_far_from_the_prior_as_its_teacher(learned):
    """The divergence of the blurred teacher from the uniform prior, by its own density, against the flow's."""
    teacher = Gibbs(4, kl=2.5)
    teacher.tell(two_tastes())
    state = teacher.state()
    rows = torch.multinomial(state["weight"], 4000, replacement=True, generator=stream(4))
    drawn = reflect(state["unit"][rows] + BLUR * torch.randn(4000, 4, generator=stream(5)))
    square = torch.cdist(drawn, state["unit"]).square() / (2 * BLUR**2)
    kernel = (state["weight"].log() - square).logsumexp(1) - 2 * torch.log(torch.tensor(2 * torch.pi * BLUR**2))
    assert learned[1]["surprise"] < float(kernel.mean()), "a flow that is sharper has learned points by heart"
    assert learned[1]["surprise"] > 1.5


@pytest.mark.slow
def test_a_greedier_flow_is_better_and_further_from_the_prior(learned):
    greedy = Flow(4, kl=4.0)
    metrics = greedy.tell(two_tastes())
    assert metrics["surprise"] > learned[1]["surprise"] + 0.5
    modest, better = (torch.cdist(flow.ask(1000, 0), PEAKS).amin(1).median() for flow in (learned[0], greedy))
    assert better < modest


def test_exploring_keeps_a_floor_of_prior(learned):
    far = (torch.cdist(learned[0].ask(4000, 2, explore=True), PEAKS) > 0.4).all(1).float().mean()
    prior = (torch.cdist(torch.rand(4000, 4, generator=stream(6)), PEAKS) > 0.4).all(1).float().mean()
    assert float(far) > 0.15 * float(prior)


@pytest.mark.slow
def test_a_gaussian_is_learned_to_its_entropy():
    """-log q of fresh draws comes within a tenth of a nat of the entropy of what was drawn: log(σ √(2πe)) each."""
    sigma = torch.tensor([0.05, 0.1, 0.02])
    points = 0.5 + sigma * torch.randn(6000, 3, generator=stream(7))
    density = Density(3, 4, stream())
    _learn(density, points[:5000], torch.full((5000,), 1 / 5000), stream())
    blurred = points[5000:] + BLUR * torch.randn(1000, 3, generator=stream(8))
    entropy = ((sigma**2 + BLUR**2).log() / 2 + 0.5 * torch.log(torch.tensor(2 * torch.pi * torch.e))).sum()
    with torch.no_grad():
        assert -float(density.log_prob(blurred).mean()) == pytest.approx(float(entropy), abs=0.15)


def test_it_beats_the_filter_on_the_same_archive():
    def reward(unit: torch.Tensor) -> torch.Tensor:
        return -(unit[:, :2] - 0.7).square().sum(1)

    unit = torch.rand(400, 6, generator=stream(9))
    score = reward(unit) + 0.1 * torch.randn(400, generator=stream(10))
    archive = Archive(unit, torch.ones(400, dtype=torch.bool), score, unit)
    flow, best_of_n = Flow(6), Filter(6)
    flow.tell(archive)
    best_of_n.tell(archive)
    wins = int((reward(flow.ask(400, 1)) > reward(best_of_n.ask(400, 2))).sum())
    assert binomtest(wins, 400, 0.5).proportion_ci(0.99).low > 0.55
