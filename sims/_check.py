"""The contract of a simulation, made executable."""

import dataclasses
import pickle
import random
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sims._base import STATUSES, Plan, Rollouts, Simulation
from sims._space import Space
from sims._torch import TorchSimulation

WORLDS = 16
PLAN = Plan()
FILMED = Plan(film_frames=3, film_size=96)


def check_simulation(sim: Simulation) -> list[str]:
    """The promises that a simulation breaks, each with what to mend; an empty list when all is well.

    Simulates 16 random worlds, always the same, about four times.
    """
    subject = _Subject(sim)
    for checks in GROUPS:
        broken = [said for check in checks for said in _ask(check, subject)]
        if broken:
            return broken
    return []


@dataclasses.dataclass
class _Subject:
    """A simulation and the worlds on which it is examined."""

    sim: Simulation

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


Check = Callable[[_Subject], Iterator[str]]


def _ask(check: Check, subject: _Subject) -> list[str]:
    try:
        return list(check(subject))
    except Exception as error:  # A stranger's code may raise anything; that is a finding, too.
        what = check.__name__.removeprefix("_check_")
        return [f"{type(error).__name__} while checking its {what}: {error}"]


def _check_dataclass(subject: _Subject) -> Iterator[str]:
    """It is a frozen dataclass with a version, and holds nothing but its fields."""
    kind, sim = type(subject.sim), subject.sim
    parameters = vars(kind).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        yield f"{kind.__name__} is no frozen dataclass: write @dataclass(frozen=True) above the class"
        return
    fields: Any = dataclasses.fields(sim)  # type: ignore[arg-type]
    cached = {name for name, value in vars(kind).items() if isinstance(value, cached_property)}
    if hidden := set(getattr(sim, "__dict__", {})) - {field.name for field in fields} - cached:
        yield f"{kind.__name__} holds {sorted(hidden)} besides its fields: make them fields, or compute them when used"
    if not isinstance(getattr(kind, "version", None), int):
        yield f"{kind.__name__} has no version: write `version: ClassVar[int] = 1`; raise it when behavior changes"


def _check_pickle(subject: _Subject) -> Iterator[str]:
    """It travels to other processes."""
    if pickle.loads(pickle.dumps(subject.sim)) != subject.sim:
        yield "a pickled copy differs: keep all settings in fields of the dataclass, and compare by them"


def _check_space(subject: _Subject) -> Iterator[str]:
    """Its parameters are described."""
    space = subject.sim.space
    if not isinstance(space, Space) or space.dim < 1:
        yield f"space is {space!r}: return a Space of at least one Param"
        return
    for param in space.params:
        if not param.doc.strip():
            yield f"space: {param.name} has no doc: say what turning it up does to the picture"


def _check_methods(subject: _Subject) -> Iterator[str]:
    """`step` and `draw` are pure and keep the batch first."""
    if not isinstance(subject.sim, TorchSimulation):
        return
    sim: TorchSimulation[Any, Any] = subject.sim
    rule = sim.rule(sim.space.decode(subject.unit))
    state = sim.start(rule, subject.seeds)
    before = {name: leaf.clone() for name, leaf in _named(state).items()}
    later, frame = _named(sim.step(state, rule)), sim.draw(state, 48)
    for name, leaf in _named(state).items():
        if len(leaf) != WORLDS:
            yield f"start: {name} has shape {tuple(leaf.shape)}: the first axis must be B = {WORLDS}"
        if not torch.equal(leaf, before[name]):
            yield f"step or draw: writes into the {name} it was given: return new tensors"
        if name not in later or (later[name].shape, later[name].dtype) != (leaf.shape, leaf.dtype):
            yield f"step: returns no {name} of {leaf.dtype} {tuple(leaf.shape)}: a state must keep its form"
    if frame.shape != (WORLDS, 48, 48, 3) or frame.dtype != torch.uint8:
        yield f"draw: returns {frame.dtype} {tuple(frame.shape)}, expected torch.uint8 {(WORLDS, 48, 48, 3)}"


