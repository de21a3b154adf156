"""Programs in other languages make worlds; bad ones cost their own world, and leave nothing behind."""

import pickle
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from models.rewardors.common import Common
from pipeline import film, plugins
from pipeline.roll import roll_here
from sims import STATUSES, Param, Plan, check_simulation
from sims._program import fit, read
from sims._warden import PROCESSES
from sims.external import External

PARAMS = (Param("x", 0, 1, doc="more"), Param("y", 1, 100, scale="log", doc="more still"))

RIPPLES = """
($waves, $seed) = @ARGV;
for $t (0 .. 11) {
    open(F, sprintf(">frame%d.ppm", $t));
    print F "P6\\n24 16\\n255\\n";
    for $y (0 .. 15) { for $x (0 .. 23) {
        $l = 127 * (1 + sin($waves * sqrt(($x - 12 - $seed % 7) ** 2 + ($y - 8) ** 2) - $t));
        print F pack("C3", $l / 3, $l / 2, $l);
    } }
}
"""

PICTURE = """
import json, struct, zlib
import numpy as np

told = json.load(open("params.json"))
x, y = np.meshgrid(*2 * [np.linspace(0, told["params"]["y"], 48)])
light = 127 * (1 + np.sin(x + told["seed"]) * np.sin(y * told["params"]["x"]))
pixels = np.repeat(light.astype(np.uint8)[..., None], 3, 2)

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

with open("world.png", "wb") as file:
    file.write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 48, 48, 8, 2, 0, 0, 0)))
    file.write(chunk(b"IDAT", zlib.compress(b"".join(b"\\0" + row.tobytes() for row in pixels))) + chunk(b"IEND", b""))
"""


def perl(code: str, *arguments: str, output: str = "*.ppm", **options) -> External:
    return External(command=("perl", "-e", code, *arguments), output=output, params=PARAMS, **options)


def ripples(**options) -> External:
    return perl(RIPPLES, "{x}", "{seed}", **options)


def picture() -> External:
    return External(command=("{python}", "-c", PICTURE), output="world.png", params=PARAMS, decode=film.frames)


def simulate(sim: External, n: int = 1, **plan):
    unit = torch.rand(n, sim.space.dim, generator=torch.Generator().manual_seed(0))
    return sim.simulate(unit, torch.arange(n), Plan(**plan))


def why(sim: External) -> str:
    """The cause for which a program fails."""
    made = simulate(sim)
    assert STATUSES[made.status[0]] == "failed"
    assert not made.clip.any()
    return made.errors[0]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the folders of programs are made, and must be gone in the end."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    yield made
    assert list(made.iterdir()) == []


# -- what programs leave ----------------------------------------------------------------------------------------------


def test_a_program_in_another_language_makes_films() -> None:
    made = simulate(ripples(), 3, film_frames=12, film_size=48)
    assert made.errors == ("", "", "")
    assert [STATUSES[i] for i in made.status] == ["alive"] * 3
    assert made.clip.shape == (3, 32, 64, 64, 3)
    wave = made.film[0, 0, 8:40, :, 2].float()  # 24 x 16 pixels, doubled, between black borders
    assert not made.film[0, :, :8].any()
    assert not made.film[0, :, 40:].any()
    x = ripples().space.decode(torch.rand(3, 2, generator=torch.Generator().manual_seed(0)))["x"][0]
    column, row = torch.meshgrid(torch.arange(24), torch.arange(16), indexing="xy")
    truth = 127 * (1 + torch.sin(x * ((column - 12.0) ** 2 + (row - 8.0) ** 2).sqrt()))
    assert (wave[::2, ::2] - truth).abs().max() <= 1


def test_a_program_makes_a_single_picture() -> None:
    made = simulate(picture(), 2, film_frames=5)
    assert made.errors == ("", "")
    assert [STATUSES[i] for i in made.status] == ["alive", "alive"]
    assert made.clip.shape == (2, 1, 64, 64, 3)
    assert made.film.shape == (2, 5, 256, 256, 3)
    assert torch.equal(made.film[:, 0], made.film[:, -1])


def test_pictures_go_all_the_way() -> None:
    unit = torch.rand(3, 2, generator=torch.Generator().manual_seed(1)).numpy()
    rolled = roll_here(picture())(unit, np.arange(3), {"embedding": Common().embed}, film=True)
    assert rolled.status == ["alive"] * 3
    assert np.isfinite(rolled.answers["embedding"]).all()
    assert [film.decode(each.mp4).shape for each in rolled.films] == [(96, 256, 256, 3)] * 3


