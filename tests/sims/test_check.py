"""Each broken promise is found, and said with what to mend."""

import random
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest
import torch

from pipeline import plugins
from sims import Param, Rollouts, Simulation, Space, check_simulation
from tests.sims.toy import Toy


def test_a_good_one_passes():
    assert check_simulation(Toy()) == []


@dataclass(frozen=True)
class Good(Simulation):
    """The smallest simulation that keeps the contract: noise that fades."""

    version: ClassVar[int] = 1

    @property
    def space(self):
        return Space(Param("fade", 0.5, 0.9, doc="how slowly it fades"))

    def simulate(self, unit, seeds, plan):
        fade = self.space.decode(unit)["fade"]
        clip = self.film(fade, seeds, plan.clip_frames, plan.clip_size)
        film = self.film(fade, seeds, plan.film_frames, plan.film_size) if plan.film_frames else None
        return Rollouts(torch.zeros(len(unit), dtype=torch.int64), clip, film)

    def film(self, fade, seeds, frames, size):
        rows = [torch.rand(size, size, 3, generator=torch.Generator().manual_seed(s)) for s in seeds.tolist()]
        light = fade[:, None] ** (torch.arange(frames) / 4)
        return (torch.stack(rows)[:, None] * light[:, :, None, None, None] * 255).to(torch.uint8)


def test_the_smallest_one_passes():
    assert check_simulation(Good()) == []


class Thawed(Good):
    pass


@dataclass(frozen=True)
class Hiding(Good):
    def __post_init__(self):
        object.__setattr__(self, "secret", 1)


@dataclass(frozen=True)
class Versionless(Good):
    version = None


@dataclass(frozen=True)
class Unequal(Good):
    def __eq__(self, other):
        return self is other

    __hash__ = None


@dataclass(frozen=True)
class Homebound(Good):
    light: object = field(default=lambda fade: fade)


@dataclass(frozen=True)
class Undocumented(Good):
    @property
    def space(self):
        return Space(Param("fade", 0.5, 0.9))


@dataclass(frozen=True)
class Spaceless(Good):
    @property
    def space(self):
        return {"fade": (0, 1)}


@dataclass(frozen=True)
class Raising(Good):
    def film(self, fade, seeds, frames, size):
        raise OverflowError(f"{len(fade)} worlds of {frames} frames of {size} pixels from {len(seeds)} seeds")


def twisted(twist):
    """A simulation that does something besides."""

    class Twisted(Good):
        def simulate(self, unit, seeds, plan):
            return twist(super().simulate, unit, seeds, plan)

    return Twisted()


@pytest.mark.parametrize(
    ("sim", "cure"),
    [
        (Thawed(), "@dataclass(frozen=True)"),
        (Hiding(), "['secret'] besides its fields"),
        (Versionless(), "version: ClassVar[int] = 1"),
        (Unequal(), "compare by them"),
        (Homebound(), "while checking its pickle"),
        (Undocumented(), "say what turning it up does"),
        (Spaceless(), "return a Space"),
        (Raising(), "OverflowError while checking its runs: 2 worlds"),
    ],
)
def test_what_is_wrong_with_it(sim, cure):
    assert any(cure in said for said in check_simulation(sim))


def brighten(made, light):
    return replace(made, clip=(made.clip.int() + light).clamp(max=255).to(torch.uint8))


def writes(go, unit, seeds, plan):
    made = go(unit, seeds, plan)
    seeds += 1
    return made


def draws(go, unit, seeds, plan):
    torch.rand(1)
    return go(unit, seeds, plan)


def draws_python(go, unit, seeds, plan):
    shades = torch.Generator().manual_seed(random.getrandbits(62))  # as good as never the same twice
    made = go(unit, seeds, plan)
    return brighten(made, torch.randint(50, made.clip.shape, generator=shades))


def takes_threads(go, unit, seeds, plan):
    torch.set_num_threads(torch.get_num_threads() + 1)
    return go(unit, seeds, plan)


def floats(go, unit, seeds, plan):
    made = go(unit, seeds, plan)
    return replace(made, clip=made.clip / 255)


def invents(go, unit, seeds, plan):
    made = go(unit, seeds, plan)
    return replace(made, status=made.status + 9)


def by_place(go, unit, seeds, plan):
    return brighten(go(unit, seeds, plan), torch.arange(len(unit))[:, None, None, None, None])


def by_mates(go, unit, seeds, plan):
    return brighten(go(unit, seeds, plan), len(unit))


def by_film(go, unit, seeds, plan):
    return brighten(go(unit, seeds, plan), plan.film_frames)


def seedless(go, unit, seeds, plan):
    return go(unit, seeds * 0, plan)


