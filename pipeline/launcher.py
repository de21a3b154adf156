"""What `alife` without a verb asks: which profile, and what to do with it. Questions in a plain terminal, no more."""

from collections.abc import Mapping

from pipeline import config, plugins, shelf
from pipeline.census import listing
from pipeline.root import Root

VERBS = {
    "run": "label while both models train",
    "label": "label only: worlds are simulated, nothing trains",
    "train": "train only: on the labels that are there, then stop",
    "browse": "watch fresh worlds of the generator and keep those you like",
}
PARTS: dict[str, tuple[plugins.Kind, str]] = {
    "Simulation": ("sims", "sim"),
    "Generator": ("generators", "generator"),
    "Rewardor": ("rewardors", "rewardor"),
}
"""What a new profile is made of: its catalogue, and where its configuration says so."""
NEW = "+"


def choose(root: Root) -> tuple[str, str]:
    """A verb and the profile to run it on, which exists when this returns.

    Raises:
        EOFError: Whoever was asked has left.
    """
    print(f"Alife RL pipeline, profiles in {root}/")
    name = _profile(root)
    return pick("What to do", VERBS, "run"), name


def _profile(root: Root) -> str:
    there = listing(root)
    if not there:
        return _new_profile(root)
    menu = dict.fromkeys(there, "") | {NEW: "a new one"}
    name = pick("Profile", menu, there[0])
    return _new_profile(root) if name == NEW else name


def _new_profile(root: Root) -> str:
    name = _new_name(root)
    settings = []
    for title, (kind, section) in PARTS.items():
        default = getattr(config.Config(), section).name
        settings.append(f"{section}.name={pick(title, plugins.catalogue(kind), default)}")
    print(f"Made {shelf.create(root, name, settings).path}")
    return name


def _new_name(root: Root) -> str:
    """A name that is free and allowed; asks until there is one."""
    default = "" if "default" in listing(root) else "default"
    while True:
        name = _answer("Name of the new profile", default)
        if name in listing(root):
            print(f'  There is a profile "{name}" already.')
            continue
        try:
            return config.check_name(name)
        except config.ConfigError as error:
            print(f"  {error}")


def pick(title: str, menu: Mapping[str, str], default: str) -> str:
    """One key of a menu, asked for until it is one: by its number, its name or the beginning of its name.

    Args:
        title: What is asked.
        menu: Keys, and a description of each.
        default: The key that Enter alone means.
    """
    print()
    width = max(map(len, menu))
    for number, (key, text) in enumerate(menu.items(), 1):
        print(f"  {number:>2}  {key.ljust(width)}  {text}".rstrip())
    while True:
        answer = _answer(title, default)
        found = _meant(answer, list(menu))
        if len(found) == 1:
            return found[0]
        print(f'  "{answer}" is not in the list{plugins.meant(answer, menu)}; type a number or a name.')


def _meant(answer: str, keys: list[str]) -> list[str]:
    if answer in keys:
        return [answer]
    if answer.isdecimal() and 1 <= int(answer) <= len(keys):
        return [keys[int(answer) - 1]]
    return [key for key in keys if answer and key.startswith(answer)]


def _answer(question: str, default: str) -> str:
    hint = f" [{default}]" if default else ""
    return input(f"{question}{hint}: ").strip() or default
