"""Finding plug-ins: the file name is the registry name.

`sims/boids.py` makes "boids" a simulation, `ls sims/` is the catalogue. Code from outside the tree is named
"package.module:Class" or by the path of its .py file; a program that simulates, by the .toml file that describes it.
"""

import ast
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import json
import re
import sys
import tomllib
import traceback
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

import pydantic

Kind: TypeAlias = Literal["sims", "rewardors", "generators", "oracles"]

_PACKAGES: dict[str, str] = {"sims": "sims", "rewardors": "models.rewardors", "generators": "models.generators"}
_BASES: dict[str, tuple[str, str]] = {
    "sims": ("sims._base", "Simulation"),
    "rewardors": ("models._rewardor", "Rewardor"),
    "generators": ("models._generator", "Generator"),
}
_LENT = {"decode": ("pipeline.film", "frames")}
"""What a plug-in gets if its constructor asks for it by this name: rooms that may not import it are handed it."""

_TREE = Path(__file__).parent.parent


class PluginError(ValueError):
    """Raised when a plug-in does not exist, cannot be imported, or refuses its options."""


def names(kind: Kind) -> tuple[str, ...]:
    """The catalogue of a kind, sorted; costs no import of what it names."""
    if kind == "oracles":
        return tuple(_oracle_classes())
    folder = _TREE / _PACKAGES[kind].replace(".", "/")
    return tuple(sorted(path.stem for path in folder.glob("[!_]*.py")))


def catalogue(kind: Kind) -> dict[str, str]:
    """What there is of a kind, and the first line of its docstring, citations aside; this imports nothing either."""
    folder = _TREE / _PACKAGES[kind].replace(".", "/")
    texts = {name: ast.get_docstring(ast.parse((folder / f"{name}.py").read_text())) for name in names(kind)}
    return {name: re.sub(r" \[[\d, ]+\]", "", (text or "").partition("\n")[0]) for name, text in texts.items()}


def check_name(kind: Kind, name: str) -> None:
    """Refuse a name that is neither in the catalogue nor of a form that names code from outside.

    Raises:
        PluginError: With what there is, and what was probably meant.
    """
    if name.endswith(".py") and not Path(name).is_file():
        raise PluginError(f'{kind[:-1]} "{name}": there is no such file')
    if ":" in name or name.endswith(".py") or name in names(kind) or (kind == "sims" and name.endswith(".toml")):
        return
    raise PluginError(
        f'unknown {kind[:-1]} "{name}"{meant(name, names(kind))}; there are: {", ".join(names(kind))}'
        ' (code from outside is named "package.module:Class")'
    )


def load(kind: Kind, name: str, options: Mapping[str, Any], **fixed: Any) -> Any:
    """A new plug-in.

    Args:
        kind: Which catalogue.
        name: In it, or "package.module:Class", or the path of a .py file with one class of this kind; for a simulation
            also the path of a .toml file, see `described`.
        options: Keyword arguments of the class that a person chose; lists become tuples where these are expected.
        fixed: Keyword arguments that are not for people to choose, such as `dim`.

    Raises:
        PluginError: Unknown name, unknown option, or a value that the class refuses.
    """
    if kind == "sims":
        name, described_ = described(name)
        options = {**described_, **options}
    cls = find(kind, name)
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(vars(cls)["__abstractmethods__"]))
        line = f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
        raise PluginError(f'{kind[:-1]} "{name}" is not complete: {cls.__name__} lacks {missing} ({line})')
    fixed = _lent(cls) | fixed
    values = {key: _value(kind, name, cls, key, value, fixed) for key, value in options.items()}
    try:
        made = cls(**fixed, **values)
        if kind == "sims" and values:
            _ = made.space  # whose ranges may follow from the options
        return made
    except (TypeError, ValueError) as error:
        raise PluginError(f'{kind[:-1]} "{name}" refuses its options: {error}') from error


def described(name: str) -> tuple[str, dict[str, Any]]:
    """A simulation's name, and the options that come with it: those in the .toml file that describes a program.

    Raises:
        PluginError: The file cannot be read.
    """
    if not name.endswith(".toml"):
        return name, {}
    from sims.external import described as options_of

    try:
        return "external", options_of(Path(name), tomllib.loads(Path(name).read_text()))
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else f"this is not TOML: {error}"
        raise PluginError(f'sim "{name}" cannot be read: {cause}') from error


def _lent(cls: type) -> dict[str, Any]:
    asked = inspect.signature(cls).parameters
    return {key: getattr(importlib.import_module(module), it) for key, (module, it) in _LENT.items() if key in asked}


def find(kind: Kind, name: str) -> type:
    """The class behind a name.

    Raises:
        PluginError: There is none, or its module cannot be imported.
    """
    check_name(kind, name)
    module_name, _, class_name = name.partition(":")
    if class_name:
        return _attribute(_module(kind, name, module_name), class_name, name)
    if name.endswith(".py"):
        return _only_class(kind, _module_from_file(kind, name), name)
    if kind == "oracles":
        module_name, class_name = _oracle_classes()[name]
        return _attribute(_module(kind, name, module_name), class_name, name)
    return _only_class(kind, _module(kind, name, f"{_PACKAGES[kind]}.{name}"), name)


