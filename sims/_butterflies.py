"""Fourier transforms of 16 columns at once, compiled: in place, without ever reordering.

The way to frequencies decimates in frequency and leaves them scrambled (`places`); the way back decimates in time and
takes them so. No butterfly crosses lanes, and a buffer stays in the L1 cache.

J. W. Cooley, J. W. Tukey. An algorithm for the machine calculation of complex Fourier series. Math. Comp. 19, 1965.

A buffer holds n rows of LANES real parts, then as many imaginary parts. `size` is a tuple of log2(n) zeros: its length
is part of its type, which makes n a constant for the compiler. `root` (n, 2) holds exp(-2 pi i k / n).
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from sims._compile import compiled
from sims._lanes import LANES

ROOT = np.float32(0.5**0.5)


def _inlined(function: Any) -> Any:
    """Part of its callers, so that what is constant there is constant here."""
    return numba.njit(inline="always", fastmath=True, error_model="numpy", nogil=True)(function)


@_inlined
def _down4(buffer, n, h, root):  # type: ignore[no-untyped-def]
    """Butterflies of 4 rows, h/4 apart, on the way to frequencies; `root` (n, 2) holds exp(-2 pi i k / n)."""
    q, stride, imag = h // 4, n // h, n * LANES
    one, two, three = q * LANES, 2 * q * LANES, 3 * q * LANES
    for block in range(stride):
        for j in range(q):
            k = j * stride
            w1r, w1i, w2r, w2i = root[k, 0], root[k, 1], root[2 * k, 0], root[2 * k, 1]
            w3r, w3i = root[3 * k, 0], root[3 * k, 1]
            first = (block * h + j) * LANES
            for s in range(first, first + LANES):
                ar, ai = buffer[s], buffer[s + imag]
                br, bi = buffer[s + one], buffer[s + one + imag]
                cr, ci = buffer[s + two], buffer[s + two + imag]
                dr, di = buffer[s + three], buffer[s + three + imag]
                pr, pi, mr, mi = ar + cr, ai + ci, ar - cr, ai - ci
                qr, qi, nr, ni = br + dr, bi + di, br - dr, bi - di
                buffer[s], buffer[s + imag] = pr + qr, pi + qi
                xr, xi = mr + ni, mi - nr
                buffer[s + one], buffer[s + one + imag] = xr * w1r - xi * w1i, xr * w1i + xi * w1r
                xr, xi = pr - qr, pi - qi
                buffer[s + two], buffer[s + two + imag] = xr * w2r - xi * w2i, xr * w2i + xi * w2r
                xr, xi = mr - ni, mi + nr
                buffer[s + three], buffer[s + three + imag] = xr * w3r - xi * w3i, xr * w3i + xi * w3r


@_inlined
def _up4(buffer, n, h, root):  # type: ignore[no-untyped-def]
    """The inverse of `_down4`, times 4."""
    q, stride, imag = h // 4, n // h, n * LANES
    one, two, three = q * LANES, 2 * q * LANES, 3 * q * LANES
    for block in range(stride):
        for j in range(q):
            k = j * stride
            w1r, w1i, w2r, w2i = root[k, 0], root[k, 1], root[2 * k, 0], root[2 * k, 1]
            w3r, w3i = root[3 * k, 0], root[3 * k, 1]
            first = (block * h + j) * LANES
            for s in range(first, first + LANES):
                ar, ai = buffer[s], buffer[s + imag]
                xr, xi = buffer[s + one], buffer[s + one + imag]
                br, bi = xr * w1r + xi * w1i, xi * w1r - xr * w1i
                xr, xi = buffer[s + two], buffer[s + two + imag]
                cr, ci = xr * w2r + xi * w2i, xi * w2r - xr * w2i
                xr, xi = buffer[s + three], buffer[s + three + imag]
                dr, di = xr * w3r + xi * w3i, xi * w3r - xr * w3i
                pr, pi, mr, mi = ar + cr, ai + ci, ar - cr, ai - ci
                qr, qi, nr, ni = br + dr, bi + di, br - dr, bi - di
                buffer[s], buffer[s + imag] = pr + qr, pi + qi
                buffer[s + one], buffer[s + one + imag] = mr - ni, mi + nr
                buffer[s + two], buffer[s + two + imag] = pr - qr, pi - qi
                buffer[s + three], buffer[s + three + imag] = mr + ni, mi - nr


@_inlined
def _down8(buffer, n):  # type: ignore[no-untyped-def]
    """Butterflies of 8 neighbouring rows: frequency k ends in row 2 (k mod 4) + k div 4, as after a 4 and a 2."""
    imag = n * LANES
    for block in range(n // 8):
        first = block * 8 * LANES
        for s in range(first, first + LANES):
            a0r, a1r, a2r, a3r = buffer[s], buffer[s + LANES], buffer[s + 2 * LANES], buffer[s + 3 * LANES]
            a4r, a5r, a6r, a7r = (
                buffer[s + 4 * LANES],
                buffer[s + 5 * LANES],
                buffer[s + 6 * LANES],
                buffer[s + 7 * LANES],
            )
            a0i, a1i, a2i, a3i = (
                buffer[s + imag],
                buffer[s + LANES + imag],
                buffer[s + 2 * LANES + imag],
                buffer[s + 3 * LANES + imag],
            )
            a4i, a5i, a6i, a7i = (
                buffer[s + 4 * LANES + imag],
                buffer[s + 5 * LANES + imag],
                buffer[s + 6 * LANES + imag],
                buffer[s + 7 * LANES + imag],
            )
            pr, pi, mr, mi = a0r + a4r, a0i + a4i, a0r - a4r, a0i - a4i
            qr, qi, nr, ni = a2r + a6r, a2i + a6i, a2r - a6r, a2i - a6i
            e0r, e0i, e2r, e2i = pr + qr, pi + qi, pr - qr, pi - qi
            e1r, e1i, e3r, e3i = mr + ni, mi - nr, mr - ni, mi + nr
            pr, pi, mr, mi = a1r + a5r, a1i + a5i, a1r - a5r, a1i - a5i
            qr, qi, nr, ni = a3r + a7r, a3i + a7i, a3r - a7r, a3i - a7i
            o0r, o0i, o2r, o2i = pr + qr, pi + qi, pr - qr, pi - qi
            o1r, o1i, o3r, o3i = mr + ni, mi - nr, mr - ni, mi + nr
            o1r, o1i = ROOT * (o1r + o1i), ROOT * (o1i - o1r)
            o2r, o2i = o2i, -o2r
            o3r, o3i = ROOT * (o3i - o3r), -ROOT * (o3r + o3i)
            buffer[s], buffer[s + imag] = e0r + o0r, e0i + o0i
            buffer[s + LANES], buffer[s + LANES + imag] = e0r - o0r, e0i - o0i
            buffer[s + 2 * LANES], buffer[s + 2 * LANES + imag] = e1r + o1r, e1i + o1i
            buffer[s + 3 * LANES], buffer[s + 3 * LANES + imag] = e1r - o1r, e1i - o1i
            buffer[s + 4 * LANES], buffer[s + 4 * LANES + imag] = e2r + o2r, e2i + o2i
            buffer[s + 5 * LANES], buffer[s + 5 * LANES + imag] = e2r - o2r, e2i - o2i
            buffer[s + 6 * LANES], buffer[s + 6 * LANES + imag] = e3r + o3r, e3i + o3i
            buffer[s + 7 * LANES], buffer[s + 7 * LANES + imag] = e3r - o3r, e3i - o3i


@_inlined
def _up8(buffer, n):  # type: ignore[no-untyped-def]
    """The inverse of `_down8`, times 8."""
    imag = n * LANES
    for block in range(n // 8):
        first = block * 8 * LANES
        for s in range(first, first + LANES):
            x, y = buffer[s], buffer[s + LANES]
            e0r, o0r = x + y, x - y
            x, y = buffer[s + imag], buffer[s + LANES + imag]
            e0i, o0i = x + y, x - y
            x, y = buffer[s + 2 * LANES], buffer[s + 3 * LANES]
            e1r, o1r = x + y, x - y
            x, y = buffer[s + 2 * LANES + imag], buffer[s + 3 * LANES + imag]
            e1i, o1i = x + y, x - y
            x, y = buffer[s + 4 * LANES], buffer[s + 5 * LANES]
            e2r, o2r = x + y, x - y
            x, y = buffer[s + 4 * LANES + imag], buffer[s + 5 * LANES + imag]
            e2i, o2i = x + y, x - y
            x, y = buffer[s + 6 * LANES], buffer[s + 7 * LANES]
            e3r, o3r = x + y, x - y
            x, y = buffer[s + 6 * LANES + imag], buffer[s + 7 * LANES + imag]
            e3i, o3i = x + y, x - y
            o1r, o1i = ROOT * (o1r - o1i), ROOT * (o1r + o1i)
            o2r, o2i = -o2i, o2r
            o3r, o3i = -ROOT * (o3r + o3i), ROOT * (o3r - o3i)
            pr, pi, mr, mi = e0r + e2r, e0i + e2i, e0r - e2r, e0i - e2i
            qr, qi, nr, ni = e1r + e3r, e1i + e3i, e1r - e3r, e1i - e3i
            buffer[s], buffer[s + imag] = pr + qr, pi + qi
            buffer[s + 4 * LANES], buffer[s + 4 * LANES + imag] = pr - qr, pi - qi
            buffer[s + 2 * LANES], buffer[s + 2 * LANES + imag] = mr - ni, mi + nr
            buffer[s + 6 * LANES], buffer[s + 6 * LANES + imag] = mr + ni, mi - nr
            pr, pi, mr, mi = o0r + o2r, o0i + o2i, o0r - o2r, o0i - o2i
            qr, qi, nr, ni = o1r + o3r, o1i + o3i, o1r - o3r, o1i - o3i
            buffer[s + LANES], buffer[s + LANES + imag] = pr + qr, pi + qi
            buffer[s + 5 * LANES], buffer[s + 5 * LANES + imag] = pr - qr, pi - qi
            buffer[s + 3 * LANES], buffer[s + 3 * LANES + imag] = mr - ni, mi + nr
            buffer[s + 7 * LANES], buffer[s + 7 * LANES + imag] = mr + ni, mi - nr


@compiled
def down(buffer, size, root):  # type: ignore[no-untyped-def]
    """Transforms of LANES columns, in place. Give it a slice: of an offset, the compiler fears that it be negative."""
    n = 1 << len(size)
    _down4(buffer, n, n, root)
    if n == 64:
        _down4(buffer, n, 16, root)
        _down4(buffer, n, 4, root)
    elif n == 128:
        _down4(buffer, n, 32, root)
        _down8(buffer, n)
    else:
        _down4(buffer, n, 64, root)
        _down4(buffer, n, 16, root)
        _down4(buffer, n, 4, root)


@compiled
def up(buffer, size, root):  # type: ignore[no-untyped-def]
    """The inverse of `down`, times n."""
    n = 1 << len(size)
    if n == 64:
        _up4(buffer, n, 4, root)
        _up4(buffer, n, 16, root)
    elif n == 128:
        _up8(buffer, n)
        _up4(buffer, n, 32, root)
    else:
        _up4(buffer, n, 4, root)
        _up4(buffer, n, 16, root)
        _up4(buffer, n, 64, root)
    _up4(buffer, n, n, root)


def places(n: int) -> NDArray[np.int64]:
    """The row (n,) in which each frequency ends after `down`: its digits in base 4 (the last in base 2), reversed."""
    place, k, size = np.zeros(n, np.int64), np.arange(n), n
    while size > 1:
        radix = min(4, size)
        size //= radix
        place += k % radix * size
        k = k // radix
    return place
