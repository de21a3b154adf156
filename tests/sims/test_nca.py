"""Neural cellular automata against their equations and symmetries."""

import math

import pytest
import torch

from sims import STATUSES, Plan
from sims._neural import dense, perceive, squash, think
from sims._tint import tint
from sims.nca import NCA

DOUBLE = {"dtype": torch.float64}


def network(batch=1, channels=3, neurons=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (neurons, channels, 4), (neurons,), (channels, neurons), (channels, channels), ()
    return [torch.randn(batch, *shape, generator=generator, **DOUBLE) for shape in shapes]


def field(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **DOUBLE) * 2 - 1


def world(seed=0):
    """A rule in double precision, and its start."""
    sim = NCA(size=32)
    unit = torch.rand(1, sim.space.dim, generator=torch.Generator().manual_seed(seed), **DOUBLE)
    rule = sim.rule(sim.space.decode(unit))
    return sim, sim.start(rule, torch.tensor([seed])), rule


def run(sim, state, rule, steps):
    for _ in range(steps):
        state = sim.step(state, rule)
    return state


def test_a_step_is_the_equation():
    cells, (see, bias, act, mix, spread) = field(1, 3, 9, 9), network()
    later = dense(cells, see, bias, act, mix, spread, 0.3)
    y, x = 0, 8  # in a corner

    def at(c, dy, dx):
        return cells[0, c, (y + dy) % 9, (x + dx) % 9].item()

    one_two_one = (-1, 1), (0, 2), (1, 1)
    seen = []
    for c in range(3):
        slope = sum(w * (at(c, d, 1) - at(c, d, -1)) for d, w in one_two_one) / 8
        fall = sum(w * (at(c, 1, d) - at(c, -1, d)) for d, w in one_two_one) / 8
        around = sum(v * w * at(c, d, e) for d, v in one_two_one for e, w in one_two_one) / 16
        seen.append([at(c, 0, 0), slope, fall, around - at(c, 0, 0)])
    seen = torch.tensor(seen, **DOUBLE)
    neurons = squash((see[0] * seen).sum((1, 2)) + bias[0])
    wish = squash(act[0] @ neurons + mix[0] @ seen[:, 0])
    expected = 0.7 * seen[:, 0] + 0.3 * wish + spread[0] * seen[:, 3]
    torch.testing.assert_close(later[0, :, y, x], expected, rtol=1e-12, atol=1e-12)


def test_slopes_and_laplacian_of_waves():
    """On a wave of length L the Sobel slope is sin(2 pi / L) times the wave a quarter later."""
    angle = 2 * math.pi / 16
    wave = torch.sin(angle * torch.arange(16, **DOUBLE)).expand(1, 1, 16, 16)
    value, slope, fall, rough = perceive(wave)[0, 0]
    assert torch.equal(value, wave[0, 0])
    ahead = torch.cos(angle * torch.arange(16, **DOUBLE))
    torch.testing.assert_close(slope, math.sin(angle) * ahead.expand(16, 16), rtol=0, atol=1e-12)
    torch.testing.assert_close(rough, (math.cos(angle) - 1) / 2 * wave[0, 0], rtol=0, atol=1e-12)
    assert fall.abs().max() < 1e-12


def test_squash_is_almost_tanh():
    x = torch.linspace(-8, 8, 4001, **DOUBLE)
    y = squash(x)
    assert (y - x.tanh()).abs().max() < 0.024
    assert torch.equal(y[x.abs() >= 3], x[x.abs() >= 3].sign())
    assert (y.diff() >= 0).all()


@pytest.mark.parametrize(("channels", "neurons", "size"), [(3, 6, 64), (1, 1, 5), (4, 3, 33), (3, 6, 23)])
def test_the_compiled_network_is_the_dense_one(channels, neurons, size):
    cells, weights = field(4, channels, size, size + 3), network(4, channels, neurons)
    made = think(cells.float(), *(weight.float() for weight in weights), 0.3)
    torch.testing.assert_close(made.double(), dense(cells, *weights, 0.3), rtol=1e-4, atol=1e-5)


def test_moving_the_start_moves_the_world():
    for seed in range(3):
        sim, state, rule = world(seed)
        later = run(sim, state, rule, 100)
        moved = run(sim, state.roll((5, -9), (2, 3)), rule, 100)
        assert (moved - later.roll((5, -9), (2, 3))).abs().max() < 1e-9
        assert later.abs().max() > 0.1


def test_without_wind_no_direction_is_special():
    sim, state, rule = world(1)
    calm = {**rule, "see": rule["see"] * torch.tensor([1, 0, 0, 1], **DOUBLE)}
    turned = run(sim, state.rot90(1, (2, 3)), calm, 50)
    assert (turned - run(sim, state, calm, 50).rot90(1, (2, 3))).abs().max() < 1e-9
    turned = run(sim, state.rot90(1, (2, 3)), rule, 50)
    assert (turned - run(sim, state, rule, 50).rot90(1, (2, 3))).abs().max() > 0.1


def test_states_stay_in_their_bounds():
    sim = NCA(size=32)
    unit = (torch.rand(16, sim.space.dim, generator=torch.Generator().manual_seed(1)) > 0.5).float()  # corners
    rule = sim.rule(sim.space.decode(unit))
    state = sim.start(rule, torch.arange(16))
    for _ in range(100):
        state = sim.step(state, rule)
        assert state.abs().max() <= 1 + 1e-5


def test_without_neurons_the_channels_chase_each_other_at_the_speed_of_the_formula():
    """A small even state s obeys ds/dt = whirl J s - s: it turns about (1, 1, 1) by whirl sqrt(3), and fades."""
    sim, (_, _, rule) = NCA(size=4, dt=0.001), world()
    whirl = rule["mix"][0].abs().max().item()
    quiet = {**rule, "act": rule["act"] * 0}
    start = torch.tensor([1e-3, -1e-3, 0], **DOUBLE)[None, :, None, None].expand(1, 3, 4, 4)
    later = run(sim, start, quiet, 1000)[0, :, 0, 0]
    first = start[0, :, 0, 0]
    assert later.sum().abs() < 1e-9
    assert (later.norm() / first.norm()).item() == pytest.approx(math.exp(-1), rel=0.01)
    cosine = (later @ first / later.norm() / first.norm()).item()
    assert cosine == pytest.approx(math.cos(whirl * math.sqrt(3)), abs=0.02)


def test_colors_are_dark_light_red_green_yellow_blue():
    axes = torch.zeros(6, 3, 8, 8)
    for i in range(6):
        axes[i, i // 2] = 1 - 2 * (i % 2)
    light, dark, red, green, yellow, blue = tint(axes, 8)[:, 0, 0].int()
    assert light.min() > dark.max()
    assert red[0] > green[0]
    assert green[1] > red[1]
    assert blue[2] > max(yellow[2], blue[0])
    assert min(yellow[0], yellow[1]) > yellow[2]


def test_statuses():
    sim = NCA(size=16)
    state = torch.zeros(2, 3, 16, 16)
    state[1, 2, :8] = 0.5
    assert [STATUSES[i] for i in sim.status(state, {}).tolist()] == ["dead", "alive"]


def test_most_worlds_of_the_prior_live():
    sim = NCA()
    unit = torch.rand(48, sim.space.dim, generator=torch.Generator().manual_seed(3))
    status = sim.simulate(unit, torch.arange(48), Plan()).status
    assert (status == STATUSES.index("alive")).float().mean() > 0.4