def options(kind: Kind, name: str, fixed: Iterable[str] = ("dim", "seed", *_LENT)) -> dict[str, Any]:
    """The options of a plug-in that people may choose, with their defaults (`inspect.Parameter.empty` if none)."""
    parameters = inspect.signature(find(kind, name)).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {each.name: each.default for each in parameters if each.kind in named and each.name not in fixed}


def meant(given: str, allowed: Iterable[str]) -> str:
    """A question that names what was probably meant, or nothing: ' (did you mean "lenia"?)'."""
    close = difflib.get_close_matches(given, list(allowed), n=1, cutoff=0.5)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _value(kind: Kind, name: str, cls: type, key: str, value: Any, fixed: Mapping[str, Any]) -> Any:
    """An option's value, checked against the annotation of the class's constructor."""
    allowed = options(kind, name, fixed)
    if key not in allowed:
        listed = ", ".join(allowed) or "none"
        raise PluginError(f'unknown option "{key}" of {kind[:-1]} "{name}"{meant(key, allowed)}; allowed: {listed}')
    hint = typing.get_type_hints(cls.__init__).get(key, Any)  # type: ignore[misc]
    try:
        # By way of JSON, where strict means: no text for a number, no truth value for one, but a list for a tuple.
        # In a tuple, since a dataclass by itself would not hear that it has no other keys than its fields.
        adapter = pydantic.TypeAdapter(tuple[hint], config=pydantic.ConfigDict(extra="forbid"))  # type: ignore[valid-type]
        return adapter.validate_json(json.dumps([value]), strict=True)[0]
    except (pydantic.ValidationError, TypeError) as error:
        cause = _cause(error) if isinstance(error, pydantic.ValidationError) else error
        given = f" is {value!r}" if len(repr(value)) < 80 else ""  # of a long value, the place in it says enough
        raise PluginError(f'option "{key}" of {kind[:-1]} "{name}"{given}: {cause}') from error


def _cause(error: pydantic.ValidationError) -> str:
    """What is wrong with a value, behind the place in it where it is wrong."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"][1:]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _module(kind: Kind, name: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:  # whatever a stranger's module may raise
        raise PluginError(f'{kind[:-1]} "{name}" cannot be imported: {type(error).__name__}: {error}') from error


def _module_from_file(kind: Kind, name: str) -> ModuleType:
    """A module outside the tree, registered so that its dataclasses can resolve their annotations."""
    path = Path(name).resolve()
    module_name = f"_{path.stem}_{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        cause = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
        raise PluginError(f'{kind[:-1]} "{name}" cannot be imported: {cause} ({name}:{_line(error, path)})') from error
    return module


def _line(error: Exception, path: Path) -> int:
    """The line of a file at which its import failed."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == str(path)), 1)


def _attribute(module: ModuleType, class_name: str, name: str) -> type:
    cls = getattr(module, class_name, None)
    if not isinstance(cls, type):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and not key.startswith("_")]
        raise PluginError(f'"{name}": {module.__name__} has no class "{class_name}"{meant(class_name, classes)}')
    return cls


def _only_class(kind: Kind, module: ModuleType, name: str) -> type:
    """The one public class of a kind that a module defines; an oracle is whatever has `utility`."""
    own = [cls for key, cls in vars(module).items() if isinstance(cls, type) and not key.startswith("_")]
    own = [cls for cls in own if cls.__module__ == module.__name__ and _is_a(kind, cls)]
    if len(own) != 1:
        found = ", ".join(cls.__name__ for cls in own) or "none"
        raise PluginError(f'{kind[:-1]} "{name}" should be one public class, its file has {found}')
    return own[0]


def _is_a(kind: Kind, cls: type) -> bool:
    if kind == "oracles":
        return callable(getattr(cls, "utility", None))
    module, base = _BASES[kind]
    return issubclass(cls, getattr(importlib.import_module(module), base))


def _oracle_classes() -> dict[str, tuple[str, str]]:
    """Modules and classes of the shipped oracles by registry name, read from `pipeline/oracles*.py`: no import."""
    found: dict[str, tuple[str, str]] = {}
    for path in (_TREE / "pipeline").glob("oracles*.py"):
        classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        wanted = [node.name for node in classes if not node.name.startswith("_") and _judges(node)]
        found |= {_snake(name): (f"pipeline.{path.stem}", name) for name in wanted}
    return dict(sorted(found.items()))


def _judges(node: ast.ClassDef) -> bool:
    """Whether a class has `utility`, and is not just the promise of one."""
    if any(ast.unparse(base) in ("ABC", "Protocol") for base in node.bases):
        return False
    return any(isinstance(item, ast.FunctionDef) and item.name == "utility" for item in node.body)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
