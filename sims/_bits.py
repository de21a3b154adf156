"""Life-like automata, 64 cells in a word: compiled for the CPU, in torch elsewhere.

Worlds (B, H, W) of cells are kept as `words` (B, W/64, H) int64: bit i of word (k, y) is the cell in row y, column
64 k + i. A loop over y then does the same to 64 cells of many rows at once.

Shapes: B rollouts, H W cells, W a multiple of 64; L bit planes of a number per cell.
"""

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled

ONE, LAST = np.uint64(1), np.uint64(63)
"""Compiled code needs its numbers unsigned."""


def pack(cells: Tensor) -> Tensor:
    """Words (B, W/64, H) of worlds (B, H, W) bool."""
    batch, height, width = cells.shape
    bit = torch.ones(64, dtype=torch.int64, device=cells.device) << torch.arange(64, device=cells.device)
    return (cells.view(batch, height, width // 64, 64) * bit).sum(3).mT.contiguous()


def unpack(words: Tensor) -> Tensor:
    """Worlds (..., H, W) uint8, 0 or 1, of words (..., W/64, H)."""
    rows = words.mT.clone(memory_format=torch.contiguous_format)
    octets = rows.view(torch.uint8)  # (..., H, W/8), the lowest bits first
    return ((octets[..., None] >> torch.arange(8, dtype=torch.uint8, device=words.device)) & 1).flatten(-2)


def turn(words: Tensor, age: Tensor, born: Tensor, survives: Tensor, sky: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The next generation: words, age and sky, in new tensors.

    Args:
        words: (B, W/64, H) int64, the cells that differ from the sky.
        age: (B, L, W/64, H) int64, bit planes of how many generations a cell has been what it is, up to 2^L - 1.
        born: (B, 9) bool, by the number of living neighbors.
        survives: (B, 9) bool.
        sky: (B,) bool, whether the cells of the endless empty plain are alive at present.
    """
    later = torch.where(sky, survives[:, 8], born[:, 0])
    if words.device.type == "cpu":
        new_words, new_age = torch.empty_like(words), torch.empty_like(age)
        masks = (-torch.stack([born, survives], 1).long()).contiguous()
        skies = -torch.stack([sky, later], 1).long()
        arrays = (words.contiguous(), age.contiguous(), masks, skies, new_words, new_age)
        _turn_all(*(one.numpy().view(np.uint64) for one in arrays))
        return new_words, new_age, later
    new_words = pack(dense(unpack(words).bool() ^ sky[:, None, None], born, survives) ^ later[:, None, None])
    return new_words, older(~(words ^ new_words), age), later


def dense(cells: Tensor, born: Tensor, survives: Tensor) -> Tensor:
    """The next generation of worlds (B, H, W) bool on a torus, cell by cell."""
    rows = cells.byte() + cells.roll(1, 1) + cells.roll(-1, 1)
    around = (rows + rows.roll(1, 2) + rows.roll(-1, 2) - cells.byte()).long().flatten(1)
    return torch.where(cells, survives.gather(1, around).view_as(cells), born.gather(1, around).view_as(cells))


def older(same: Tensor, age: Tensor) -> Tensor:
    """Bit planes (B, L, W/64, H) of 0 where a cell changed, else of age + 1, but no more than they can hold."""
    full, carry, planes = same, same, []
    for plane in age.unbind(1):
        full = full & plane
    for plane in age.unbind(1):
        planes.append(((plane ^ carry) & same) | full)
        carry = carry & plane
    return torch.stack(planes, 1)


@compiled
def _turn_all(words, age, masks, skies, new_words, new_age):  # type: ignore[no-untyped-def]
    batch, columns, height = words.shape
    ones = np.empty((2, height + 2), np.uint64)  # How many of a row's three cells, or of its outer two, are alive,
    twos = np.empty((2, height + 2), np.uint64)  # as numbers of two bits, with a border above and below.
    for b in range(batch):
        for k in range(columns):
            left, right = words[b, (k - 1) % columns], words[b, (k + 1) % columns]
            _count_rows(left, words[b, k], right, skies[b, 0], ones, twos)
            _decide(words[b, k], ones, twos, masks[b], skies[b], new_words[b, k])
            _grow_older(words[b, k], new_words[b, k], age[b, :, k], new_age[b, :, k])


@compiled
def _count_rows(left, middle, right, sky, ones, twos):  # type: ignore[no-untyped-def]
    """Sums of the three cells of each row, [0], and of the outer two, [1]."""
    height = middle.size
    three_ones, three_twos = ones[0, 1 : height + 1], twos[0, 1 : height + 1]
    two_ones, two_twos = ones[1, 1 : height + 1], twos[1, 1 : height + 1]
    for y in range(height):
        own = middle[y] ^ sky
        before = (own << ONE) | ((left[y] ^ sky) >> LAST)
        after = (own >> ONE) | ((right[y] ^ sky) << LAST)
        either, both = before ^ after, before & after
        two_ones[y], two_twos[y] = either, both
        three_ones[y], three_twos[y] = either ^ own, both | (either & own)
    for counts in (ones, twos):
        counts[0, 0], counts[0, height + 1] = counts[0, height], counts[0, 1]


@compiled
def _decide(words, ones, twos, masks, skies, new_words):  # type: ignore[no-untyped-def]
    """Add the rows above, of and below each cell, and look up what its rule says."""
    height = words.size
    a_ones, b_ones, c_ones = ones[0, :height], ones[1, 1 : height + 1], ones[0, 2:]
    a_twos, b_twos, c_twos = twos[0, :height], twos[1, 1 : height + 1], twos[0, 2:]
    born, change = masks[0], masks[0] ^ masks[1]
    sky, next_sky = skies
    for y in range(height):
        own = words[y] ^ sky
        a, b, c = a_ones[y], b_ones[y], c_ones[y]
        bit0 = a ^ b ^ c
        d = (a & b) | (c & (a ^ b))
        a, b, c = a_twos[y], b_twos[y], c_twos[y]
        ab, cd = a ^ b, c ^ d
        bit1 = ab ^ cd
        e, f, g = a & b, c & d, ab & cd
        bit2 = e ^ f ^ g
        bit3 = (e & f) | (g & (e ^ f))
        low = _pick(bit1, _pick(bit0, born[0], born[1]), _pick(bit0, born[2], born[3]))
        high = _pick(bit1, _pick(bit0, born[4], born[5]), _pick(bit0, born[6], born[7]))
        comes = _pick(bit3, _pick(bit2, low, high), born[8])
        low = _pick(bit1, _pick(bit0, change[0], change[1]), _pick(bit0, change[2], change[3]))
        high = _pick(bit1, _pick(bit0, change[4], change[5]), _pick(bit0, change[6], change[7]))
        differs = _pick(bit3, _pick(bit2, low, high), change[8])
        new_words[y] = comes ^ (own & differs) ^ next_sky


@compiled
def _pick(bit, zero, one):  # type: ignore[no-untyped-def]
    return zero ^ (bit & (zero ^ one))


@compiled
def _grow_older(words, new_words, age, new_age):  # type: ignore[no-untyped-def]
    """`older`, row by row."""
    for y in range(words.size):
        same = ~(words[y] ^ new_words[y])
        full, carry = same, same
        for i in range(len(age)):
            full &= age[i, y]
        for i in range(len(age)):
            new_age[i, y] = ((age[i, y] ^ carry) & same) | full
            carry &= age[i, y]
