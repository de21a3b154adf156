"""One bad world of each kind through real simulators: it fails alone, and why is written down."""

import contextlib
import ctypes
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import ray
import torch

from pipeline import loop, shelf
from pipeline.config import Plugin
from pipeline.driver import Driver
from pipeline.rollouts import ANYWHERE, Job, Pool
from sims import Param, Plan, Rollouts, Space, TorchSimulation
from sims._torch import uniform

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FATES = (
    *("fine", "nan", "explosion", "raise", "huge", "shape", "dtype", "device", "nothing"),
    *("exit", "segfault", "hang", "leak"),
)
LEAK: list[torch.Tensor] = []


@dataclass(frozen=True)
class Bad(TorchSimulation[dict, dict]):
    """Worlds that fade, and whose only parameter says what goes wrong."""

    version: ClassVar[int] = 1
    steps: int = 31

    @property
    def space(self) -> Space:
        return Space(Param("fate", 0, len(FATES), doc="what goes wrong"))

    def rule(self, params: dict) -> dict:
        return {"fate": params["fate"].long()}

    def start(self, rule: dict, seeds: torch.Tensor) -> dict:
        return {"light": uniform(seeds, 32, 32).to(rule["fate"].device)}

    def step(self, state: dict, rule: dict) -> dict:
        light = state["light"] * 0.99
        light[rule["fate"] == FATES.index("nan")] *= torch.nan
        light[rule["fate"] == FATES.index("explosion")] *= 1e30
        return {"light": light}

    def draw(self, state: dict, size: int) -> torch.Tensor:
        light = torch.nn.functional.interpolate(state["light"][:, None], (size, size)).clamp(0, 1)
        return (light * 255).to(torch.uint8)[:, 0, :, :, None].repeat(1, 1, 1, 3)

    def simulate(self, unit: torch.Tensor, seeds: torch.Tensor, plan: Plan) -> Rollouts:
        fates = {FATES[fate] for fate in self.rule(self.space.decode(unit))["fate"].tolist()}
        if "exit" in fates:
            os._exit(1)
        if "segfault" in fates:
            ctypes.string_at(0)
        if "hang" in fates:
            time.sleep(600)
        while "leak" in fates:
            LEAK.append(torch.ones(25_000_000))
            time.sleep(0.05)
        if "raise" in fates:
            raise ArithmeticError("the world ended")
        if "huge" in fates:
            torch.ones(10_000_000_000)
        made = super().simulate(unit, seeds, plan)
        if "nothing" in fates:
            return None  # type: ignore[return-value]
        if "shape" in fates:
            return replace(made, clip=made.clip[:, :7])
        if "dtype" in fates:
            return replace(made, clip=made.clip / 255)
        return replace(made, clip=made.clip.to("meta")) if "device" in fates else made


if __name__ in sys.modules:  # the processes of the pool cannot import tests by name
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

CAUSES = {
    "raise": "ArithmeticError: the world ended",
    "huge": "can't allocate memory: you tried to allocate 40000000000 bytes",
    "shape": "clip is torch.uint8 (1, 7, 64, 64, 3), expected torch.uint8 (1, 32, 64, 64, 3)",
    "dtype": "clip is torch.float32 (1, 32, 64, 64, 3), expected torch.uint8",
    "device": "clip is on meta, expected cpu",
    "nothing": "simulate returned NoneType, expected Rollouts",
    "exit": "its process ended without a word",
    "segfault": "its process ended without a word",
    "hang": "hung for more than 4 s and was ended",
    "leak": "took more than 1200 MB of memory and was ended",
}


def mean_light(clip: torch.Tensor) -> torch.Tensor:
    """A question about a clip."""
    return clip.float().mean((1, 2, 3, 4)).unsqueeze(1)


def test_bad_worlds_cost_only_themselves(ray_local, tmp_path: Path) -> None:  # noqa: ARG001
    profile = shelf.create(tmp_path, "bad", [f'sim.name="{__file__}"'])
    pool = Pool(Plugin(name=__file__), places={ANYWHERE: 2}, cpus=0.5, timeout=4.0, memory=1200)
    driver = Driver(profile, Bad(), pool, ask={"light": mean_light}, feed=False)
    fates = [each for fate in FATES[1:] for each in ("fine", fate)] + ["fine"]
    unit = np.array([[(FATES.index(fate) + 0.5) / len(FATES)] for fate in fates], np.float32)
    try:
        pool.submit(Job(loop.Block(0, -1), unit, np.arange(len(fates)) + 100, driver._questions))
        end = time.monotonic() + 240
        while not len(profile.rollouts().id) and time.monotonic() < end:
            driver.tick()
    finally:
        pool.close()
    told = profile.rollouts()
    status = dict(zip(told.seed.tolist(), told.status.tolist(), strict=True))
    found = [status[seed + 100] for seed in range(len(fates))]
    expected = {"fine": "alive", "nan": "exploded", "explosion": "exploded"}
    assert found == [expected.get(fate, "failed") for fate in fates]
    for row, seed in enumerate(told.seed - 100):
        np.testing.assert_array_equal(told.unit[row], unit[seed])
        assert CAUSES.get(fates[seed], "") in told.error[row]
        assert bool(told.error[row]) == (fates[seed] in CAUSES)
    light = profile.embeddings("light", 1)
    alive = told.id[told.status == "alive"]
    assert sorted(light.rollout) == sorted(alive)
    (event,) = profile.events().text[profile.events().kind == "failed"]
    assert event.startswith(f"{len(CAUSES)} of {len(fates)} worlds failed; {__file__} with fate=3.5, seed 105: Arith")


def test_a_program_ends_with_its_simulator(ray_local, tmp_path: Path) -> None:  # noqa: ARG001
    code = "use Cwd; open(F, '>>', $ARGV[0]); print F getcwd() . qq(\n); close F; sleep 60"
    param = {"name": "x", "low": 0, "high": 1, "doc": "nothing"}
    options = {"command": ["perl", "-e", code, str(tmp_path / "folders")], "output": "world.ppm", "params": [param]}
    pool = Pool(
        Plugin(name="external", options={**options, "seconds": 60}), places={ANYWHERE: 1}, cpus=0.5, timeout=1.5
    )
    try:
        rolled = pool(np.full((1, 1), 0.5, np.float32), np.zeros(1, np.int64), {})
    finally:
        pool.close()
    assert rolled.errors == ["a simulator hung for more than 1.5 s and was ended"]
    folders = [Path(line) for line in (tmp_path / "folders").read_text().split()]
    assert len(folders) == 2  # it was tried twice
    end = time.monotonic() + 20
    while any(folder.exists() for folder in folders) or _runs(str(tmp_path)):
        assert time.monotonic() < end
        time.sleep(0.1)


def _runs(mark: str) -> bool:
    """Whether there is a process with a mark in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it may be gone by now
            if mark.encode() in path.read_bytes():
                return True
    return False
