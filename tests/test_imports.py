"""Who may import whom, what nobody may do, and how long a file may grow."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "sims", "models")
LIMIT = 400
"""Lines of a file: one idea, read in one sitting."""

SCIENCE = {"torch", "numpy", "scipy"}
ALLOWED = {"sims": SCIENCE | {"numba", "llvmlite", "sims"}, "models": SCIENCE | {"models"}}

HOMES = {
    "ray": (
        *("pipeline/rollouts.py", "pipeline/train.py", "pipeline/tune.py", "pipeline/cluster.py"),
        "pipeline/meters.py",
    ),
    "gradio": ("pipeline/app/",),
    "fastapi": ("pipeline/app/",),
    "starlette": ("pipeline/app/",),
    "uvicorn": ("pipeline/app/",),
    "pyarrow": ("pipeline/parts.py",),
    "obstore": ("pipeline/objects.py",),
    "imageio": ("pipeline/film.py",),
    "imageio_ffmpeg": ("pipeline/film.py",),
    "PIL": ("pipeline/gallery.py", "pipeline/tune_plot.py"),
    "llvmlite": ("sims/_lanes.py",),  # numba's own back end, for what numba has no word
    "typer": ("pipeline/cli.py", "pipeline/keeping.py", "pipeline/submission.py", "pipeline/arguments.py"),
    "pickle": ("sims/_check.py",),  # to see that a simulation travels; what it reads is what it wrote
}
"""The only files, or folders, that may know a library."""

UNSAFE = {"cloudpickle", "dill", "joblib", "shelve", "marshal"}
"""Formats that run code when they are read, and that nobody can read next year."""


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of all imports, also of those inside functions; "." for a relative one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").split(".")[0]


def violations(name: str, tree: ast.AST) -> list[str]:
    """What is wrong with the imports of a file."""
    found = set(imported(tree))
    wrong = {library for library in found & HOMES.keys() if not name.startswith(HOMES[library])}
    allowed = ALLOWED.get(name.split("/")[0])
    if allowed is not None:
        wrong |= found - allowed - sys.stdlib_module_names
    return sorted(f"{name} imports {library}" for library in wrong | (found & (UNSAFE | {"."})))


def dangers(name: str, tree: ast.AST) -> list[str]:
    """Calls that run what they should only read."""
    return [f"{name}:{node.lineno} {ast.unparse(node)}" for node in ast.walk(tree) if _is_dangerous(node)]


def _is_dangerous(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    true = {word.arg for word in node.keywords if isinstance(word.value, ast.Constant) and word.value.value is True}
    call = ast.unparse(node.func)
    return (
        call in {"eval", "exec", "os.system", "yaml.load"}
        or bool({"shell", "allow_pickle"} & true)
        or (call == "torch.load" and "weights_only" not in true)
    )


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    assert not violations(name_of(path), ast.parse(path.read_text()))


@pytest.mark.parametrize("path", sources(*PACKAGES, "benchmarks"), ids=name_of)
def test_nothing_runs_what_it_reads(path: Path) -> None:
    assert not dangers(name_of(path), ast.parse(path.read_text()))


@pytest.mark.parametrize("path", sources(*PACKAGES, "benchmarks", "tests"), ids=name_of)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LIMIT


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("sims/x.py", "import models"),
        ("models/x.py", "from sims import Space"),
        ("models/x.py", "import numba"),
        ("sims/x.py", "def f():\n    import gradio"),
        ("pipeline/loop.py", "from ray import train"),
        ("pipeline/desk.py", "import pyarrow.parquet as pq"),
        ("pipeline/cli.py", "import uvicorn"),
        ("pipeline/store.py", "import pickle"),
        ("pipeline/store.py", "from . import profile"),
    ],
)
def test_the_import_rules_bite(name: str, code: str) -> None:
    assert len(violations(name, ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "np.load(f, allow_pickle=True)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "yaml.load(f)",
        "subprocess.run(c, shell=True)",
        "os.system(c)",
        "eval(c)",
    ],
)
def test_the_danger_rules_bite(code: str) -> None:
    assert len(dangers("x.py", ast.parse(code))) == 1


def test_nobody_else_owns_our_import_names() -> None:
    # They are common words: another distribution that installs one of them would shadow ours.
    owners = importlib.metadata.packages_distributions()
    assert {owner for name in PACKAGES for owner in owners[name]} == {"alife-rl-pipeline"}
