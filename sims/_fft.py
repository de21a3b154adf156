"""Convolutions on a square torus, compiled for the CPU: two to three times as fast as the common libraries.

Why: strips of 16 columns, whose lanes no butterfly crosses (`_butterflies`); two real columns, half a world apart,
travel as one complex column; spectra stay in the order in which the transform leaves them, and those of kernels are
brought into it once; these are real, since kernels are symmetric. Between the transforms of columns and of rows,
squares of 16 x 16 are turned in registers (`_lanes`). Worlds are done one by one: what one needs stays in the L2 cache.

In a world's spectrum (n * n,), strip after strip, lanes are the frequencies 0 to n/2-1 of the columns, and rows the
scrambled ones of the rows. The frequencies 0 and n/2 of columns, which are real, travel as one complex row, in lane 0.

Shapes: B rollouts, C channels, K kernels, n x n cells. `size`, `root` and buffers are explained in `_butterflies`.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sims._butterflies import down, places, up
from sims._compile import compiled
from sims._lanes import LANES, copy, turn, turn_back

HALF = np.float32(0.5)


@compiled
def _split(waves, size):  # type: ignore[no-untyped-def]
    """From the spectra Z of complex columns (left, right) to those of both: L = Z(k) + Z*(-k), i R = Z(k) - Z*(-k).

    Lane 0 of strip 0 holds Z(0) and Z(n/2). Its columns' frequencies 0 and n/2 are real: both become one complex row.
    """
    n = 1 << len(size)
    imag, right = n * LANES, n // 2 * LANES
    for i in range(0, right, LANES):
        zr, zi, yr, yi = waves[i], waves[i + imag], waves[i + right], waves[i + right + imag]
        waves[i], waves[i + imag] = HALF * (zr - yi), HALF * (zi + yr)  # The sums below make this (zr, yr), (zi, yi).
        waves[i + right], waves[i + right + imag] = HALF * (zr + yi), HALF * (zi - yr)
    for strip in range(n // 2 // LANES):
        first = 2 * strip * imag
        for i in range(first, first + right):
            zr, zi, yr, yi = waves[i], waves[i + imag], waves[i + right], waves[i + right + imag]
            waves[i], waves[i + imag] = zr + yr, zi - yi
            waves[i + right], waves[i + right + imag] = zi + yi, yr - zr


@compiled
def _join(waves, size):  # type: ignore[no-untyped-def]
    """The inverse of `_split`, times 2 except for the complex row of frequencies 0 and n/2."""
    n = 1 << len(size)
    imag, right = n * LANES, n // 2 * LANES
    for strip in range(n // 2 // LANES):
        first = 2 * strip * imag
        for i in range(first, first + right):
            lr, li, rr, ri = waves[i], waves[i + imag], waves[i + right], waves[i + right + imag]
            waves[i], waves[i + imag] = lr - ri, li + rr
            waves[i + right], waves[i + right + imag] = lr + ri, rr - li
    for i in range(0, right, LANES):
        zr, zi, yr, yi = waves[i], waves[i + imag], waves[i + right], waves[i + right + imag]
        waves[i], waves[i + imag] = HALF * (zr + yr), HALF * (zi + yi)
        waves[i + right], waves[i + right + imag] = HALF * (zi - yi), HALF * (yr - zr)


@compiled
def forward(field, waves, buffer, size, rows, root):  # type: ignore[no-untyped-def]
    """The spectrum of a world `field` (n * n,) into `waves` (n * n,), scrambled. Scratch: `buffer` (2 * n * LANES,)."""
    n = 1 << len(size)
    start, local, turned, table = field.ctypes.data, buffer.ctypes.data, waves.ctypes.data, rows.ctypes.data
    for column in range(0, n // 2, LANES):
        for y in range(n):
            copy(start + 4 * (y * n + column), local + 4 * y * LANES)
            copy(start + 4 * (y * n + n // 2 + column), local + 4 * (n + y) * LANES)
        down(buffer, size, root)
        for strip in range(n // 2 // LANES):
            to, at = turned + 4 * LANES * (2 * strip * n + column), table + 8 * LANES * strip
            for part in range(2):
                turn(local + 4 * part * n * LANES, at, to + 4 * part * n * LANES)
                turn(local + 4 * part * n * LANES, at + 4 * n, to + 4 * (part * n + n // 2) * LANES)
    _split(waves, size)
    for first in range(0, n * n, 2 * n * LANES):
        down(waves[first : first + 2 * n * LANES], size, root)


@compiled
def backward(waves, field, buffer, size, rows, root):  # type: ignore[no-untyped-def]
    """The world (n * n,) of a spectrum, which is used up."""
    n = 1 << len(size)
    start, local, turned, table = field.ctypes.data, buffer.ctypes.data, waves.ctypes.data, rows.ctypes.data
    for first in range(0, n * n, 2 * n * LANES):
        up(waves[first : first + 2 * n * LANES], size, root)
    _join(waves, size)
    for column in range(0, n // 2, LANES):
        for strip in range(n // 2 // LANES):
            to, at = turned + 4 * LANES * (2 * strip * n + column), table + 8 * LANES * strip
            for part in range(2):
                turn_back(to + 4 * part * n * LANES, at, local + 4 * part * n * LANES)
                turn_back(to + 4 * (part * n + n // 2) * LANES, at + 4 * n, local + 4 * part * n * LANES)
        up(buffer, size, root)
        for y in range(n):
            copy(local + 4 * y * LANES, start + 4 * (y * n + column))
            copy(local + 4 * (n + y) * LANES, start + 4 * (y * n + n // 2 + column))


@compiled
def multiply(waves, spectrum, product, size, mirror):  # type: ignore[no-untyped-def]
    """Into `product`, the spectrum `waves` of a world times that of a kernel, from `scrambled`."""
    n = 1 << len(size)
    for strip in range(n // 2 // LANES):
        ahead = strip * n * LANES
        for i in range(ahead, ahead + n * LANES):
            j = i + ahead
            product[j] = waves[j] * spectrum[i]
            product[j + n * LANES] = waves[j + n * LANES] * spectrum[i]
    for x in range(n):
        cross, other = spectrum[n // 2 * n + x], mirror[x] * LANES
        product[x * LANES] += cross * waves[other]
        product[(n + x) * LANES] -= cross * waves[other + n * LANES]


@compiled
def _convolve(field, spectrum, source, seen, size, rows, mirror, root):  # type: ignore[no-untyped-def]
    n = 1 << len(size)
    waves = np.empty((field.shape[1], n * n), np.float32)
    product, buffer = np.empty(n * n, np.float32), np.empty(2 * n * LANES, np.float32)
    for b in range(len(field)):
        for c in range(field.shape[1]):
            forward(field[b, c], waves[c], buffer, size, rows, root)
        for k in range(spectrum.shape[1]):
            multiply(waves[source[k]], spectrum[b, k], product, size, mirror)
            backward(product, seen[b, k], buffer, size, rows, root)


def convolve(field: NDArray[np.float32], spectrum: NDArray[np.float32], source: tuple[int, ...]) -> NDArray[np.float32]:
    """Each kernel's view of its channel, (B, K, n, n).

    Args:
        field: (B, C, n, n).
        spectrum: (B, K, n/2+1, n), `scrambled`.
        source: K channels, which one each kernel looks at.
    """
    batch, channels, n, _ = field.shape
    seen = np.empty((batch, len(source), n * n), np.float32)
    flat = field.reshape(batch, channels, -1), spectrum.reshape(batch, len(source), -1)
    _convolve(*flat, np.array(source), seen, *tables(n))
    return seen.reshape(batch, len(source), n, n)


@lru_cache
def tables(n: int) -> tuple[tuple[int, ...], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """What all functions above want to know about n: `size`, `rows`, `mirror` and `root`.

    `rows` (n,) are byte offsets in a buffer of the frequencies 0 to n/2-1, then of n/2, -1 to -(n/2-1); `mirror` (n,)
    is the row of -k for each row of k.
    """
    place, k = places(n), np.arange(n)
    half = np.arange(n // 2)
    there = np.concatenate([half, -half % n])
    there[n // 2] = n // 2
    mirror = np.empty(n, np.int64)
    mirror[place] = place[-k % n]
    turn = np.exp(-2j * np.pi * k / n)
    return (
        (0,) * (n.bit_length() - 1),
        4 * LANES * place[there],
        mirror,
        np.stack([turn.real, turn.imag], 1).astype(np.float32),
    )


def scrambled(spectrum: NDArray[np.float64]) -> NDArray[np.float32]:
    """Real spectra (..., n, n) of kernels as `multiply` wants them, (..., n/2+1, n), scaled for the way there and back.

    The last row holds half the difference of the frequencies 0 and n/2, which travel as one complex row Z: from
    k0 Re + i kn Im, in space, (k0 + kn) / 2 Z(k) + (k0 - kn) / 2 Z*(-k) in frequencies.
    """
    n = spectrum.shape[-1]
    columns = np.empty(n, np.int64)
    columns[places(n)] = np.arange(n)
    values = spectrum[..., columns] / n**2
    zero, nyquist = values[..., :1, :], values[..., n // 2 : n // 2 + 1, :]
    rows = np.concatenate([zero + nyquist, values[..., 1 : n // 2, :]], -2) / 2
    strips = rows.reshape(*rows.shape[:-2], -1, LANES, n).swapaxes(-1, -2).reshape(rows.shape)
    return np.concatenate([strips, (zero - nyquist) / 2], -2).astype(np.float32)
