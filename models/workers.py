"""Fitting with several processes, each of which works on its share of the labels.

The first process leads. Where it fits, it hands what it was given to the others, which wait for it in `follow`; then
all run the same fit with the same random numbers, and add up gradients. So all hold the same weights after each step,
and the result is that of one process to rounding. Alone, nothing of this does anything.

Whoever starts the processes also makes the process group of `torch.distributed`; messages travel by CPU.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch import distributed as group

from models import Labels

Told: TypeAlias = tuple[Tensor, Labels, Tensor]
"""What a Rewardor is fitted to: embedding, labels and reference."""


def several() -> bool:
    """Whether there is more than this process."""
    return group.is_available() and group.is_initialized() and group.get_world_size() > 1


def leads() -> bool:
    """Whether this process decides what is fitted."""
    return not several() or group.get_rank() == 0


def hand_out(told: Told | None) -> None:
    """Let the others fit the same; None lets them go. Does nothing in a process that does not lead."""
    if several() and leads():
        group.broadcast_object_list([told])


def follow(fit: Callable[[Tensor, Labels, Tensor], object]) -> None:
    """Fit what the leader fits, until it lets go."""
    while True:
        told: list[Told | None] = [None]
        group.broadcast_object_list(told)
        if told[0] is None:
            return
        fit(*told[0])


def share(rows: Tensor) -> Tensor:
    """The part of rows (n,) that is for this process: every row belongs to one."""
    return rows[group.get_rank() :: group.get_world_size()] if several() else rows


def add_up(tensors: list[Tensor]) -> None:
    """Replace tensors by their sums over all processes, in one message."""
    if not several():
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors]).cpu()
    group.all_reduce(flat)
    for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor))
