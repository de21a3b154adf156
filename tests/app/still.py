"""A studio in which nothing runs, over a small profile whose films are any bytes: nothing here looks into them."""

from pathlib import Path

import numpy as np

from pipeline.app.studio import Activity, Browsed, Order, World
from pipeline.config import Config
from pipeline.desk import Desk
from pipeline.profile import Profile
from pipeline.rows import RolloutTable

COUNT = 8


class StillStudio:
    """A studio in which nothing runs: what is in the profile is all there is."""

    def begin(self, root: Path) -> None:
        self.root = root
        self.asked: list[tuple[int, str]] = []
        self._run(Profile.create(root, "first", Config()))

    def _run(self, profile: Profile) -> None:
        self.profile = profile
        self.desk = Desk(profile)

    def open(self, name: str) -> None:
        self._run(Profile.open(self.root, name))

    def create(self, name: str, sim: str, rewardor: str, generator: str) -> None:
        assert (sim, rewardor, generator) == ("lenia", "common", "gibbs")
        self._run(Profile.create(self.root, name, Config()))

    def activity(self) -> Activity:
        return Activity(worlds=len(self.profile.rollouts().id), target=300)

    def browse(self, count: int, order: Order) -> None:
        self.asked.append((count, order))

    def browsed(self) -> Browsed:
        return Browsed(worlds=self.worlds(self.profile.films().rollout.tolist()[:2]), wanted=2)

    def worlds(self, rollouts: list[str]) -> list[World]:
        films = self.profile.films()
        files = dict(zip(films.rollout.tolist(), films.file.tolist(), strict=True))
        return [World(each, files[each], float("nan"), {"mu": 0.15}, 2**60 + 1) for each in rollouts if each in files]

    def save(self, rollout: str) -> None:
        (world,) = self.worlds([rollout])
        self.profile.save(rollout, world.file, {"params": world.params, "seed": world.seed})

    def fill(self) -> None:
        """Add worlds with films."""
        unit = np.random.default_rng(0).random((COUNT, 3), np.float32)
        ids = [self.profile.rollout_id(row, number) for number, row in enumerate(unit)]
        texts = {"status": "alive", "origin": "prior", "error": ""}
        self.profile.add_rollouts(
            RolloutTable(
                id=np.array(ids),
                block=np.zeros(COUNT, np.int64),
                unit=unit,
                seed=np.arange(COUNT),
                generator=np.full(COUNT, -1),
                time=np.zeros(COUNT),
                **{name: np.full(COUNT, text) for name, text in texts.items()},
            )
        )
        for id_ in ids:
            self.profile.add_film(id_, b"\0\0\0\x18ftyp" + id_.encode(), "seen", 96, 24.0, 256)
        self.desk.wanted()