def _named(tree: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return tree if isinstance(tree, dict) else {"state": tree}


def _check_globals(subject: _Subject) -> Iterator[str]:
    """It leaves the process and its arguments as it found them, even in two corners of its space."""
    corners = torch.stack([torch.zeros(subject.sim.space.dim), torch.ones(subject.sim.space.dim)])
    unit, seeds, before = corners.clone(), subject.seeds[:2].clone(), _process()
    subject.sim.simulate(unit, seeds, PLAN)
    if not (torch.equal(unit, corners) and torch.equal(seeds, subject.seeds[:2])):
        yield "simulate: writes into its arguments: copy unit and seeds before changing them"
    for name, cure in GLOBALS.items():
        if before[name] != _process()[name]:
            yield f"simulate: changes {name}: {cure}"


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


def _check_shapes(subject: _Subject) -> Iterator[str]:
    """What it returns has the promised form."""
    sim, made = subject.sim, subject.first
    if made.film is not None:
        yield "simulate: returns a film where plan.film_frames is 0: return None, nobody will look at it"
    yield from _form("status", made.status, (WORLDS,), torch.int64)
    yield from _form("clip", made.clip, (WORLDS, PLAN.clip_frames, PLAN.clip_size, PLAN.clip_size, 3), torch.uint8)
    film = sim.simulate(subject.unit[:1], subject.seeds[:1], FILMED).film
    yield from _form("film", film, (1, FILMED.film_frames, FILMED.film_size, FILMED.film_size, 3), torch.uint8)


def _form(name: str, got: object, shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[str]:
    if not isinstance(got, Tensor):
        yield f"simulate: {name} is {type(got).__name__}, expected a tensor {dtype} {shape}"
    elif tuple(got.shape) != shape or got.dtype != dtype:
        yield f"simulate: {name} is {got.dtype} {tuple(got.shape)}, expected {dtype} {shape}"
    elif name == "status" and not bool(((got >= 0) & (got < len(STATUSES))).all()):
        yield f"simulate: status is {got.tolist()}, expected indices into {STATUSES}"


def _check_determinism(subject: _Subject) -> Iterator[str]:
    """Its worlds depend on their own parameters and seeds alone."""
    everyone, someone = torch.arange(WORLDS), torch.tensor([3])
    torch.rand(3), np.random.random(3), random.random()  # noqa: NPY002
    if not subject.again(everyone.flip(0)):
        if subject.again(everyone):
            yield "simulate: a world depends on its place in the batch: never mix rows of the first axis"
        else:
            yield "simulate: two equal calls differ: draw all random numbers from seeds, with a generator of your own"
    elif not subject.again(someone, FILMED):
        if subject.again(someone):
            yield "simulate: a world differs when it is filmed: film what happens anyway"
        else:
            yield (
                "simulate: a world depends on its batch mates: start each row from its own seed, never mix rows, and "
                "compute at one constant batch size, as TorchSimulation does for `step`"
            )


def _check_seeds(subject: _Subject) -> Iterator[str]:
    """Another seed is another start."""
    other = subject.sim.simulate(subject.unit, subject.seeds + 1000, PLAN)
    if torch.equal(subject.first.clip, other.clip):
        yield "simulate: seeds change nothing: let the start depend on them"


def _check_status(subject: _Subject) -> Iterator[str]:
    """Statuses agree with what is to be seen."""
    alive = subject.first.status == STATUSES.index("alive")
    clip = subject.first.clip[alive].flatten(2, 3)  # (B, T, pixels, 3)
    if not bool(alive.any()):
        found = sorted({STATUSES[i] for i in subject.first.status.tolist()})
        yield f"status: none of {WORLDS} random worlds is alive, they are {found}: mend the ranges in space, or status"
    if bool((clip[:, -1] == clip[:, -1, :1]).flatten(1).all(1).any()):
        yield "status: a world that ends in one flat color is called alive: call it dead"
    if bool((clip == clip[:, :1]).flatten(1).all(1).any()):
        yield "status: a world in which nothing ever changes is called alive: call it frozen"


def _check_refusals(subject: _Subject) -> Iterator[str]:
    """It refuses parameters that are none."""
    unit, seeds = subject.unit[:2], subject.seeds[:2]
    for bad, what in ((unit + 1, "above 1"), (unit * torch.nan, "of NaN"), (unit[:, 1:], "of another dimension")):
        try:
            subject.sim.simulate(bad, seeds, PLAN)
        except ValueError:
            continue
        yield f"simulate: accepts units {what}: decode them by self.space.decode(unit), which raises ValueError"


def _check_device(subject: _Subject) -> Iterator[str]:
    """It follows the device of its arguments."""
    if not torch.cuda.is_available():
        return
    made = subject.sim.simulate(subject.unit.cuda(), subject.seeds.cuda(), PLAN)
    for name, got in (("status", made.status), ("clip", made.clip)):
        if got.device.type != "cuda":
            yield f"simulate: from arguments on CUDA, {name} is on {got.device}: create tensors on unit.device"


GROUPS: tuple[tuple[Check, ...], ...] = (
    (_check_dataclass, _check_pickle, _check_space),
    (_check_methods,),
    (_check_globals, _check_shapes),
    (_check_determinism, _check_seeds, _check_status, _check_refusals, _check_device),
)
"""Each group needs what the one before it promises."""
