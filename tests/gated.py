"""Work that waits at a gate, for tests of what goes on meanwhile: the gate is a file, open while it exists."""

import os
import signal
import time
from pathlib import Path

from torch import Tensor

from models import Labels
from models.rewardors.common import Common


def pass_gate(gate: str) -> None:
    """Return once the gate is open."""
    while not Path(gate).exists():
        time.sleep(0.02)


class Gated(Common):
    """`common`, whose settings can only be searched while a gate is open; who gets there leaves a file beside it."""

    def __init__(self, *, gate: str) -> None:
        super().__init__(members=4)
        self.gate = gate

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        Path(f"{self.gate}.reached").touch()
        pass_gate(self.gate)
        return super().fit(embedding, labels, reference)


def work(what: str) -> str:
    """Wait at a gate, fail, or be killed."""
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fail":
        raise ValueError("it cannot be done")
    pass_gate(what)
    return what
