"""What Lenia does with what its cells see, as one compiled pass over the world."""

import numpy as np

from sims._compile import compiled

ZERO, ONE = np.float32(0), np.float32(1)
"""Compiled code needs its numbers in single precision."""


@compiled
def grow(cells, trail, seen, center, gain, loss, fade, faded):  # type: ignore[no-untyped-def]
    """The polynomial growth of worlds (B, H, W), in single precision: see `sims.lenia.grow`.

    What cells see becomes what they are; their trail goes into `faded`. `center`, `gain` and `loss` are (B, 1, 1).
    """
    for b in range(cells.shape[0]):
        c, g, loses = center[b, 0, 0], gain[b, 0, 0], loss[b, 0, 0]
        for i in range(cells.shape[1]):
            before, see, old, new = cells[b, i], seen[b, i], trail[b, i], faded[b, i]
            for j in range(before.size):
                x = see[j] - c
                likes = max(ZERO, ONE - x * x)
                likes *= likes
                after = min(ONE, max(ZERO, before[j] + g * likes * likes - loses))
                see[j] = after
                new[j] = old[j] + fade * (after - old[j])