@pytest.mark.slow
def test_the_contract() -> None:  # that of pictures: tests/test_tutorial.py
    assert check_simulation(ripples()) == []


def test_a_program_that_never_works_is_not_asked_again(folder: Path) -> None:
    started = folder.parent / "started"
    sim = perl(f"open(F, '>>{started}'); print F 1; print STDERR 'no licence'; exit 3")
    assert check_simulation(sim) == [
        "simulate: the first two random worlds failed: perl ended with status 3; it said: no licence"
    ]
    assert started.read_text() == "11"


def test_the_example_lives() -> None:
    made = simulate(External(), 4)
    assert [STATUSES[i] for i in made.status] == ["alive"] * 4


@pytest.mark.parametrize(
    ("pixel", "verdict"), [("9 * $t + 20 * $_", "alive"), ("9 * $t", "dead"), ("20 * $_", "frozen")]
)
def test_statuses_agree_with_what_is_seen(pixel: str, verdict: str) -> None:
    code = f"for $t (0 .. 19) {{ open(F, '>', 100 + $t); print F join ' ', 'P2 9 1 255', map {{ {pixel} }} 0 .. 8 }}"
    made = simulate(perl(code, output="1??"))
    assert made.errors == ("",)
    assert STATUSES[made.status[0]] == verdict


FRAMES = np.random.default_rng(0).integers(0, 255, (12, 32, 48, 3), dtype=np.uint8)


def write_npy(at: Path) -> str:
    np.save(at / "film.npy", FRAMES)
    return "film.npy"


def write_bytes(at: Path) -> str:
    for t, frame in enumerate(FRAMES):
        (at / f"{t}.ppm").write_bytes(b"P6 # by hand\n48 32\n255\n" + frame.tobytes())
    return "*.ppm"


def write_words(at: Path) -> str:
    pictures = ["P3\n48 32\n255\n" + " ".join(map(str, frame.ravel())) for frame in FRAMES]
    (at / "all.txt").write_text("\n".join(pictures))
    return "*.txt"


def write_gray(at: Path) -> str:
    for t, frame in enumerate(FRAMES):
        (at / f"{t}.pgm").write_bytes(b"P5 48 32 255\n" + frame[..., 0].tobytes())
    return "?*.pgm"


def write_video(at: Path) -> str:
    (at / "film.mp4").write_bytes(film.encode(FRAMES))
    return "film.mp4"


def write_gif(at: Path) -> str:
    from PIL import Image

    first, *rest = map(Image.fromarray, FRAMES)
    first.save(at / "film.gif", save_all=True, append_images=rest, duration=40)
    return "film.gif"


def write_png(at: Path) -> str:
    from PIL import Image

    for t, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(at / f"{t}.png")
    return "*.png"


@pytest.mark.parametrize(
    ("write", "tolerance"),
    [(write_npy, 0), (write_bytes, 0), (write_words, 0), (write_png, 0), (write_gif, 70), (write_video, 70)],
)
def test_frames_are_read_from(write, tolerance: int, tmp_path: Path) -> None:
    got = read(tmp_path, write(tmp_path), film.frames)
    assert got.shape == FRAMES.shape
    assert np.abs(got.astype(int) - FRAMES).mean() <= tolerance
    order = np.array([[np.abs(a.astype(int) - b).mean() for b in FRAMES] for a in got]).argmin(1)
    assert order.tolist() == list(range(12))  # frame 10 comes after frame 9


def test_gray_pictures_become_colored(tmp_path: Path) -> None:
    got = read(tmp_path, write_gray(tmp_path), None)
    np.testing.assert_array_equal(got, FRAMES[..., :1].repeat(3, -1))
    np.save(tmp_path / "gray.npy", FRAMES[..., 0])
    np.testing.assert_array_equal(read(tmp_path, "gray.npy", None), got)


def test_films_are_stretched_in_time_and_shrunk_in_space() -> None:
    ramp = np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3) * 20
    assert fit(ramp, 4, 4)[:, 0, 0, 0].tolist() == [0, 60, 120, 180]
    assert fit(ramp, 19, 16)[[0, -1], 5, 5, 1].tolist() == [0, 180]
    checks = (np.indices((1, 8, 8)).sum(0) % 2 * 200).astype(np.uint8)[..., None].repeat(3, 3)
    assert (fit(checks, 1, 4) == 100).all()


