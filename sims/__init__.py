"""Simulations: one file is one family of worlds, and its name is the name to use in a profile."""

from sims._base import STATUSES, Plan, Rollouts, Simulation, Status
from sims._check import check_simulation
from sims._space import Param, Params, Space
from sims._torch import TorchSimulation, Tree

__all__ = [
    "STATUSES",
    "Param",
    "Params",
    "Plan",
    "Rollouts",
    "Simulation",
    "Space",
    "Status",
    "TorchSimulation",
    "Tree",
    "check_simulation",
]
