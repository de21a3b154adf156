"""Films: small, right, repeatable, and what browsers play."""

import numpy as np
import pytest

from pipeline.film import FilmError, decode, encode, film


def clock(frames=30, size=128):
    """A bright disc that goes around a dark field of two colors."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    turn = 2 * np.pi * np.arange(frames)[:, None, None] / frames
    disc = np.clip((0.1 - np.hypot(x - 0.3 * np.cos(turn), y - 0.3 * np.sin(turn))) * 40 + 0.5, 0, 1)
    ground = np.where(x[..., None] > 0, (20, 10, 60), (0, 40, 20))
    return (disc[..., None] * (250, 180, 60) + (1 - disc[..., None]) * ground).astype(np.uint8)


def test_what_is_decoded_is_what_was_encoded():
    frames = clock()
    error = decode(encode(frames)).astype(float) - frames
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 34  # decibels
    assert np.abs(error.mean((0, 1, 2))).max() < 2  # no color cast


def test_the_same_frames_are_the_same_bytes():
    assert encode(clock()) == encode(clock())
    assert encode(clock()) != encode(clock()[::-1])


def test_any_browser_plays_it_at_once():
    mp4 = encode(clock())
    assert mp4[4:8] == b"ftyp"
    assert mp4.index(b"moov") < mp4.index(b"mdat")  # the index first: faststart
    avcc = mp4.index(b"avcC") + 4
    assert mp4[avcc + 1] == 100  # profile: High
    assert b"mp4a" not in mp4
    assert b"smhd" not in mp4  # no audio


def test_a_film_knows_its_measures():
    made = film(clock(frames=12), fps=6)
    assert (made.frames, made.fps, made.size) == (12, 6, 128)
    assert decode(made.mp4).shape == (12, 128, 128, 3)
    assert len(made.mp4) < 60_000


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (clock(size=120), "multiples of 16"),
        (clock().astype(np.float32), "expected uint8"),
        (clock()[0], "expected uint8"),
        (clock()[:0], "expected uint8"),
    ],
)
def test_frames_that_are_none_are_refused(frames, message):
    with pytest.raises(FilmError, match=message):
        encode(frames)


@pytest.mark.parametrize("junk", [b"", b"not a video", b"\x00" * 5000, encode(clock(4))[:400]])
def test_bytes_that_are_no_video_are_refused(junk):
    with pytest.raises(FilmError, match="not a video"):
        decode(junk)
