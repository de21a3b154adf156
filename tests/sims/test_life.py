"""Life against what everybody knows of it, and all its relatives against their definition."""

import pytest
import torch

from sims import STATUSES, Plan
from sims._bits import dense, older, pack, turn, unpack
from sims.life import AGES, Life, ages, answers, folded

LIFE, HIGHLIFE = 6152, 6152 + (1 << 6)

BLOCK = ["oo", "oo"]
BLINKER = ["ooo"]
TOAD = [".ooo", "ooo."]
BEACON = ["oo..", "oo..", "..oo", "..oo"]
PULSAR = [(y, x) for a in (2, 3, 4, 8, 9, 10) for b in (0, 5, 7, 12) for y, x in ((a, b), (b, a))]
PENTADECATHLON = ["..o....o..", "oo.oooo.oo", "..o....o.."]
GLIDER = [".o.", "..o", "ooo"]
SPACESHIP = [".o..o", "o....", "o...o", "oooo."]
PENTOMINO = [".oo", "oo.", ".o."]
REPLICATOR = ["..ooo", ".o..o", "o...o", "o..o.", "ooo.."]
GUN = [
    "........................o...........",
    "......................o.o...........",
    "............oo......oo............oo",
    "...........o...o....oo............oo",
    "oo........o.....o...oo..............",
    "oo........o...o.oo....o.o...........",
    "..........o.....o.......o...........",
    "...........o...o....................",
    "............oo......................",
]


def board(picture, size=64, at=(20, 14)):
    """A world (1, size, size) bool with a picture, or a list of places, in it."""
    if isinstance(picture[0], str):
        picture = [(y, x) for y, row in enumerate(picture) for x, cell in enumerate(row) if cell == "o"]
    cells = torch.zeros(1, size, size, dtype=torch.bool)
    for y, x in picture:
        cells[0, (y + at[0]) % size, (x + at[1]) % size] = True
    return cells


def rule_of(*codes):
    found = [answers(code) for code in codes]
    return {name: torch.stack([one[name] for one in found]) for name in ("born", "survives")}


def state_of(cells):
    words = pack(cells)
    age = torch.full_like(words, -1)[:, None].repeat(1, AGES, 1, 1)
    return {"cells": words, "age": age, "sky": torch.zeros(len(cells), dtype=torch.bool)}


def run(cells, generations, code=LIFE):
    sim, state, rule = Life(size=cells.shape[1]), state_of(cells), rule_of(code)
    for _ in range(generations):
        state = sim.step(state, rule)
    return unpack(state["cells"]).bool()


def period(cells, code=LIFE):
    return next(n for n in range(1, 40) if torch.equal(run(cells, n, code), cells))


def test_the_code_of_life():
    rule = answers(LIFE)
    assert rule["born"].nonzero().flatten().tolist() == [3]
    assert rule["survives"].nonzero().flatten().tolist() == [2, 3]


@pytest.mark.parametrize(
    ("picture", "expected", "count"),
    [(BLOCK, 1, 4), (BLINKER, 2, 3), (TOAD, 2, 6), (BEACON, 2, 8), (PULSAR, 3, 48), (PENTADECATHLON, 15, 12)],
    ids=["block", "blinker", "toad", "beacon", "pulsar", "pentadecathlon"],
)
def test_oscillators(picture, expected, count):
    cells = board(picture, at=(55, 58))  # across the edges
    assert cells.sum() == count
    assert period(cells) == expected


def test_a_glider_moves_one_cell_down_and_right_in_four_generations():
    assert torch.equal(run(board(GLIDER), 4), board(GLIDER).roll((1, 1), (1, 2)))
    assert torch.equal(run(board(GLIDER), 4 * 64), board(GLIDER))  # once around the torus


def test_a_light_spaceship_moves_two_cells_in_four_generations():
    assert torch.equal(run(board(SPACESHIP), 4), board(SPACESHIP).roll(-2, 2))


def test_the_gun_fires_a_glider_every_thirty_generations():
    cells, counts = board(GUN, size=256), []
    for _ in range(9):
        counts.append(cells.sum().item())
        cells = run(cells, 30)
    assert counts == list(range(36, 77, 5))


def test_the_r_pentomino_comes_to_rest_in_generation_1103():
    before = run(board(PENTOMINO, size=1024, at=(500, 500)), 1102)
    counts = [before.sum().item()]
    for _ in range(8):
        before = run(before, 1)
        counts.append(before.sum().item())
    assert counts[0] != 116
    assert counts[1:] == [116] * 8


def test_the_replicator_of_highlife():
    cells, counts = board(REPLICATOR, size=128, at=(60, 60)), []
    for _ in range(6):
        counts.append(cells.sum().item())
        cells = run(cells, 12, HIGHLIFE)
    assert counts == [12 * 2 ** n.bit_count() for n in range(6)]


def test_any_rule_is_its_definition():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(1 << 18, (24,), generator=generator).tolist()
    cells = torch.rand(24, 64, 64, generator=generator) < 0.4
    state = state_of(cells)
    around = sum(cells.long().roll((y, x), (1, 2)) for y in (-1, 0, 1) for x in (-1, 0, 1)) - cells.long()
    expected = torch.stack(
        [torch.tensor(code).bitwise_right_shift(around[i] + 9 * cells[i]) & 1 for i, code in enumerate(codes)]
    ).bool()
    later = Life(size=64).step(state, rule_of(*codes))
    assert torch.equal(later["sky"], torch.tensor([code & 1 for code in codes]).bool())
    assert torch.equal(unpack(later["cells"]).bool(), expected ^ later["sky"][:, None, None])


