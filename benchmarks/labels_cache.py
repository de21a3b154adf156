"""What the benchmark of labels keeps on disk: measurements of finished budgets, and answers about prior worlds.

Each is filed under a digest of all that it depends on, source code included, so that nothing stale is ever read: a
change of a simulation, of an oracle or of a model makes new entries and leaves the old ones alone. Files are written
under another name first, so what is there is whole.
"""

import ast
import fcntl
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pipeline.roll import Ask, Roll, Rolled

ROOT = Path(__file__).parents[1]
INERT = {"pipeline.config", "pipeline.plugins", "pipeline.film", "benchmarks.labels_cache"}
"""Modules that find things and store things, and change no number."""


def digest(*parts: object) -> str:
    """16 hexadecimal digits of anything that has a `repr`."""
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()


@cache
def source_digest(*paths: Path) -> str:
    """Of Python files and all files of this repository that they import, directly or not, when first asked for."""
    return digest([path.read_bytes() for path in sorted(closure(paths))])


def closure(paths: Iterable[Path]) -> set[Path]:
    """Python files and all files of this repository that they import, directly or not, without the `INERT` ones."""
    todo, found = [path.resolve() for path in paths], set[Path]()
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += [home for name in _imported(path) if (home := _home(name))]
    return found


def _imported(path: Path) -> Iterator[str]:
    """Names of modules, and of what might be one, that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _home(module: str) -> Path | None:
    """The file of a module of this repository."""
    base = ROOT / module.replace(".", "/")
    homes = (base.with_suffix(".py"), base / "__init__.py")
    return next((home for home in homes if home.is_file()), None) if module not in INERT else None


def write(path: Path, save: Callable[[Path], None]) -> None:
    """Let `save` write a file, which appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{time.time_ns()}-{path.name}")
    save(partial)
    partial.replace(path)


@dataclass(frozen=True)
class Rows:
    """Measurements of one run, by budget of labels.

    Attributes:
        path: Where they are kept.
        inputs: What they depend on, for whoever looks into the file.
    """

    path: Path
    inputs: str

    def read(self) -> dict[int, dict[str, float]]:
        """What is there, by number of labels."""
        if not self.path.exists():
            return {}
        return {int(labels): row for labels, row in json.loads(self.path.read_text())["rows"].items()}

    def add(self, labels: int, row: Mapping[str, float]) -> None:
        """Keep one more measurement."""
        text = json.dumps({"inputs": self.inputs, "rows": self.read() | {labels: dict(row)}}, indent=1)
        write(self.path, lambda path: (path.write_text(text), None)[1])


@dataclass
class Question:
    """A question about clips, under a name that changes whenever its answers may.

    Attributes:
        name: What its answers are kept under.
        ask: From clips (B, T, H, W, 3) uint8 to numbers (B, k).
        cpu_s: CPU seconds that asking took so far.
    """

    name: str
    ask: Callable[[Tensor], Tensor]
    cpu_s: float = 0.0

    def __call__(self, clip: Tensor) -> Tensor:
        """Answers (B, k)."""
        start = time.process_time()
        try:
            return self.ask(clip)
        finally:
            self.cpu_s += time.process_time() - start


@dataclass
class Remembered:
    """A roll that simulates the same worlds once, and asks all questions while it is at it.

    It makes no films. What it is asked must be `Question`s.

    Attributes:
        roll: How to simulate.
        folder: Where answers are kept; changes whenever the simulation may behave differently.
        questions: All questions that anybody will ask about the same worlds.
        cpu_s: CPU seconds that the answers so far took, whenever they were found.
    """

    roll: Roll
    folder: Path
    questions: list[Question] = field(default_factory=list)
    cpu_s: float = 0.0

    def __call__(self, unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool = False) -> Rolled:
        """See `Roll`."""
        assert not film
        unit, seeds = np.asarray(unit, np.float32), np.asarray(seeds, np.int64)
        place = self.folder / digest(unit.tobytes(), seeds.tobytes())
        asked = {key: question for key, question in ask.items() if isinstance(question, Question)}
        with _locked(place):
            self._find_out(place, unit, seeds, list(asked.values()))
        names = ["status", *(question.name for question in asked.values())]
        self.cpu_s += sum(json.loads((place / f"{name}.json").read_text()) for name in names)
        answers = {key: np.load(place / f"{question.name}.npy") for key, question in asked.items()}
        status, blank = np.load(place / "status.npy").tolist(), [""] * len(unit)
        return Rolled(status, blank, answers, [None] * len(unit), blank)

    def _find_out(self, place: Path, unit: np.ndarray, seeds: np.ndarray, asked: list[Question]) -> None:
        """Simulate if any answer is missing."""
        every = {question.name: question for question in (*self.questions, *asked)}
        missing = {name: question for name, question in every.items() if not (place / f"{name}.npy").exists()}
        if not missing:
            return
        before, start = {name: question.cpu_s for name, question in missing.items()}, time.process_time()
        rolled = self.roll(unit, seeds, missing)
        spent = time.process_time() - start
        cost = {name: question.cpu_s - before[name] for name, question in missing.items()}
        answers: dict[str, Any] = {"status": np.array(rolled.status), **rolled.answers}
        cost["status"] = spent - sum(cost.values())
        for name, values in answers.items():
            _keep(place, name, values, cost[name])


def _keep(place: Path, name: str, values: np.ndarray, cpu_s: float) -> None:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, values)

    write(place / f"{name}.json", lambda path: (path.write_text(json.dumps(cpu_s)), None)[1])
    write(place / f"{name}.npy", save)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone in a folder: others who want the same answers wait for them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