def all_dead(go, unit, seeds, plan):
    made = go(unit, seeds, plan)
    return replace(made, status=torch.ones_like(made.status))


def flat(go, unit, seeds, plan):
    made = go(unit, seeds, plan)
    made.clip[:, -1] = 7
    return made


def still(go, unit, seeds, plan):
    made = go(unit, seeds, plan)
    return replace(made, clip=made.clip[:, :1].expand_as(made.clip))


def clamps(go, unit, seeds, plan):
    return go(unit.nan_to_num().clamp(0, 1)[:, :1].reshape(len(unit), -1), seeds, plan)


@pytest.mark.parametrize(
    ("twist", "cure"),
    [
        (writes, "copy unit and seeds"),
        (draws, "changes torch's global random numbers"),
        (draws_python, "changes Python's global random numbers"),
        (draws_python, "two equal calls differ"),
        (takes_threads, "changes torch's number of threads"),
        (floats, "clip is torch.float32 (16, 32, 64, 64, 3), expected torch.uint8"),
        (invents, "expected indices into"),
        (by_place, "its place in the batch"),
        (by_mates, "its batch mates"),
        (by_film, "when it is filmed"),
        (seedless, "seeds change nothing"),
        (all_dead, "none of 16 random worlds is alive, they are ['dead']"),
        (flat, "call it dead"),
        (still, "call it frozen"),
        (clamps, "accepts units above 1"),
    ],
)
def test_what_it_does_wrong(twist, cure):
    threads = torch.get_num_threads()
    try:
        assert any(cure in said for said in check_simulation(twisted(twist)))
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Scribbling(Toy):
    def step(self, state, rule):
        state["age"] += rule["fate"] + 1
        return dict(state)


@dataclass(frozen=True)
class Growing(Toy):
    def draw(self, state, size):
        return super().draw(state, size).float()


def test_impure_methods():
    assert any("writes into the age" in said for said in check_simulation(Scribbling()))
    assert any("draw: returns torch.float32" in said for said in check_simulation(Growing()))


MARKED = """
from dataclasses import dataclass

import torch

from sims import Param, Space, TorchSimulation


@dataclass
class Marked(TorchSimulation):  # has no version; is no frozen dataclass
    steps: int = 40

    @property
    def space(self):
        return Space(
            Param("said", 0, 1, doc="more"),
            Param("unsaid", 0, 1),  # unsaid has no doc
        )

    def rule(self, params):
        return params

    def start(self, rule, seeds):  # changes torch's global random numbers; two equal calls differ
        return torch.rand(len(seeds), 16, 16)

    def step(self, state, rule):  # writes into the state; its place in the batch
        state += 0.01 * torch.arange(len(state)).view(-1, 1, 1)
        return state % 1

    def draw(self, state, size):
        light = torch.nn.functional.interpolate(state[:, None], (size, size))[:, 0, :, :, None]
        return (light * 255).to(torch.uint8).repeat(1, 1, 1, 3)
"""


def marks(text):
    """(line, words) of all comments in a text."""
    for number, line in enumerate(text.splitlines(), 1):
        yield from ((number, words.strip()) for words in line.partition("  # ")[2].split(";") if words)


def checked(text, tmp_path):
    path = tmp_path / "marked.py"
    path.write_text(text)
    return path, check_simulation(plugins.load("sims", str(path), {}))


def test_every_broken_promise_is_said_with_its_line(tmp_path):
    path, said = checked(MARKED, tmp_path)
    expected = list(marks(MARKED))
    assert len(said) == len(expected) == 7
    for line, words in expected:
        assert any(one.startswith(f"{path}:{line}: ") and words in one for one in said), (line, words, said)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("        return (light * 255).to(torch.uint8)", "        return (light * 255)"),
        ("return state % 1", "return state % (1 / 0)"),
        ("return torch.rand(len(seeds), 16, 16)", "return torch.rand(9, 16, 16)"),
        ("return params", "return torch.ones(3)"),
    ],
)
def test_what_only_follows_is_not_said(tmp_path, old, new):
    path, said = checked(MARKED.replace(old, new), tmp_path)
    line = next(number for number, text in enumerate(MARKED.splitlines(), 1) if old.strip() in text)
    wrong = [one for one in said if "version" not in one and "frozen" not in one and "doc" not in one]
    assert wrong
    assert all(one.startswith((f"{path}:{line}: ", f"{path}:{line - 1}: ", f"{path}:{line - 2}: ")) for one in wrong), (
        wrong
    )


def test_paths_are_said_as_people_type_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert all(one.startswith("marked.py:") for one in checked(MARKED, tmp_path)[1])
