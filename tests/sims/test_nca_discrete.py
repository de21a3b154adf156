"""Discrete neural cellular automata against their definition, symmetries, and automata that everybody knows."""

import itertools

import pytest
import torch

from sims import STATUSES, Plan
from sims._tables import counts, dense, table, turn
from sims.nca_discrete import STATES, DiscreteNCA, colors


def decoded(sim, batch=1, seed=0):
    unit = torch.rand(batch, sim.space.dim, generator=torch.Generator().manual_seed(seed))
    return sim.space.decode(unit)


def mosaic(*shape, seed=0):
    return torch.randint(STATES, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def dark(cells):
    return torch.zeros(len(cells), 3, *cells.shape[1:])


@pytest.mark.parametrize(("states", "reach", "cases"), [(2, 1, 9), (3, 1, 45), (4, 1, 165), (4, 2, 2925)])
def test_all_cases_of_neighbors_are_counted(states, reach, cases):
    """As many as there are ways to put the neighbors into the states: a binomial coefficient."""
    found = counts(states, reach)
    assert found.shape == (cases, states - 1)
    assert len(found.unique(dim=0)) == cases
    assert found.sum(1).max() == (2 * reach + 1) ** 2 - 1
    assert found[0].sum() == 0


def test_a_step_is_the_definition():
    sim = DiscreteNCA(size=12, reach=1)
    params = decoded(sim, seed=2)
    cells = mosaic(1, 12, 12)
    rule = sim.rule(params)
    later = sim.step({"cells": cells, "light": dark(cells)}, rule)["cells"][0].tolist()
    see, phase, act = (params[name][0] for name in ("see", "phase", "act"))
    knobs = {name: params[name][0].item() for name in ("pace", "calm", "stay", "fade")}
    near = [(dy, dx) for dy, dx in itertools.product((-1, 0, 1), repeat=2) if (dy, dx) != (0, 0)]
    for y, x in itertools.product(range(12), repeat=2):
        own = int(cells[0, y, x])
        around = [int(cells[0, (y + dy) % 12, (x + dx) % 12]) for dy, dx in near]
        crowd = torch.tensor([around.count(state) for state in range(1, STATES)]).float()
        votes = act @ (knobs["pace"] * (see @ crowd) + phase[:, own]).cos() * (2 / len(see)) ** 0.5
        votes[0] += knobs["calm"]
        votes[own] += knobs["stay"]
        if own:
            votes[own - 1] += knobs["fade"]
        assert later[y][x] == (0 if own == 0 and not crowd.any() else int(votes.argmax())), (y, x)


def test_life_is_one_of_them():
    """A table that says what Conway's rule says, with four states of which two are never entered."""
    alive = counts(STATES, 1)[:, 0]
    choice = torch.zeros(1, STATES, len(alive), dtype=torch.int64)
    choice[0, 0], choice[0, 1] = alive == 3, (alive == 2) | (alive == 3)
    cells = torch.zeros(1, 16, 16, dtype=torch.uint8)
    cells[0, [0, 1, 2, 2, 2], [1, 2, 0, 1, 2]] = 1
    rule, later = table(choice, 1), cells
    for _ in range(4):
        later, _ = turn(later, dark(later), rule, colors(), 1)
    assert torch.equal(later, cells.roll((1, 1), (1, 2)))


def test_the_empty_stay_empty_and_nothing_outruns_its_neighborhood():
    sim = DiscreteNCA(size=32)
    rule = sim.rule(decoded(sim, batch=16))
    cells = torch.zeros(16, 32, 32, dtype=torch.uint8)
    cells[:, 16, 16] = 1 + torch.arange(16) % 3
    state = {"cells": cells, "light": dark(cells)}
    for generation in range(1, 7):
        state = sim.step(state, rule)
        inside = slice(16 - 2 * generation, 17 + 2 * generation)
        outside = state["cells"].clone()
        outside[:, inside, inside] = 0
        assert not outside.any()
    assert state["cells"].any()


@pytest.mark.parametrize(("reach", "shape"), [(1, (7, 5)), (2, (16, 16)), (2, (9, 40)), (3, (7, 8))])
def test_the_compiled_look_up_is_the_dense_one(reach, shape):
    choice = torch.randint(3, (4, 3, len(counts(3, reach))), generator=torch.Generator().manual_seed(reach))
    cells, light = mosaic(4, *shape) % 3, torch.rand(4, 3, *shape)
    rule, paint = table(choice, reach), colors()[:3]
    got, want = turn(cells, light, rule, paint, reach), dense(cells, light, rule, paint, reach)
    assert torch.equal(got[0], want[0])
    torch.testing.assert_close(got[1], want[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "move",
    [lambda field: field.roll((7, -3), (-2, -1)), lambda field: field.rot90(1, (-2, -1)), lambda field: field.flip(-1)],
    ids=["shift", "rotate", "mirror"],
)
def test_moving_the_start_moves_the_world(move):
    sim = DiscreteNCA(size=32)
    rule, cells = sim.rule(decoded(sim, batch=8)), mosaic(8, 32, 32)
    state, moved = {"cells": cells, "light": dark(cells)}, {"cells": move(cells), "light": dark(cells)}
    for _ in range(20):
        state, moved = sim.step(state, rule), sim.step(moved, rule)
    assert torch.equal(moved["cells"], move(state["cells"]))
    assert torch.equal(moved["light"], move(state["light"]))
    assert not torch.equal(state["cells"], cells)


def test_knobs_settle():
    sim = DiscreteNCA(size=32)
    params, cells = decoded(sim, batch=8), mosaic(8, 32, 32)
    for knob, expected in (("calm", torch.zeros_like(cells)), ("stay", cells), ("fade", cells.clamp(min=1) - 1)):
        forced = {**params, knob: torch.full_like(params[knob], 100)}
        later = sim.step({"cells": cells, "light": dark(cells)}, sim.rule(forced))["cells"]
        told = cells > 0 if knob == "fade" else cells >= 0  # Emptiness cannot fade: its votes are the network's.
        assert torch.equal(later[told], expected[told]), knob


def test_light_follows_the_cells():
    sim = DiscreteNCA(size=32)
    params = decoded(sim)
    rule, cells = sim.rule({**params, "stay": torch.full((1,), 100.0)}), mosaic(1, 32, 32)
    state = {"cells": cells, "light": dark(cells)}
    for _ in range(40):
        state = sim.step(state, rule)
    picture = sim.draw(state, 32)[0].float() / 255
    assert (picture - colors()[cells[0].long()]).abs().max() < 0.01


def test_statuses():
    sim = DiscreteNCA(size=32)
    params = {name: value.expand(4, *value.shape[1:]) for name, value in decoded(sim).items()}
    stay = torch.tensor([0, 100.0, 0, 0])
    rule = sim.rule({**params, "stay": stay, "fade": torch.tensor([0, 0, 100.0, 0])})
    cells = mosaic(4, 32, 32)
    cells[0] = 0
    rule["table"][3] = torch.randint(4, rule["table"][3].shape, generator=torch.Generator().manual_seed(0))
    cells[2] = 3  # All the same, whatever comes then.
    found = [STATUSES[i] for i in sim.status({"cells": cells, "light": dark(cells)}, rule).tolist()]
    assert found == ["dead", "frozen", "dead", "exploded"]


def test_many_worlds_of_the_prior_live():
    sim = DiscreteNCA()
    unit = torch.rand(64, sim.space.dim, generator=torch.Generator().manual_seed(3))
    status = sim.simulate(unit, torch.arange(64), Plan(clip_size=32)).status
    assert (status == STATUSES.index("alive")).float().mean() > 0.3
