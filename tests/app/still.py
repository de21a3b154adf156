"""A studio in which nothing runs, over a small profile, and browsers as far as a server can tell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient

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
        self.profile.save(rollout, world.file, {"options": {}, "params": world.params, "seed": world.seed})

    def fill(self, film: Callable[[str], bytes] = lambda id_: b"\0\0\0\x18ftyp" + id_.encode()) -> None:
        """Add worlds with films, by default any bytes."""
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
            self.profile.add_film(id_, film(id_), "seen", 96, 24.0, 256)
        self.desk.wanted()


class Browser:
    """Somebody's browser on a shared page, as far as the server can tell; without a key it is a stranger's."""

    def __init__(self, app: FastAPI, host: str = "http://127.0.0.1", address: str = "127.0.0.1") -> None:
        self.client = TestClient(app, base_url=host, client=(address, 5000), follow_redirects=False)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers)

    def post(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
        return self.client.post(path, json=body or {}, headers={"x-alife": "1"} | headers)

    def join(self, key: str, name: str = "Ann") -> "Browser":
        """Join, and stay."""
        assert self.post("/api/join", {"key": key, "name": name}).status_code == 200
        return self

    def pairs(self, want: int = 1, have: tuple[str, ...] = ()) -> list[dict[str, str]]:
        return self.post("/api/pairs", {"want": want, "have": list(have)}).json()["pairs"]

    def vote(self, token: str, answer: str = "left") -> Any:
        return self.post("/api/vote", {"token": token, "answer": answer, "response_ms": 800})
