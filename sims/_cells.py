"""Who is near whom, for compiled loops over particles on a torus: a grid of cells, sorted anew in each step.

Particles are copied in the order of their cells, so that those of neighbouring cells in a row lie side by side: what
is near a cell are three stretches of memory, which are joined into one that the processor reads as vectors. Left and
right of the world stands a copy of the column from the other side, so that no loop looks around the edge.

Shapes: N particles; F numbers for each, of which the first two are its place.
"""

import numpy as np

from sims._compile import compiled

ZERO, ONE, TWO, TINY = (np.float32(value) for value in (0, 1, 2, 1e-18))
"""Compiled code needs its numbers in single precision. TINY keeps the direction between coinciding particles finite."""

FAR = np.float32(1e6)
"""Where stand-ins for missing neighbours are, in worlds."""

LANES = 32
"""Neighbours come in multiples of this, so that loops over them are made of whole vectors."""


@compiled
def cells(n, reach):  # type: ignore[no-untyped-def]
    """Cells along a side: each at least as wide as the reach (at most 1/2), and about one particle in each, or more.

    With two cells along a side, both images of the other one are near, of which at most one is within reach.
    """
    most = max(2, int(np.sqrt(n)))
    return min(max(2, int(ONE / reach)), most)  # A reach may be rounded to just above 1/2: `room` is for two or more.


@compiled
def share(place, count):  # type: ignore[no-untyped-def]
    """In which of `count` equal shares of the world a coordinate is: always one of them, whatever it is."""
    return max(0, min(int(place * count), count - 1))


@compiled
def room(n, rows):  # type: ignore[no-untyped-def]
    """Memory for `arrange` and `gather`: sorted numbers, where they came from, where cells begin, and a neighbourhood.

    Of a row of two cells, both are copied, and a cell may be near from both sides.
    """
    most = (max(2, int(np.sqrt(n))) + 2) ** 2 + 1
    sorted_, near = np.zeros((rows, 2 * n + LANES), np.float32), np.zeros((rows, 4 * n + 2 * LANES), np.float32)
    return sorted_, np.empty(2 * n, np.int64), np.empty(most, np.int64), near


@compiled
def arrange(numbers, side, sorted_, order, first):  # type: ignore[no-untyped-def]
    """Sort numbers (F, N) by cell, with copies of the outer columns.

    Cell (row, column) is number (row (side + 2) + column + 1), holds `sorted_[:, first[cell] : first[cell + 1]]`, and
    `order` says which particle is where. The copies are columns -1 and `side`.
    """
    wide, n = side + 2, numbers.shape[1]
    where, free = np.empty(n, np.int64), np.zeros(side * wide, np.int64)
    for i in range(n):
        where[i] = share(numbers[0, i], side) * wide + share(numbers[1, i], side) + 1
        free[where[i]] += 1
    for left in range(0, side * wide, wide):
        free[left], free[left + side + 1] = free[left + side], free[left + 1]
    first[0] = 0
    for cell in range(side * wide):
        first[cell + 1] = first[cell] + free[cell]
        free[cell] = first[cell]
    for i in range(n):
        at = free[where[i]]
        free[where[i]] += 1
        order[at] = i
        for f in range(len(numbers)):
            sorted_[f, at] = numbers[f, i]
    for left in range(0, side * wide, wide):
        _copy(sorted_, first[left + side], sorted_, first[left], first[left + 1] - first[left], 1, -ONE)
        right = left + side + 1
        _copy(sorted_, first[left + 1], sorted_, first[right], first[right + 1] - first[right], 1, ONE)


@compiled
def gather(sorted_, side, row, column, first, near):  # type: ignore[no-untyped-def]
    """Put what is near a cell into `near` (F, M), and return M, a multiple of `LANES`."""
    size, wide = 0, side + 2
    for other in range(row - 1, row + 2):
        left = (other % side) * wide + column
        count = first[left + 3] - first[left]
        whole = (count + LANES // 2 - 1) // (LANES // 2) * (LANES // 2)  # What is too much is overwritten below.
        _copy(sorted_, first[left], near, size, whole, 0, np.float32(other // side))
        size += count
    full = (size + LANES - 1) // LANES * LANES
    near[0, size:full] = FAR
    return full


@compiled
def _copy(source, at, target, to, count, axis, shift):  # type: ignore[no-untyped-def]
    """Copy columns of numbers; one row of them, a coordinate, is shifted."""
    for f in range(len(source)):
        here, there, add = source[f, at:], target[f, to:], shift if f == axis else ZERO
        for i in range(count):
            there[i] = here[i] + add
