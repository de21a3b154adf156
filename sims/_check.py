"""The contract of a simulation, made executable."""

import copy
import dataclasses
import pickle
import random
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sims._base import STATUSES, Plan, Rollouts, Simulation
from sims._places import Source
from sims._space import Space
from sims._torch import TorchSimulation, Tree

WORLDS = 16
PLAN = Plan()
FILMED = Plan(film_frames=3, film_size=96)


def check_simulation(sim: Simulation) -> list[str]:
    """All promises that a simulation breaks, each behind its file and line, with what to mend; [] when all is well.

    Simulates 16 random worlds, always the same, about five times. What would only follow from a broken promise is not
    asked: where nothing can be simulated, nobody asks what the worlds look like.
    """
    subject, said = _Subject(sim), list[str]()
    broken: set[Check] = set()
    for check, needs in CHECKS.items():
        if broken.isdisjoint(needs):
            findings = _ask(check, subject)
            said += findings
            broken |= {check} if findings else set()
    return list(dict.fromkeys(filter(None, said)))


@dataclasses.dataclass
class _Subject:
    """A simulation, the worlds on which it is examined, and the errors that it has raised: type and place."""

    sim: Simulation
    raised: set[tuple[type, str]] = dataclasses.field(default_factory=set)

    @cached_property
    def source(self) -> Source:
        return Source(self.sim)

    @cached_property
    def unit(self) -> Tensor:
        return torch.rand(WORLDS, self.sim.space.dim, generator=torch.Generator().manual_seed(0))

    @cached_property
    def seeds(self) -> Tensor:
        return torch.arange(WORLDS) + 1

    @cached_property
    def first(self) -> Rollouts:
        return self.sim.simulate(self.unit.clone(), self.seeds.clone(), PLAN)

    def again(self, rows: Tensor, plan: Plan = PLAN) -> bool:
        """Whether some of the worlds come out as they did the first time."""
        made = self.sim.simulate(self.unit[rows], self.seeds[rows], plan)
        return torch.equal(made.status, self.first.status[rows]) and torch.equal(made.clip, self.first.clip[rows])

    def at(self, method: str) -> str:
        """The line of a method; of `simulate`, which does it all, where the simulation writes that itself."""
        return self.source.method(method if isinstance(self.sim, TorchSimulation) else "simulate")

    def culprit(self, innocent: Callable[["_Call"], bool]) -> str:
        """The line of the first method that does it."""
        for name, call in self.calls().items():
            if self.source.has(name) and not innocent(call):
                return self.source.method(name)
        return self.source.method("simulate")

    def calls(self) -> dict[str, "_Call"]:
        """What each method of a `TorchSimulation` makes of some rows."""
        if not isinstance(self.sim, TorchSimulation):
            return {}
        sim: TorchSimulation[Any, Any] = self.sim
        rule = sim.rule(sim.space.decode(self.unit))
        state = sim.start(rule, self.seeds)
        return {
            "rule": lambda rows: sim.rule(sim.space.decode(self.unit[rows])),
            "start": lambda rows: sim.start(_rows(rule, rows), self.seeds[rows]),
            "step": lambda rows: sim.step(_rows(state, rows), _rows(rule, rows)),
            "draw": lambda rows: sim.draw(_rows(state, rows), 48),
            "status": lambda rows: sim.status(_rows(state, rows), _rows(rule, rows)),
        }


_Call = Callable[[Tensor], Tree]
Check = Callable[[_Subject], Iterator[tuple[str, str]]]
"""Yields what is wrong: a place in the source, and words with what to mend."""


def _rows(tree: Tree, rows: Tensor) -> Tree:
    return {name: leaf[rows] for name, leaf in tree.items()} if isinstance(tree, dict) else tree[rows]


def _named(tree: Tree) -> dict[str, Tensor]:
    return tree if isinstance(tree, dict) else {"state": tree}


def _same(one: Tree, other: Tree) -> bool:
    pairs = zip(_named(one).values(), _named(other).values(), strict=True)
    return all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


def _ask(check: Check, subject: _Subject) -> list[str]:
    """What a check finds, each behind its place; "" for an error that has been told already."""
    try:
        return [_said(place, words) for place, words in check(subject)]
    except Exception as error:  # A stranger's code may raise anything; that is a finding, too.
        place = subject.source.raised(error.__traceback__)
        known = (type(error), place) in subject.raised
        subject.raised.add((type(error), place))
        what = check.__name__.removeprefix("_check_")
        return ["" if known else _said(place, f"{type(error).__name__} while checking its {what}: {error}")]


