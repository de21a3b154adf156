"""Films that every browser plays: H.264 in mp4, made and read by the ffmpeg that comes with imageio-ffmpeg."""

import contextlib
import logging
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)  # it warns about every size that was asked for

FRAMES, SIZE, FPS = 96, 256, 24
"""Four seconds, looped."""

LONGEST = 3000
"""Frames of a stranger's video that are read: half a gigabyte."""


class FilmError(ValueError):
    """Frames that cannot be encoded, or bytes that are no film."""


@dataclass(frozen=True)
class Film:
    """An encoded film and its measures."""

    mp4: bytes
    frames: int
    fps: int
    size: int


def film(frames: np.ndarray, fps: int = FPS) -> Film:
    """The film of square frames (T, size, size, 3) uint8."""
    return Film(encode(frames, fps), frames=len(frames), fps=fps, size=frames.shape[2])


def encode(frames: np.ndarray, fps: int = FPS) -> bytes:
    """The mp4 of frames (T, H, W, 3) uint8: the same bytes for the same frames and the same ffmpeg.

    Raises:
        FilmError: The frames have another shape or type, or a side is not a multiple of 16.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
        raise FilmError(f"frames are {frames.dtype} {frames.shape}, expected uint8 (T, H, W, 3)")
    height, width = frames.shape[1:3]
    if height % 16 or width % 16:
        raise FilmError(f"frames are {width} x {height} pixels, both must be multiples of 16")
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:"]
    with tempfile.TemporaryDirectory() as folder:  # faststart moves the index to the front: it needs a real file.
        path = Path(folder, "film.mp4")
        _ffmpeg([*raw, *H264, str(path)], frames.tobytes())
        return path.read_bytes()


H264 = (
    *("-an", "-c:v", "libx264", "-profile:v", "high", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"),
    *("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-colorspace", "bt709", "-color_range", "tv"),
    *("-color_primaries", "bt709", "-color_trc", "bt709", "-threads", "1", "-bitexact", "-movflags", "+faststart"),
)


def frames(data: bytes) -> np.ndarray:
    """The frames of a stranger's video or pictures, reduced to at most SIZE pixels a side: decoded, HD fills gigabytes.

    Raises:
        FilmError: ffmpeg finds no video in it, or more than LONGEST frames.
    """
    side = f"scale='min({SIZE},iw)':'min({SIZE},ih)':force_original_aspect_ratio=decrease:flags=area"
    found = decode(data, "-vf", side, "-fps_mode", "passthrough", "-frames:v", str(LONGEST + 1))
    if len(found) > LONGEST:
        raise FilmError(f"it has more than {LONGEST} frames")
    return found


def decode(mp4: bytes, *how: str) -> np.ndarray:
    """The frames (T, H, W, 3) uint8 of a video in any container and codec that ffmpeg reads.

    Args:
        mp4: The video; or pictures, one behind the other.
        how: Further words for ffmpeg.

    Raises:
        FilmError: ffmpeg finds no video in it.
    """
    with tempfile.NamedTemporaryFile() as file:
        file.write(mp4)
        file.flush()
        try:
            reader = imageio_ffmpeg.read_frames(file.name, output_params=["-threads", "1", *how])
            width, height = next(reader)["size"]
            rows = [np.frombuffer(frame, np.uint8) for frame in reader]
        except (OSError, RuntimeError, StopIteration) as error:
            raise FilmError(f"not a video: {error}") from error
    if not rows:
        raise FilmError("not a video: it has no frames")
    return np.stack(rows).reshape(-1, height, width, 3)


def _ffmpeg(arguments: list[str], data: bytes) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-threads", "1", *arguments]
    with tempfile.TemporaryFile() as words:  # A file: reading a pipe while writing another takes thousands of polls.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=words, stderr=words) as process:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # Its last words say why it left.
                process.stdin.write(data)
                process.stdin.close()
        words.seek(0)
        if process.returncode:
            raise FilmError(f"ffmpeg failed: {words.read().decode(errors='replace').strip()[-500:]}")
