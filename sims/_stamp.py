"""Drawing of particles, compiled for the CPU: `_discs` says what is drawn.

Shapes: B rollouts, N particles, K hues.
"""

import numpy as np

from sims._cells import ONE, ZERO, share
from sims._compile import compiled
from sims._discs import GLOW_LIGHT

LIGHT, HALF, FULL = np.float32(GLOW_LIGHT), np.float32(0.5), np.float32(255)


@compiled
def stamp(place, tone, hue, disc, halo, picture):  # type: ignore[no-untyped-def]
    """Draw particles (B, 2, N) in tones (B, N) of the hues (K, 3) into pictures (B, size, size, 3).

    Their bodies have the radius `disc`, and their glow has the radius `halo`.
    """
    count, size = len(hue), picture.shape[1]
    cover = np.empty((count, size, size), np.int32)
    row, column = _window(int(halo * size) + 1)
    light = np.empty(row.size, np.float32)
    for b in range(len(place)):
        cover[:] = 0
        for i in range(place.shape[2]):
            first = int(tone[b, i])
            part = tone[b, i] - np.float32(first)
            _shine(place[b, 0, i], place[b, 1, i], size, disc, halo, row, column, light)
            _add(cover[first % count], place[b, 0, i], place[b, 1, i], row, column, light, ONE - part)
            if part > ZERO:
                _add(cover[(first + 1) % count], place[b, 0, i], place[b, 1, i], row, column, light, part)
        _develop(cover, hue, picture[b])


@compiled
def _window(reach):  # type: ignore[no-untyped-def]
    """The rows and columns, each (S * S,), of a square of pixels around one."""
    side = 2 * reach + 1
    row, column = np.empty(side * side, np.int32), np.empty(side * side, np.int32)
    for i in range(side * side):
        row[i], column[i] = i // side - reach, i % side - reach
    return row, column


@compiled
def _shine(y, x, size, disc, halo, row, column, light):  # type: ignore[no-untyped-def]
    """The light, up to 255, of a body and its glow on the pixels around it. No branches, see `compiled`."""
    pixel = ONE / np.float32(size)
    y, x = np.float32(share(y, size)) + HALF - y * size, np.float32(share(x, size)) + HALF - x * size
    for i in range(light.size):
        down, along = (np.float32(row[i]) + y) * pixel, (np.float32(column[i]) + x) * pixel
        distance = np.sqrt(down * down + along * along)
        glow = max(ZERO, ONE - distance / halo)
        body = min(ONE, max(ZERO, (disc - distance) * size + HALF))
        light[i] = max(body, glow * glow * LIGHT) * FULL


@compiled
def _add(cover, y, x, row, column, light, part):  # type: ignore[no-untyped-def]
    """Add a part of a particle's light to what covers the pixels (size, size)."""
    size = len(cover)
    top, left = share(y, size), share(x, size)
    for i in range(light.size):
        down, along = top + row[i], left + column[i]
        down += size if down < 0 else -size if down >= size else 0
        along += size if along < 0 else -size if along >= size else 0
        cover[down, along] += int(light[i] * part + HALF)


@compiled
def _develop(cover, hue, picture):  # type: ignore[no-untyped-def]
    """The picture (size, size, 3) of what each hue covers of each pixel, (K, size, size) up to 255."""
    dark = np.empty(len(picture), np.float32)
    for row in range(len(picture)):
        for channel in range(3):
            dark[:] = ONE
            for k in range(len(hue)):
                line, gain = cover[k, row], hue[k, channel] / FULL
                for column in range(dark.size):
                    dark[column] *= ONE - np.float32(min(line[column], 255)) * gain
            pixels = picture[row, :, channel]
            for column in range(dark.size):
                pixels[column] = np.uint8((ONE - dark[column]) * FULL + HALF)