# -- what programs are told -------------------------------------------------------------------------------------------


def test_a_program_is_told_its_parameters_and_its_seed() -> None:
    code = "open(P, 'params.json'); $all = <P>; die \"$all|@ARGV\""
    sim = perl(code, "{x}", "--y={y}", "s{seed}", "{ $a }", "{other}")
    unit = torch.tensor([[0.5, 0.5]])
    (said,) = sim.simulate(unit, torch.tensor([7]), Plan()).errors
    assert '{"params": {"x": 0.5, "y": 10.0}, "seed": 7}|0.5 --y=10.0 s7 { $a } {other}' in said


def test_a_description_becomes_options(tmp_path: Path) -> None:
    (tmp_path / "ripples.pl").write_text(RIPPLES)
    (tmp_path / "ripples.toml").write_text(
        'command = ["perl", "ripples.pl", "{waves}", "{seed}"]\noutput = "*.ppm"\nseconds = 5\n'
        '[[params]]\nname = "waves"\nlow = 1\nhigh = 9\ndoc = "more"\n'
    )
    sim = plugins.load("sims", str(tmp_path / "ripples.toml"), {})
    assert sim.command == ("perl", str(tmp_path / "ripples.pl"), "{waves}", "{seed}")
    assert sim.params == (Param("waves", 1, 9, doc="more"),)
    assert sim.decode is film.frames
    assert simulate(sim).errors == ("",)
    assert pickle.loads(pickle.dumps(sim)) == sim


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"command": ()}, "needs a program"),
        ({"output": "/etc/passwd"}, "expected a name in the folder"),
        ({"output": "../film.npy"}, "expected a name in the folder"),
        ({"seconds": 0.0}, "seconds is 0.0"),
        ({"params": (Param("seed", 0, 1),)}, "seed means something else"),
        ({"params": (Param("x", 0, 1), Param("x", 0, 2))}, "twice"),
    ],
)
def test_what_could_never_run_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        External(**options)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"docs": "a slip"}, "0.docs: Unexpected keyword argument"),
        ({"scale": "lgo"}, "0.scale: Input should be 'linear' or 'log'"),
        ({"shape": [0]}, r"x: shape \(0,\) holds no numbers"),
    ],
)
def test_slips_in_a_description_are_named(more: dict, message: str) -> None:
    param = {"name": "x", "low": 0, "high": 1}
    with pytest.raises(plugins.PluginError, match=message):
        plugins.load("sims", "external", {"params": [param | more]})


