"""The running whole, as the page sees it: one session at a time, and the profiles around it."""

import contextlib
import gc
import math
import secrets
import threading
from collections.abc import Sequence

import numpy as np
import torch

from pipeline import checkpoint, loop, shelf
from pipeline.app.studio import Activity, Browsed, Order, World
from pipeline.config import Config, Plugin
from pipeline.desk import Desk
from pipeline.profile import Profile, ProfileError
from pipeline.rewards import rewards
from pipeline.root import Root
from pipeline.session import Session
from sims import Space


class RunningStudio:
    """Implements `pipeline.app.studio.Studio` on top of Ray.

    Args:
        root: Where the profiles are.
        profile: What to run first.
        train: Whether models train.
        feed: Whether worlds are made to learn from, or only to be watched.
    """

    def __init__(self, root: Root, profile: Profile, *, train: bool, feed: bool = True) -> None:
        self._root, self._train, self._feed = root, train, feed
        self._lock = threading.Lock()
        self._request, self._wanted, self._order = "", 0, "best"
        self._begin(profile)

    @property
    def root(self) -> Root:
        """Where all profiles are."""
        return self._root

    @property
    def profile(self) -> Profile:
        """The profile that runs."""
        return self._session.profile

    @property
    def desk(self) -> Desk:
        """Its desk."""
        return self._session.desk

    def start(self) -> None:
        """Start what runs in the background."""
        self._session.start()

    def close(self) -> None:
        """End what runs in the background."""
        self._session.close()
        self._claims.close()

    def open(self, name: str) -> None:
        """Run another profile from now on."""
        self._switch(Profile.open(self._root, name))

    def create(self, name: str, sim: str, rewardor: str, generator: str) -> None:
        """Make a profile and run it from now on."""
        config = Config(sim=Plugin(name=sim), rewardor=Plugin(name=rewardor), generator=Plugin(name=generator))
        shelf.refuse_remains(self._root, name)
        self._switch(Profile.create(self._root, name, config))

    def activity(self) -> Activity:
        """What is going on now."""
        session, profile = self._session, self.profile
        rolling, filming = session.flying()
        newest = {role: loop.newest(profile, role) for role in checkpoint.ROLES}
        votes = len(profile.labels().id)
        rewardor = newest["rewardor"]
        return Activity(
            worlds=int((profile.rollouts().block >= 0).sum()),
            target=loop.blocks_wanted(profile) * profile.config.rollouts.block,
            rolling=rolling,
            filming=filming,
            waiting=votes - (rewardor.snapshot["labels"] if rewardor else 0) if loop.due_fit(profile) else 0,
            rewardor=rewardor.number if rewardor else -1,
            generator=newest["generator"].number if newest["generator"] else -1,
            ray=session.state,
            rewardor_state=session.training("rewardor"),
            generator_state=session.training("generator"),
            problems=profile.problems(),
        )

    def browse(self, count: int, order: Order) -> None:
        """Ask for fresh worlds of the profile's newest Generator."""
        self._request = self._session.browse(count, secrets.randbits(31))
        self._wanted, self._order = count, order

    def browsed(self) -> Browsed:
        """The answer to the last `browse`, as far as it is there."""
        ids, working = self._session.browsed(self._request)
        worlds = self.worlds(ids)
        if self._order == "best":
            worlds.sort(key=lambda world: -math.inf if math.isnan(world.score) else world.score, reverse=True)
        return Browsed(worlds=worlds, wanted=self._wanted, working=working)

    def save(self, rollout: str) -> None:
        """Keep a world with its film and its parameters."""
        found = self.worlds([rollout])
        if not found:
            raise ValueError("there is no film of this world")
        self.profile.save(rollout, found[0].file, self._recipe(found[0]))

    def _recipe(self, world: World) -> dict:
        sim, version = self.profile.config.sim, self._session.sim.version
        recipe = {"sim": sim.name, "options": sim.options, "version": version}
        return recipe | {"seed": world.seed, "params": world.params}

    def worlds(self, rollouts: Sequence[str]) -> list[World]:
        """Those of these worlds that were filmed, scored by the newest Rewardor."""
        table, films = self.profile.rollouts(), self.profile.films()
        files = dict(zip(films.rollout.tolist(), films.file.tolist(), strict=True))
        there = table.where(np.isin(table.id.astype(str), [id_ for id_ in rollouts if id_ in files]))
        if not len(there.id):
            return []
        space = self._session.sim.space
        reward = rewards(self.profile, there.id)  # (B, M), M = 0 before the first version
        scores = reward.mean(1).tolist() if reward.shape[1] else [math.nan] * len(reward)
        rows = zip(there.id.tolist(), scores, _columns(space, there.unit), there.seed.tolist(), strict=True)
        return [World(id_, files[id_], score, values, seed) for id_, score, values, seed in rows]

    def _claim(self, profile: Profile) -> contextlib.ExitStack:
        """Both roles or none."""
        with contextlib.ExitStack() as claims:
            claims.enter_context(profile.claim("page"))
            if self._train:
                claims.enter_context(profile.claim("train"))
            return claims.pop_all()

    def _begin(self, profile: Profile) -> None:
        """Run a profile. Where it is refused everything is as it was: what ran before has its roles, this one none."""
        with self._claim(profile) as claims:
            session = self._made(profile)
            _refuse_another(profile, session.sim.space)
            self._claims, self._session = claims.pop_all(), session

    def _made(self, profile: Profile) -> Session:
        return Session(self._root, profile, train=self._train, feed=self._feed)

    def _switch(self, profile: Profile) -> None:
        with self._lock:
            if profile.name == self.profile.name:
                return
            old, claims = self._session, self._claims
            self._begin(profile)
            old.close()
            claims.close()  # now that nothing of it runs any more
            self._request, self._wanted = "", 0
            _forget()
            self.start()


def _refuse_another(profile: Profile, space: Space) -> None:
    """Refuse a profile whose worlds its simulation cannot have made.

    Raises:
        ProfileError: They have another number of parameters.
    """
    unit = profile.rollouts().unit  # (B, D)
    if len(unit) and unit.shape[1] != space.dim:
        raise ProfileError(
            f'the worlds in "{profile.name}" have {unit.shape[1]} parameters, those of {profile.config.sim.name} have '
            f"{space.dim}: its profile.toml was changed; see: alife doctor {profile.name}"
        )


def _forget() -> None:
    """Let go of the profile that ran: `server.serve` has told Python not to look through what there was at first."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _columns(space: Space, unit: np.ndarray) -> list[dict[str, float]]:
    """Physical parameters by column name, one dict per row of unit (B, D)."""
    decoded = space.decode(torch.from_numpy(unit))
    values = torch.cat([decoded[param.name].reshape(len(unit), -1) for param in space.params], dim=1)
    return [dict(zip(space.names, row, strict=True)) for row in values.tolist()]