def test_worlds_under_a_living_sky_are_those_of_the_mirrored_rule():
    """Where the sky stays alive, exchanging life and death makes a rule without B0 of it [Conway's, here]."""
    ghost = 0  # A dead cell among n living ones becomes what a living one among 8 - n dead ones would not.
    for n in range(9):
        ghost |= (not LIFE >> (17 - n) & 1) << n | (not LIFE >> (8 - n) & 1) << (9 + n)
    assert ghost & 1
    cells = board(GLIDER)
    state, rule, sim = {**state_of(cells), "sky": torch.tensor([True])}, rule_of(ghost), Life(size=64)
    for _ in range(4):
        state = sim.step(state, rule)
    assert torch.equal(unpack(state["cells"]).bool(), cells.roll((1, 1), (1, 2)))


@pytest.mark.parametrize("shape", [(64, 64), (33, 128), (5, 192)])
def test_words_are_the_worlds_they_stand_for(shape):
    generator = torch.Generator().manual_seed(1)
    cells = torch.rand(7, *shape, generator=generator) < 0.4
    born, survives, sky = (torch.rand(7, n, generator=generator) < 0.5 for n in (9, 9, 1))
    sky, words = sky[:, 0], pack(cells)
    age = torch.randint(-(2**62), 2**62, (7, AGES, *words.shape[1:]), generator=generator)
    assert torch.equal(unpack(words).bool(), cells)
    new, new_age, later = turn(words, age, born, survives, sky)
    assert torch.equal(unpack(new).bool(), dense(cells ^ sky[:, None, None], born, survives) ^ later[:, None, None])
    assert torch.equal(new_age, older(~(words ^ new), age))


def test_age_counts_the_generations_since_a_cell_changed():
    sim, state, rule = Life(size=64), state_of(board(BLINKER)), rule_of(LIFE)
    seen = []
    for _ in range(3):
        state = sim.step(state, rule)
        seen.append(ages(state["age"])[0, 20, 13:17].tolist())
    assert seen == [[15, 0, 15, 0]] * 3  # The middle lives on, the ends come and go.
    rest = state_of(board(BLOCK))
    rest["age"] = torch.zeros_like(rest["age"])
    for generation in range(1, 20):
        rest = sim.step(rest, rule)
        assert ages(rest["age"]).unique().tolist() == [min(generation, 15)]


def test_every_rule_has_a_box_in_the_unit_cube():
    sim, codes = Life(), torch.randint(1 << 18, (64,), generator=torch.Generator().manual_seed(2))
    bits = (codes[:, None] >> torch.arange(18) & 1).float()
    unit = torch.cat([bits, torch.full((64, 4), 0.5)], 1)
    rule, expected = sim.rule(sim.space.decode(unit)), rule_of(*codes.tolist())
    assert torch.equal(rule["born"], expected["born"])
    assert torch.equal(rule["survives"], expected["survives"])


def test_a_mirrored_start_stays_mirrored():
    sim = Life(size=64)
    field = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    plain, twofold, fourfold = folded(field, torch.tensor([0.2, 0.5, 0.9]))
    assert torch.equal(plain, field[0])
    assert torch.equal(twofold[:, 1:], twofold[:, 1:].flip(1))
    assert not torch.equal(twofold[1:], twofold[1:].flip(0))
    state, rule = state_of(fourfold[None] < 0.4), rule_of(LIFE)
    for _ in range(30):
        state = sim.step(state, rule)
    cells = unpack(state["cells"])[0]
    assert cells.any()
    assert torch.equal(cells, cells.T)
    assert torch.equal(cells[1:], cells[1:].flip(0))


def test_statuses():
    noise = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)) < 0.5
    worlds = [board(GLIDER) & False, board(TOAD), board(PULSAR), noise, noise]
    boiling = sum(1 << n for n in (1, 3, 5, 7, 10, 12, 14, 16))  # Replicator: each cell becomes the parity around it.
    codes = [LIFE, LIFE, LIFE, boiling, (1 << 18) - 2]
    sim, state, rule = Life(size=64), state_of(torch.cat(worlds)), rule_of(*codes)
    for _ in range(3):
        state = sim.step(state, rule)
    found = [STATUSES[i] for i in sim.status(state, rule).tolist()]
    assert found == ["dead", "frozen", "alive", "exploded", "exploded"]


def test_pictures_show_the_newborn_the_old_and_the_gone():
    sim, rule = Life(size=64), rule_of(LIFE)
    before = sim.draw(state_of(board(BLINKER)), 64)[0].int()
    after = sim.draw(sim.step(state_of(board(BLINKER)), rule), 64)[0].int()
    center, newborn, gone, empty = after[20, 15], after[19, 15], after[20, 14], after[0, 0]
    assert torch.equal(center, before[20, 15])
    assert newborn.sum() > center.sum() > gone.sum() > empty.sum()


def test_many_worlds_of_the_prior_live():
    sim = Life()
    unit = torch.rand(64, sim.space.dim, generator=torch.Generator().manual_seed(3))
    status = sim.simulate(unit, torch.arange(64), Plan(clip_size=32)).status
    assert (status == STATUSES.index("alive")).float().mean() > 0.3


@pytest.mark.parametrize("size", [0, 63, 100])
def test_worlds_that_do_not_fill_their_words_are_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}, expected a multiple of 64"):
        Life(size=size)