# -- bad programs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("sleep 60", "perl took more than 0.5 s"),
        ("1 while 1", "perl took more than 0.5 s"),
        ("$SIG{TERM} = $SIG{INT} = 'IGNORE'; print STDERR qq(busy\n); sleep 60", "0.5 s; it said: busy"),
        (
            "print qq(step 1\n); print STDERR qq(no convergence\n); exit 3",
            "perl ended with status 3; it said: no convergence",
        ),
        ("kill 'SEGV', $$", "perl was ended by SIGSEGV"),
        ("kill 40, $$", "perl was ended by signal 40"),
        ("print qq(nothing to do\n)", "it left no *.ppm; it left nothing; it said: nothing to do"),
        ("open(F, '>out.txt'); print F 1", "it left no *.ppm; it left out.txt, params.json"),
        ("print 'y' x 1e6 while 1", "perl wrote more than 5 MB"),
        ("open(F, '>a.ppm'); print F 'y' x 1e6 while 1", "perl wrote more than 5 MB"),
        ("$SIG{XFSZ} = 'IGNORE'; open(F, '>', $i++ . '.ppm'), print F 'y' x 1e6 while 1", "perl wrote more than 5 MB"),
        ("open(F, '>', $i++ . '.ppm') while 1", "perl wrote more than 5 MB"),
        ("$x = 'y' x 3e8; sleep 9", "perl took more than 200 MB of memory"),
        ("fork or (($x = 'y' x 1.2e8), sleep 9) for 1..2; sleep 9", "perl took more than 200 MB of memory"),
        (f"for (1..{PROCESSES + 50}) {{ fork or do {{ sleep 9; exit }} }} sleep 9", "started more than 256 processes"),
        ("mkdir 'a.ppm'; exec 'mkfifo', 'b.ppm'", "it left no *.ppm"),
        ("open(F, '>a.ppm'); print F 'P6 10 10 255 abc'", "a picture of 10 x 10 pixels has 3 of 300 values"),
        ("open(F, '>a.ppm'); print F 'P6 99999999 99999999 255 abc'", "has 3 of"),
        ("open(F, '>a.ppm'); print F 'P6 0 10 255 '", "a picture of 0 x 10 pixels"),
        ("open(F, '>a.ppm'); print F 'P5 1 1 0 a'", "a picture of 1 x 1 pixels up to 0"),
        ("open(F, '>a.ppm'); print F 'P2 1 1 255 ', 9 x 30", "too large"),
        ("open(F, '>a.ppm'); print F 'P6 ', '# ' x 40, 'abc'", "its head is damaged"),
        ("open(F, '>a.ppm'); print F 'P6 1 1 255 abcP6 2 1 255 abcdef'", "its pictures differ in size"),
        ("open(F, '>a.ppm'); print F 'P9 1 1 255 abc'", "*.ppm is no video and no picture"),
        ("open(F, '>a.ppm')", "*.ppm is no video and no picture"),
    ],
)
def test_a_bad_program_costs_its_own_world(code: str, cause: str) -> None:
    patient = 0.5 if "0.5 s" in cause else 20
    memory = 2000 if "processes" in cause else 200
    sim = perl(code, seconds=patient, memory_mb=memory, output_mb=5, decode=film.frames)
    assert cause in why(sim)


def test_the_rows_around_a_bad_one_live() -> None:
    sim = perl("die 'no' if $ARGV[1] == 1;" + RIPPLES, "{x}", "{seed}")
    made = simulate(sim, 3)
    assert [STATUSES[i] for i in made.status] == ["alive", "failed", "alive"]
    assert [bool(error) for error in made.errors] == [False, True, False]
    rolled = roll_here(sim)(np.full((3, 2), 0.5, np.float32), np.arange(3), {})
    assert rolled.status == ["alive", "failed", "alive"]
    assert "it said: no at -e line 1" in rolled.errors[1]
    assert [bool(source) for source in rolled.source] == [True, False, True]


@pytest.mark.parametrize(
    ("array", "cause"),
    [
        (np.zeros((3, 8, 8, 3)), "film.npy is float64"),
        (np.zeros((8, 8, 3), np.uint8), "film.npy is uint8 (8, 8, 3)"),
        (np.zeros((0, 8, 8, 3), np.uint8), "film.npy has no frames"),
        (np.array([{"a": 1}], dtype=object), "Python objects"),
    ],
)
def test_arrays_that_are_no_films_are_refused(array: np.ndarray, cause: str, tmp_path: Path) -> None:
    np.save(tmp_path / "film.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=re.escape(cause)):
        read(tmp_path, "film.npy", None)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"PK\3\4 of numpy.savez", "the magic string is not correct"),
        (b"\x93NUMPY\1\0\x10\0{'descr': '|u1',", "damaged head"),
    ],
)
def test_what_is_only_called_an_array_is_refused(data: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "film.npy").write_bytes(data)
    with pytest.raises(ValueError, match=cause):
        read(tmp_path, "film.npy", None)


def test_brightness_beyond_the_top_is_the_top(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P2 3 1 100 200 100 50")
    assert read(tmp_path, "a.pgm", None)[0, 0, :, 0].tolist() == [255, 255, 127]


def test_other_mistakes_are_named(tmp_path: Path) -> None:
    missing = External(command=("no-such-program",), output="a.ppm", params=PARAMS)
    assert "no-such-program cannot be started: " in why(missing)
    assert "nobody handed in a decoder for a.png" in why(perl("open(F, '>a.png'); print F 1", output="a.png"))
    two = "open(F, '>a.ppm'); print F 'P6 1 1 255 abcP6 1 1 255 abc'"
    assert "a.ppm holds 2 pictures" in why(perl(two, output="a.ppm"))
    (tmp_path / "film.mp4").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"film.mp4 is no video and no picture: .*Invalid data"):
        read(tmp_path, "film.mp4", film.frames)
