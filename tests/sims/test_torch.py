"""The driver: constant width, early leave, frames at the right moments."""

import pytest
import torch

from sims import STATUSES, Plan
from tests.sims.toy import CALLS, Toy

LIVES, DIES, EXPLODES, FREEZES = 0.1, 0.3, 0.6, 0.9


def simulate(fates, plan=None, seeds=None):
    CALLS.clear()
    seeds = torch.arange(len(fates)) if seeds is None else seeds
    return Toy().simulate(torch.tensor(fates)[:, None], seeds, plan or Plan())


def test_frames_show_the_promised_steps():
    made = simulate([LIVES], Plan(film_frames=6, film_size=16))
    assert made.clip[0, :, -1, -1, 0].tolist() == [round(t * 124 / 31) for t in range(32)]
    assert made.film[0, :, -1, -1, 0].tolist() == [0, 25, 50, 74, 99, 124]


def test_more_frames_than_steps_repeat_frames():
    made = Toy(steps=3).simulate(torch.tensor([[LIVES]]), torch.tensor([0]), Plan(clip_frames=7))
    assert made.clip[0, :, -1, -1, 0].tolist() == [0, 0, 1, 2, 2, 2, 3]


def test_statuses():
    made = simulate([LIVES, DIES, EXPLODES, FREEZES])
    assert [STATUSES[i] for i in made.status.tolist()] == ["alive", "dead", "exploded", "frozen"]


def test_the_dead_leave_early_and_survivors_share_batches():
    made = simulate([LIVES, DIES, DIES, DIES] * 16)  # 64 worlds, of which 16 live: one full batch
    assert set(CALLS) == {16}
    assert len(CALLS) == 4 * 12 + (124 - 12)
    assert made.clip[1, -1].max() == 0  # black where it was no longer simulated


def test_a_frozen_world_keeps_its_picture():
    made = simulate([FREEZES], Plan(film_frames=9, film_size=16))
    assert len(CALLS) < 124
    for film in (made.clip[0], made.film[0]):
        assert film.float().std() > 0
        assert (film == film[0]).all()


class Halted(Toy):
    """Says itself when its worlds stand still."""

    def status(self, state, rule):
        return torch.where(state["age"] > 10, STATUSES.index("frozen"), super().status(state, rule))


def test_a_world_that_calls_itself_frozen_keeps_its_picture_too():
    made = Halted().simulate(torch.tensor([[LIVES]]), torch.tensor([0]), Plan(film_frames=32, film_size=16))
    assert STATUSES[made.status[0]] == "frozen"
    for film in (made.clip[0], made.film[0]):  # It is asked after 12 of 124 steps, which is after frame 3.
        assert film[3:, -1, -1, 0].unique().tolist() == [12]


def test_a_world_does_not_depend_on_its_batch_mates():
    fates, seeds = [LIVES, DIES, LIVES, FREEZES, EXPLODES] * 7, torch.arange(35) + 5
    together = simulate(fates, seeds=seeds)
    for row in (0, 3, 34):
        alone = simulate(fates[row : row + 1], seeds=seeds[row : row + 1])
        assert torch.equal(alone.clip[0], together.clip[row])
        assert alone.status[0] == together.status[row]


def test_no_worlds_are_fine():
    made = simulate(torch.zeros(0).tolist(), seeds=torch.zeros(0, dtype=torch.int64))
    assert made.status.shape == (0,)
    assert made.clip.shape == (0, 32, 64, 64, 3)


def test_a_seed_for_each_world():
    with pytest.raises(ValueError, match="one per row"):
        simulate([LIVES, LIVES], seeds=torch.arange(3))


def test_a_rollout_has_a_step():
    with pytest.raises(ValueError, match="steps is 0, expected at least 1"):
        Toy(steps=0)


def test_a_rollout_has_a_step_also_where_a_simulation_checks_its_settings_itself():
    class Own(Toy):
        def __post_init__(self):
            pass

    with pytest.raises(ValueError, match="steps is 0, expected at least 1"):
        Own(steps=0).simulate(torch.rand(2, 1), torch.arange(2), Plan())
