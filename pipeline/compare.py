"""Two profiles side by side: whose Generator makes worlds that win, on the same seeds, by either's taste.

Both Generators emit as many worlds as they are asked for, without rejection, and a world that is not alive has lost.
Nothing is written to either profile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from models import Rewardor
from pipeline import evaluate, gallery, loop, plugins, tensors
from pipeline.evaluate import Array, Embedding
from pipeline.profile import Profile, ProfileError
from pipeline.roll import Rolled, join, roll_here
from sims import Simulation

TOGETHER = 9
"""Worlds of each side in the film."""
CHUNK = 20
"""Worlds simulated between two words on how far it is."""

Step = Callable[[int], None]
"""Told how many more worlds have been simulated."""


@dataclass(frozen=True)
class Side:
    """What a profile's Generator emitted.

    Attributes:
        profile: Whose.
        unit: (N, D) float32.
        rolled: What became of it.
    """

    profile: Profile
    unit: np.ndarray
    rolled: Rolled

    @property
    def alive(self) -> np.ndarray:
        """(N,) bool."""
        return np.array(self.rolled.status) == "alive"

    @property
    def generator(self) -> str:
        """Which Generator, in words."""
        newest, name = loop.newest(self.profile, "generator"), self.profile.config.generator.name
        return f"{name} {newest.number}" if newest else f"{name}, untrained: the prior"


@dataclass(frozen=True)
class Verdict:
    """What one profile's Rewardor says of both sides.

    Attributes:
        judge: Name of the profile.
        wins: Share of pairs of worlds that the first side wins, and its 95 % interval; None without a Rewardor.
        diversity: Effective numbers of different worlds of both sides, among `among` living ones of each.
        among: How many.
    """

    judge: str
    wins: tuple[float, float, float] | None
    diversity: tuple[float, float]
    among: int


class Comparison:
    """Two profiles, compared on n worlds of each.

    Args:
        profiles: Both, of one simulation.
        n: Worlds of each.
        seed: Fixes the worlds.
        done: Told how many more worlds have been simulated.

    Raises:
        ProfileError: See `same_simulation`.
    """

    def __init__(self, profiles: tuple[Profile, Profile], n: int, seed: int, done: Step = lambda _: None) -> None:
        self.sim = same_simulation(profiles)
        self.seed = seed
        self.seeds = loop.world_seeds(seed, "compare", 0, n)
        self._judges = {profile.name: profile for profile in profiles}
        first, second = (self._emit(profile, n, done) for profile in profiles)
        self.sides = (first, second)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """By the taste of each profile."""
        return [self._judge(profile) for profile in self._judges.values()]

    def film(self, done: Step = lambda _: None) -> bytes:
        """The mp4 of the first living worlds of both sides, next to each other."""
        return gallery.versus({self._title(side): self._films(side, done) for side in self.sides})

    def __str__(self) -> str:
        """A table."""
        names = [side.profile.name for side in self.sides]
        rows = [
            ["", *names],
            ["generator", *(side.generator for side in self.sides)],
            ["alive", *(f"{side.alive.mean():.0%}" for side in self.sides)],
        ]
        for verdict in self.verdicts:
            rows.append([f"wins, by the taste of {verdict.judge}", *_shares(verdict)])
            told = f"different worlds of {verdict.among}, as {verdict.judge} sees them"
            rows.append([told, *(f"{number:.1f}" for number in verdict.diversity)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    # -- what is done -------------------------------------------------------------------------------------------------

    def _emit(self, profile: Profile, n: int, done: Step) -> Side:
        unit = loop.load_generator(profile, self.sim.space.dim).ask(n, self.seed).numpy()
        ask = {_rewardor(judge): loop.new_rewardor(judge).embed for judge in self._judges.values()}
        roll, parts = roll_here(self.sim), []
        for start in range(0, n, CHUNK):
            rows = slice(start, start + CHUNK)
            parts.append(roll(unit[rows], self.seeds[rows], ask))
            done(len(unit[rows]))
        return Side(profile, unit, join(parts, ask))

    def _answers(self, side: Side, judge: Profile) -> Embedding:
        """What a profile's Rewardor keeps of the living worlds of a side, (A, F)."""
        return side.rolled.answers[_rewardor(judge)][side.alive]

    def _judge(self, judge: Profile) -> Verdict:
        rewardor = loop.load_rewardor(judge)
        living = [self._answers(side, judge) for side in self.sides]
        among = min(evaluate.VARIED, *map(len, living))
        prior = _prior(judge, rewardor)
        first, second = (evaluate.vendi(rows[:among], prior) if len(prior) > 1 else np.nan for rows in living)
        wins = None
        if loop.newest(judge, "rewardor"):
            ours, theirs = (_values(rewardor, side, self._answers(side, judge)) for side in self.sides)
            wins = evaluate.win_rate(ours, theirs, self.seed)
        return Verdict(judge.name, wins, (first, second), among)

    def _title(self, side: Side) -> str:
        return f"{side.profile.name}: {side.generator}, {side.alive.mean():.0%} alive"

    def _films(self, side: Side, done: Step) -> np.ndarray:
        """Of living worlds, and of others where these are too few."""
        rows = np.argsort(~side.alive, kind="stable")[:TOGETHER]
        return gallery.films(self.sim, torch.from_numpy(side.unit[rows]), torch.from_numpy(self.seeds[rows]), done)


def same_simulation(profiles: tuple[Profile, Profile]) -> Simulation:
    """The simulation of two profiles.

    Raises:
        ProfileError: They are one, or of different simulations.
    """
    if profiles[0].name == profiles[1].name:
        raise ProfileError(f'"{profiles[0].name}" is one profile: it takes two to compare')
    first, second = (profile.config.sim for profile in profiles)
    if first != second:
        told = (
            f'"{each.name}" has {each.config.sim.name} {each.config.sim.options or ""}'.strip() for each in profiles
        )
        raise ProfileError(f"only profiles of the same simulation can be compared: {', '.join(told)}")
    sim: Simulation = plugins.load("sims", first.name, first.options)
    return sim


def _rewardor(profile: Profile) -> str:
    """A profile's Rewardor: what two of the same kind keep of a clip is the same."""
    return loop.model(profile, "rewardor")


def _prior(profile: Profile, rewardor: Rewardor) -> Embedding:
    """Embeddings (R, F) of the living prior worlds on which a profile's Rewardor learned its normalisation."""
    embedding, _, reference = tensors.training_set(profile, rewardor, profile.labels())
    return embedding[reference].numpy()


def _values(rewardor: Rewardor, side: Side, living: Embedding) -> Array:
    """Scores (N,) of a side, -inf where not alive."""
    value = np.full(len(side.unit), -np.inf)
    value[side.alive] = rewardor.score(torch.from_numpy(living)).numpy()
    return value


def _shares(verdict: Verdict) -> tuple[str, str]:
    if verdict.wins is None:
        return "no rewardor yet", "no rewardor yet"
    share, low, high = verdict.wins
    return f"{share:.0%} ({low:.0%} to {high:.0%})", f"{1 - share:.0%} ({1 - high:.0%} to {1 - low:.0%})"
