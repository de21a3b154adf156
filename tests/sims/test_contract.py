"""Every simulation in the catalogue keeps the contract that strangers' simulations are held to."""

import dataclasses
import importlib
import inspect
from pathlib import Path

import pytest
import torch

import sims
from sims import Plan, Simulation, check_simulation

NAMES = sorted(path.stem for path in Path(sims.__file__).parent.glob("[!_]*.py") if path.stem != "external")
"""All but `external`, whose worlds are another program's."""


def simulation(name):
    module = importlib.import_module(f"sims.{name}")
    found = [one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__]
    (kind,) = [one for one in found if issubclass(one, Simulation) and not inspect.isabstract(one)]
    return kind()


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    assert check_simulation(simulation(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_there_are_never_fewer_than_none_of_anything(name):
    kind = type(simulation(name))
    counts = [each.name for each in dataclasses.fields(kind) if type(each.default) is int]
    assert "steps" in counts
    for count in counts:
        with pytest.raises(ValueError, match=f"{count} is -7, expected "):
            kind(**{count: -7})


@pytest.mark.parametrize("name", NAMES)
def test_bitwise_the_same_in_any_company(name):
    sim = simulation(name)
    unit = torch.rand(21, sim.space.dim, generator=torch.Generator().manual_seed(8))
    seeds = torch.arange(21) * 7
    first = sim.simulate(unit, seeds, Plan())
    order = torch.randperm(21, generator=torch.Generator().manual_seed(9))
    strangers = torch.rand(21, sim.space.dim, generator=torch.Generator().manual_seed(10))
    mixed = sim.simulate(torch.cat([strangers[:5], unit[order]]), torch.cat([seeds[:5], seeds[order]]), Plan())
    assert torch.equal(mixed.clip[5:], first.clip[order])
    assert torch.equal(mixed.status[5:], first.status[order])
