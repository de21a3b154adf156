"""What one core can do at best, measured: transforms, memory and arithmetic."""

import statistics
from functools import lru_cache

import numba
import numpy as np
import scipy.fft
import torch

from benchmarks.speed_serve import Work, repeats, seconds

RUNS = 5


def best(work: Work) -> float:
    """The median of some runs, in CPU seconds."""
    times = repeats(work)
    return statistics.median(seconds(work, times) for _ in range(RUNS))


@lru_cache
def fft_pair(size: int, batch: int) -> float:
    """Seconds for a real 2-D transform and its inverse, of `batch` fields, by the faster of torch (MKL) and scipy."""
    fields = torch.rand(batch, size, size)
    array = fields.numpy()
    return min(
        best(lambda: torch.fft.irfft2(torch.fft.rfft2(fields), s=(size, size))),
        best(lambda: scipy.fft.irfft2(scipy.fft.rfft2(array), s=(size, size))),
    )


@lru_cache
def bandwidth(size: int) -> float:
    """Bytes per second of a stream triad, a = b + s c, over arrays of `size` bytes in all."""
    n = max(1024, size // 12)
    rounds = -(-1_000_000 // n)
    a, b, c = (np.ones(n, np.float32) for _ in range(3))
    return 12 * n * rounds / best(lambda: _triad(a, b, c, rounds))


@lru_cache
def arithmetic() -> float:
    """Single precision operations per second, a multiply-add being two: the better of a compiled loop and MKL."""
    rounds = 20_000
    numbers = np.full(LANES, 0.5, np.float32)
    loop = 2 * LANES * UNROLL * rounds / best(lambda: _multiply_add(numbers, rounds))
    a, b = torch.rand(2, 512, 512).unbind()
    return max(loop, 2 * 512**3 / best(lambda: a @ b))


LANES, UNROLL = 128, 32
"""Numbers that stay in registers, and multiply-adds on each between two visits of memory."""


@numba.njit(fastmath={"contract"}, error_model="numpy")
def _multiply_add(numbers, rounds):  # type: ignore[no-untyped-def]
    factor, term = np.float32(0.999), np.float32(1e-3)
    for _ in range(rounds):
        for lane in range(LANES):
            x = numbers[lane]
            for _ in range(UNROLL):
                x = x * factor + term
            numbers[lane] = x


@numba.njit(fastmath=True)
def _triad(a, b, c, rounds):  # type: ignore[no-untyped-def]
    for turn in range(rounds):
        scale = np.float32(turn)
        for i in range(a.size):
            a[i] = b[i] + scale * c[i]
