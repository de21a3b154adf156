"""What a program leaves behind: run it in a folder of its own, read its pictures, fit them to a plan.

Shapes: T frames, H W pixels.
"""

import json
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

Decode: TypeAlias = Callable[[bytes], np.ndarray]
"""From the bytes of a video, an animation or pictures, one behind the other, to frames (T, H, W, 3) uint8."""

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".pnm", ".webp"}
WARDEN = Path(__file__).with_name("_warden.py")
WORDS = 300
"""Characters of a program's last words that go into a table."""


class ProgramError(RuntimeError):
    """A program failed, or left nothing that can be shown."""


def frames(
    command: list[str], told: dict[str, Any], output: str, decode: Decode | None, bounds: dict[str, float]
) -> np.ndarray:
    """Run a program in an empty folder and read what it leaves, (T, H, W, 3) uint8.

    Args:
        command: The program and its arguments.
        told: What it finds in `params.json`.
        output: The file to read, or a pattern such as "*.png".
        decode: For what is neither .npy nor .ppm.
        bounds: `seconds`, `memory_mb` and `output_mb`.

    Raises:
        ProgramError: It broke a bound, ended badly, or left something else.
    """
    with tempfile.TemporaryDirectory(prefix="alife-", ignore_cleanup_errors=True) as folder:
        Path(folder, "params.json").write_text(json.dumps(told))
        words = _run({"command": command, "folder": folder, **bounds})
        try:
            return read(Path(folder), output, decode)
        except (OSError, ValueError, ArithmeticError, EOFError) as error:
            raise ProgramError(" ".join(f"{error}{_quote(words)}".split())) from error


def command_line(command: Sequence[str], told: dict[str, Any]) -> list[str]:
    """The command with the values of parameters, of the seed and of {python} in their places; other braces stay."""
    values = {"seed": told["seed"], "python": sys.executable, **told["params"]}
    known = re.compile("{(" + "|".join(map(re.escape, values)) + ")}")
    return [known.sub(lambda name: _spell(values[name[1]]), word) for word in command]


def _spell(value: Any) -> str:
    """A value as an argument; arrays with commas between their numbers."""
    return ",".join(map(_spell, value)) if isinstance(value, list) else str(value)


def _run(job: dict[str, Any]) -> str:
    """Have a warden run the program; returns its last words."""
    start = [sys.executable, "-I", "-S", str(WARDEN), json.dumps(job)]
    pipe = subprocess.PIPE  # of its input nothing is sent: it ends with this process, and then the warden knows
    with subprocess.Popen(start, stdin=pipe, stdout=pipe, start_new_session=True) as warden:
        assert warden.stdout is not None
        told = warden.stdout.read()
    if not told:
        raise ProgramError("its warden was ended")
    end = json.loads(told)
    if end["cause"]:
        raise ProgramError(f"{Path(job['command'][0]).name} {end['cause']}{_quote(end['words'])}")
    return str(end["words"])


def _quote(words: str) -> str:
    """The last lines that a program said, as one."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    said = " | ".join(lines)
    return f"; it said: {said[-WORDS:]}" if said else ""


def is_picture(output: str) -> bool:
    """Whether a program leaves one picture instead of a film: a file that is called like one."""
    return Path(output).suffix.lower() in PICTURES and not set(output) & set("*?[")


def read(folder: Path, output: str, decode: Decode | None) -> np.ndarray:
    """The frames (T, H, W, 3) uint8 that a program left.

    Raises:
        ValueError: There is no such file, or it holds no frames.
    """
    files = sorted((path for path in folder.glob(output) if path.is_file()), key=_number)
    if not files:
        left = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        others = ", ".join(left[:5]) if left != ["params.json"] else "nothing"
        raise ValueError(f"it left no {output}; it left {others}")
    if files[0].suffix == ".npy":
        made = np.concatenate([_array(path) for path in files])
    else:
        data = b"".join(path.read_bytes() for path in files)
        made = _pnm(data) if data[:2] in (b"P2", b"P3", b"P5", b"P6") else _decoded(data, output, decode)
    if not made.size:
        raise ValueError(f"{output} has no frames")
    if is_picture(output) and len(made) > 1:
        raise ValueError(f"{output} holds {len(made)} pictures: a film needs another name, or one file per frame")
    return made


def _number(path: Path) -> list[str | int]:
    """Sorts frame10 behind frame9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _array(path: Path) -> np.ndarray:
    """The frames in an .npy file."""
    try:
        made: np.ndarray = np.lib.format.open_memmap(path, mode="r")  # unlike `np.load`, of nothing else
    except (tokenize.TokenError, RecursionError, MemoryError) as error:
        raise ValueError(f"{path.name} has a damaged head") from error
    if made.ndim == 3 and made.shape[-1] != 3:
        made = made[..., None]
    if made.ndim == 4 and made.shape[-1] == 1:
        made = made.repeat(3, -1)
    if made.dtype != np.uint8 or made.ndim != 4 or made.shape[-1] != 3:
        raise ValueError(f"{path.name} is {made.dtype} {made.shape}, expected uint8 (T, H, W) or (T, H, W, 3)")
    return np.asarray(made)


