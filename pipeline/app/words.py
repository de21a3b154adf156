"""The page's words, in every language that it speaks."""

import functools
import tomllib
from importlib import resources


@functools.cache
def words() -> dict[str, dict[str, str]]:
    """By language and key."""
    return tomllib.loads(read("words.toml"))


def read(name: str) -> str:
    """A file of `static`."""
    return resources.files("pipeline.app.static").joinpath(name).read_text(encoding="utf-8")