def _said(place: str, words: str) -> str:
    return f"{place}: {words}" if place else words


def _check_dataclass(subject: _Subject) -> Iterator[tuple[str, str]]:
    """It is a frozen dataclass with a version, and holds nothing but its fields."""
    kind, sim, top = type(subject.sim), subject.sim, subject.source.top()
    if not isinstance(getattr(kind, "version", None), int):
        yield top, f"{kind.__name__} has no version: write `version: ClassVar[int] = 1`; raise it when behavior changes"
    parameters = vars(kind).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        yield top, f"{kind.__name__} is no frozen dataclass: write @dataclass(frozen=True) above the class"
        return
    fields: Any = dataclasses.fields(sim)  # type: ignore[arg-type]
    cached = {name for name, value in vars(kind).items() if isinstance(value, cached_property)}
    if hidden := set(getattr(sim, "__dict__", {})) - {field.name for field in fields} - cached:
        words = (
            f"{kind.__name__} holds {sorted(hidden)} besides its fields: make them fields, or compute them when used"
        )
        yield subject.source.method("__post_init__"), words


def _check_pickle(subject: _Subject) -> Iterator[tuple[str, str]]:
    """It travels to other processes: it can be pickled, and what is made of it by the same protocol is its equal."""
    pickle.dumps(subject.sim)
    if copy.deepcopy(subject.sim) != subject.sim:
        place = subject.source.method("__eq__")
        yield place, "a pickled copy differs: keep all settings in fields of the dataclass, and compare by them"


def _check_space(subject: _Subject) -> Iterator[tuple[str, str]]:
    """It has parameters."""
    space = subject.sim.space
    if not isinstance(space, Space) or space.dim < 1:
        yield subject.source.method("space"), f"space is {space!r}: return a Space of at least one Param"


def _check_words(subject: _Subject) -> Iterator[tuple[str, str]]:
    """Its parameters are described."""
    for param in subject.sim.space.params:
        if not param.doc.strip():
            words = f"space: {param.name} has no doc: say what turning it up does to the picture"
            yield subject.source.param(param.name), words


def _check_forms(subject: _Subject) -> Iterator[tuple[str, str]]:
    """`rule`, `start`, `step` and `draw` keep the batch first, and the state its form."""
    if not isinstance(subject.sim, TorchSimulation):
        return
    sim: TorchSimulation[Any, Any] = subject.sim
    rule = sim.rule(sim.space.decode(subject.unit))
    state = sim.start(rule, subject.seeds)
    for method, tree in {"rule": rule, "start": state}.items():
        for name, leaf in _named(tree).items():
            if leaf.shape[:1] != (WORLDS,):
                words = f"{method}: {name} has shape {tuple(leaf.shape)}: the first axis must be B = {WORLDS}"
                yield subject.at(method), words
    if all(leaf.shape[:1] == (WORLDS,) for tree in (rule, state) for leaf in _named(tree).values()):
        later, frame = _named(sim.step(state, rule)), sim.draw(state, 48)
        for name, leaf in _named(state).items():
            if name not in later or (later[name].shape, later[name].dtype) != (leaf.shape, leaf.dtype):
                words = f"step: returns no {name} of {leaf.dtype} {tuple(leaf.shape)}: a state must keep its form"
                yield subject.at("step"), words
        yield from ((subject.at("draw"), words) for words in _form("draw", "frame", frame, (WORLDS, 48, 48, 3)))