def _decoded(data: bytes, output: str, decode: Decode | None) -> np.ndarray:
    if decode is None:
        raise ValueError(f"nobody handed in a decoder for {output}: leave .npy or .ppm, or pass `decode`")
    try:
        return decode(data)
    except ValueError as error:
        raise ValueError(f"{output} is no video and no picture: {str(error).splitlines()[-1]}") from error


MORE = re.compile(rb"\S")
PNM = re.compile(rb"\s*P([2356])\s+(?:#.*\n\s*)*(\d+)\s+(?:#.*\n\s*)*(\d+)\s+(?:#.*\n\s*)*(\d+)\s")


def _pnm(data: bytes) -> np.ndarray:
    """Gray and colored pictures as text (P2, P3) or bytes (P5, P6), one behind the other: netpbm.sourceforge.net."""
    made: list[np.ndarray] = []
    at = 0
    while MORE.search(data, at):
        head = PNM.match(data, at)
        if head is None:
            raise ValueError("after its first pictures comes something else" if made else "its head is damaged")
        kind, width, height, top = map(int, head.groups())
        channels, at = (3 if kind in (3, 6) else 1), head.end()
        count = width * height * channels
        if not (0 < top <= 255 and count):
            raise ValueError(f"a picture of {width} x {height} pixels up to {top}: expected some, up to 1 … 255")
        if kind in (5, 6):
            values, at = np.frombuffer(data[at : at + count], np.uint8), at + count
        else:
            end = data.find(b"P", at)
            end = len(data) if end < 0 else end
            values, at = np.array(data[at:end].split(), np.int64).clip(0, 255).astype(np.uint8), end
        if len(values) != count:
            raise ValueError(f"a picture of {width} x {height} pixels has {len(values)} of {count} values")
        picture = values.reshape(height, width, channels)
        made.append(np.broadcast_to((picture.clip(max=top) * (255 / top)).round().astype(np.uint8), (height, width, 3)))
    if len({picture.shape for picture in made}) > 1:
        raise ValueError("its pictures differ in size")
    return np.stack(made)


def fit(made: np.ndarray, count: int, size: int) -> Tensor:
    """The frames of a film resampled in time and space, (count, size, size, 3) uint8.

    The first stays the first and the last the last. What is not square gets black borders.
    """
    times = np.linspace(0, len(made) - 1, count).round().astype(int) if count > 1 else np.array([len(made) - 1])
    shown, back = np.unique(times, return_inverse=True)
    inner = scaled(made[shown], size)
    height, width = inner.shape[1:3]
    canvas = torch.zeros(len(shown), size, size, 3, dtype=torch.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[:, top : top + height, left : left + width] = inner
    return canvas[torch.from_numpy(back)]


def scaled(made: np.ndarray, size: int) -> Tensor:
    """Frames whose longer side has `size` pixels, (T, h, w, 3) uint8. What is small shows its pixels."""
    height, width = made.shape[1:3]
    scale = size / max(height, width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    mode = "area" if scale < 1 else "nearest-exact"
    reduced = []
    for frame in made:  # One by one: all at once would fill gigabytes, as floats.
        picture = torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float()
        reduced.append(torch.nn.functional.interpolate(picture, inner, mode=mode).round_().to(torch.uint8))
    return torch.cat(reduced).permute(0, 2, 3, 1)
