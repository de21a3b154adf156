"""Where in the source of a simulation something stands."""

import ast
import inspect
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType

from sims._base import Simulation


class Source:
    """The file in which the class of a simulation is written; without one, all places are ""."""

    def __init__(self, sim: Simulation) -> None:
        self.kind = type(sim)
        self.path = _file(self.kind)

    def method(self, name: str) -> str:
        """The line of a method or property, that of the class if this file does not define it."""
        for kind in self.kind.__mro__:
            if name in vars(kind) and _file(kind) == self.path:
                return self._place(_line(vars(kind)[name]) or _line(kind))
        return self.top()

    def top(self) -> str:
        """The line of the class."""
        return self._place(_line(self.kind))

    def has(self, name: str) -> bool:
        """Whether this file defines a method."""
        return any(name in vars(kind) and _file(kind) == self.path for kind in self.kind.__mro__)

    def param(self, name: str) -> str:
        """The line of `Param("name", …)`, that of `space` if there is none."""
        lines = [node.lineno for node in self._calls("Param") if _first(node) == name]
        return self._place(lines[0]) if lines else self.method("space")

    def raised(self, trace: TracebackType | None) -> str:
        """The deepest line of this file on the way to an error."""
        lines = []
        while trace is not None:
            if os.path.abspath(trace.tb_frame.f_code.co_filename) == self.path:
                lines.append(trace.tb_lineno)
            trace = trace.tb_next
        return self._place(lines[-1]) if lines else self.top()

    def _calls(self, name: str) -> Iterator[ast.Call]:
        for node in ast.walk(ast.parse(Path(self.path).read_text())) if self.path else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                yield node

    def _place(self, line: int) -> str:
        if not self.path or not line:
            return ""
        near = os.path.relpath(self.path)
        return f"{self.path if near.startswith('..') else near}:{line}"


def _file(kind: type) -> str:
    if kind.__module__ == "sims.external":  # what is wrong with a program is not written there
        return ""
    try:
        return os.path.abspath(inspect.getsourcefile(kind) or "")
    except (OSError, TypeError):  # typed at a prompt
        return ""


def _line(thing: object) -> int:
    """The line of a definition, decorators aside; 0 if nobody knows."""
    if isinstance(thing, property):
        thing = thing.fget
    elif isinstance(thing, cached_property):
        thing = thing.func
    try:
        lines, first = inspect.getsourcelines(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return 0
    words = (number for number, line in enumerate(lines) if line.lstrip().startswith(("def ", "class ", "async ")))
    return first + next(words, 0)


def _first(call: ast.Call) -> object:
    """The first argument of a call, or the one called name, if it is a constant."""
    given = call.args[:1] + [word.value for word in call.keywords if word.arg == "name"]
    return given[0].value if given and isinstance(given[0], ast.Constant) else None