def _form(method: str, name: str, got: object, shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> list[str]:
    """What is wrong with the form of what a method returns."""
    what = f"{method}: returns" if name == "frame" else f"{method}: {name} is"
    if not isinstance(got, Tensor):
        return [f"{what} {type(got).__name__}, expected a tensor {dtype} {shape}"]
    if tuple(got.shape) != shape or got.dtype != dtype:
        return [f"{what} {got.dtype} {tuple(got.shape)}, expected {dtype} {shape}"]
    if name == "status" and not bool(((got >= 0) & (got < len(STATUSES))).all()):
        return [f"{what} {got.tolist()}, expected indices into {STATUSES}"]
    return []


def _check_purity(subject: _Subject) -> Iterator[tuple[str, str]]:
    """`step`, `draw` and `status` leave the state as it is."""
    if not isinstance(subject.sim, TorchSimulation):
        return
    sim: TorchSimulation[Any, Any] = subject.sim
    rule = sim.rule(sim.space.decode(subject.unit))
    calls: dict[str, Callable[[Any], object]] = {
        "step": lambda state: sim.step(state, rule),
        "draw": lambda state: sim.draw(state, 48),
        "status": lambda state: sim.status(state, rule),
    }
    for method, call in calls.items():
        state = sim.start(rule, subject.seeds)
        given = dict(_named(state))
        before = {name: leaf.clone() for name, leaf in given.items()}
        call(state)
        for name, leaf in given.items():
            if not _same(leaf, before[name]):
                yield subject.at(method), f"{method}: writes into the {name} it was given: return new tensors"


def _check_runs(subject: _Subject) -> Iterator[tuple[str, str]]:
    """It can be simulated at all; a program that hangs is not asked again and again."""
    made = subject.sim.simulate(subject.unit[:2], subject.seeds[:2], PLAN)
    if isinstance(made, Rollouts) and made.errors and all(made.errors):
        yield subject.at("simulate"), f"simulate: the first two random worlds failed: {made.errors[0]}"


def _check_globals(subject: _Subject) -> Iterator[tuple[str, str]]:
    """It leaves the process and its arguments as it found them, even in two corners of its space."""
    corners = torch.stack([torch.zeros(subject.sim.space.dim), torch.ones(subject.sim.space.dim)])
    unit, seeds, before = corners.clone(), subject.seeds[:2].clone(), _process()
    subject.sim.simulate(unit, seeds, PLAN)
    after = _process()
    if not (torch.equal(unit, corners) and torch.equal(seeds, subject.seeds[:2])):
        yield subject.at("start"), "simulate: writes into its arguments: copy unit and seeds before changing them"
    for name, cure in GLOBALS.items():
        if before[name] != after[name]:
            yield subject.culprit(partial(_leaves, name)), f"simulate: changes {name}: {cure}"


def _leaves(name: str, call: _Call) -> bool:
    """Whether a call leaves something global as it was."""
    before = _process()[name]
    call(torch.arange(WORLDS))
    return before == _process()[name]


GLOBALS = {
    "torch's global random numbers": "pass generator=torch.Generator().manual_seed(seed)",
    "numpy's global random numbers": "use numpy.random.default_rng(seed)",
    "Python's global random numbers": "use random.Random(seed)",
    "torch's number of threads": "leave that to whoever runs you",
    "whether torch records gradients": "use `with torch.no_grad():`",
}


def _process() -> dict[str, object]:
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    states = torch.get_rng_state().tolist(), numpy_state[1].tolist(), random.getstate()
    return dict(zip(GLOBALS, (*states, torch.get_num_threads(), torch.is_grad_enabled()), strict=True))


def _check_shapes(subject: _Subject) -> Iterator[tuple[str, str]]:
    """What it returns has the promised form."""
    sim, made, side = subject.sim, subject.first, PLAN.clip_size
    if made.film is not None:
        words = "simulate: returns a film where plan.film_frames is 0: return None, nobody will look at it"
        yield subject.at("simulate"), words
    frames = 1 if _is_still(made.clip) else PLAN.clip_frames
    film = sim.simulate(subject.unit[:1], subject.seeds[:1], FILMED).film
    for words in (
        *_form("simulate", "status", made.status, (WORLDS,), torch.int64),
        *_form("simulate", "clip", made.clip, (WORLDS, frames, side, side, 3)),
        *_form("simulate", "film", film, (1, FILMED.film_frames, FILMED.film_size, FILMED.film_size, 3)),
    ):
        yield subject.at("status" if "status is" in words else "draw"), words


def _is_still(clip: object) -> bool:
    """Whether these are pictures, which never move."""
    return isinstance(clip, Tensor) and clip.shape[1:2] == (1,)


def _check_determinism(subject: _Subject) -> Iterator[tuple[str, str]]:
    """Its worlds depend on their own parameters and seeds alone."""
    everyone, someone = torch.arange(WORLDS), torch.tensor([3])
    torch.rand(3), np.random.random(3), random.random()  # noqa: NPY002
    if not subject.again(everyone.flip(0)):
        if subject.again(everyone):
            yield (
                subject.culprit(lambda call: not _mixes(call)),
                "simulate: a world depends on its place in the batch: never mix rows of the first axis",
            )
        else:
            place = subject.culprit(lambda call: _same(call(everyone), call(everyone)))
            words = "simulate: two equal calls differ: draw all random numbers from seeds, with a generator of your own"
            yield place, words
            yield from _check_mixing(subject)
    elif not subject.again(someone, FILMED):
        if subject.again(someone):
            yield subject.at("draw"), "simulate: a world differs when it is filmed: film what happens anyway"
        else:
            alone = someone.expand(WORLDS)
            yield (
                subject.culprit(lambda call: _same(_rows(call(alone), someone), _rows(call(everyone), someone))),
                "simulate: a world depends on its batch mates: start each row from its own seed, never mix rows, and "
                "compute at one constant batch size, as TorchSimulation does for `step`",
            )


def _mixes(call: _Call) -> bool:
    """Whether what a call makes of a row depends on the row's place."""
    everyone = torch.arange(WORLDS)
    return not _same(call(everyone.flip(0)), _rows(call(everyone), everyone.flip(0)))


def _check_mixing(subject: _Subject) -> Iterator[tuple[str, str]]:
    """Where whole worlds cannot be compared, at least those methods keep rows apart that make the same of the same."""
    everyone = torch.arange(WORLDS)
    for name, call in subject.calls().items():
        if _same(call(everyone), call(everyone)) and _mixes(call):
            yield (
                subject.at(name),
                f"{name}: a world depends on its place in the batch: never mix rows of the first axis",
            )


def _check_seeds(subject: _Subject) -> Iterator[tuple[str, str]]:
    """Another seed is another start."""
    other = subject.sim.simulate(subject.unit, subject.seeds + 1000, PLAN)
    if torch.equal(subject.first.clip, other.clip):
        yield subject.at("start"), "simulate: seeds change nothing: let the start depend on them"


def _check_status(subject: _Subject) -> Iterator[tuple[str, str]]:
    """Statuses agree with what is to be seen."""
    alive, place = subject.first.status == STATUSES.index("alive"), subject.at("status")
    clip = subject.first.clip[alive].flatten(2, 3)  # (B, T, pixels, 3)
    if not bool(alive.any()):
        found = sorted({STATUSES[i] for i in subject.first.status.tolist()})
        words = f"status: none of {WORLDS} random worlds is alive, they are {found}"
        yield place, f"{words}: mend the ranges in space, or status"
    if bool((clip[:, -1] == clip[:, -1, :1]).flatten(1).all(1).any()):
        yield place, "status: a world that ends in one flat color is called alive: call it dead"
    if not _is_still(clip) and bool((clip == clip[:, :1]).flatten(1).all(1).any()):
        yield place, "status: a world in which nothing ever changes is called alive: call it frozen"


def _check_refusals(subject: _Subject) -> Iterator[tuple[str, str]]:
    """It refuses parameters that are none."""
    unit, seeds = subject.unit[:2], subject.seeds[:2]
    for bad, what in ((unit + 1, "above 1"), (unit * torch.nan, "of NaN"), (unit[:, 1:], "of another dimension")):
        try:
            subject.sim.simulate(bad, seeds, PLAN)
        except ValueError:
            continue
        words = f"simulate: accepts units {what}: decode them by self.space.decode(unit), which raises ValueError"
        yield subject.at("simulate"), words


def _check_device(subject: _Subject) -> Iterator[tuple[str, str]]:
    """It follows the device of its arguments."""
    if not torch.cuda.is_available():
        return
    made = subject.sim.simulate(subject.unit.cuda(), subject.seeds.cuda(), PLAN)
    for name, got in (("status", made.status), ("clip", made.clip)):
        if got.device.type != "cuda":
            words = f"simulate: from arguments on CUDA, {name} is on {got.device}: create tensors on unit.device"
            yield subject.at("start"), words


CHECKS: dict[Check, tuple[Check, ...]] = {
    _check_dataclass: (),
    _check_pickle: (),
    _check_space: (),
    _check_words: (_check_space,),
    _check_forms: (_check_space,),
    _check_purity: (_check_forms,),
    _check_runs: (_check_space, _check_forms),
    _check_globals: (_check_space, _check_forms, _check_runs),
    _check_shapes: (_check_space, _check_forms, _check_runs),
    **dict.fromkeys(
        (_check_determinism, _check_seeds, _check_status, _check_refusals, _check_device),
        (_check_space, _check_forms, _check_runs, _check_shapes),
    ),
}
"""What to ask, in order, and which promises must be kept for the question to make sense."""
