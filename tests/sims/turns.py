"""Ways to move a world of cells on a torus, (..., H, W), which no law should notice."""

import pytest

each_turn = pytest.mark.parametrize(
    "turn",
    [
        lambda a: a.roll((5, -11), (-2, -1)),
        lambda a: a.rot90(1, (-2, -1)).roll(1, -2),  # The middle of an even world is a corner: turn about cell (0, 0).
        lambda a: a.flip(-1).roll(1, -1),
        lambda a: a.transpose(-2, -1),
    ],
    ids=["shift", "rotate", "flip", "transpose"],
)
