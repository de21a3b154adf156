"""Duels: whether the Generator's newest worlds are better than those that it proposed earlier.

Both sides are fixed when a duel begins, as many worlds of each, and paired at random. People see a pair like any other,
sides at random and nothing revealed; a world that is not alive has lost unseen. The evidence decides as soon as it
suffices (`evidence.winner`), however often one looks; where it does not on all pairs, no gain was found.

A duel is one row among a profile's events, and all else follows from the labels since.
"""

import json
import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from pipeline import evidence
from pipeline.profile import Profile
from pipeline.store import StoreError

Verdict: TypeAlias = Literal["", "better", "worse", "none"]

KIND = "duel"
"""Of the events that begin and end duels, and of the pairs that duels choose."""
MOST, FEWEST = 100, 20
"""Worlds on each side."""
AHEAD = 4
"""Pairs that are filmed ahead."""


@dataclass(frozen=True)
class Duel:
    """Who is compared.

    Attributes:
        id: Its own.
        version: Of the Generator that proposed the newest world on the new side.
        rival: The same on the old side.
        pairs: (new world, old world) each.
        since: Sequence of the last label before it.
    """

    id: str
    version: int
    rival: int
    pairs: tuple[tuple[str, str], ...]
    since: int


@dataclass(frozen=True)
class State:
    """How far a duel is.

    Attributes:
        duel: Which.
        won: Pairs that the new world won.
        lost: Pairs that it lost.
        equal: Pairs without a winner.
        open: Pairs that are not decided yet.
    """

    duel: Duel
    won: int
    lost: int
    equal: int
    open: tuple[tuple[str, str], ...]

    @property
    def verdict(self) -> Verdict:
        """What is established; "none" where all pairs were not enough for that, "" while it is open."""
        if evidence.winner(self.won, self.lost) >= evidence.PROOF:
            return "better" if self.won > self.lost else "worse"
        return "" if self.open else "none"

    def facts(self) -> dict[str, Any]:
        """How far it is, for the page."""
        odds = float(np.exp(min(evidence.winner(self.won, self.lost), evidence.PROOF)))
        counts = {"won": self.won, "lost": self.lost, "equal": self.equal, "open": len(self.open)}
        names = {"id": self.duel.id, "version": self.duel.version, "rival": self.duel.rival}
        return names | counts | {"odds": round(max(odds, 1.0), 2), "verdict": self.verdict}


def rival(profile: Profile) -> int | None:
    """The version that a duel would be with: the one of half the Generator's worlds ago; None where it is too early."""
    sides = _sides(profile)
    return sides[3] if sides else None


def start(profile: Profile) -> Duel:
    """Begin a duel.

    Raises:
        ValueError: There are too few worlds; the message is fit to be shown.
        StoreError: It could not be saved.
    """
    sides = _sides(profile)
    if sides is None:
        raise ValueError(f"it takes {2 * FEWEST} worlds of two versions of the Generator: label a few more pairs first")
    new, version, old, earlier = sides
    draw = np.random.default_rng(secrets.randbits(63))
    pairs = tuple(zip(draw.permutation(new).tolist(), draw.permutation(old).tolist(), strict=True))
    since = int(profile.label_events().sequence.max(initial=-1))
    made = Duel(uuid.uuid4().hex[:12], version, earlier, pairs, since)
    profile.event(KIND, json.dumps(vars(made)))
    if newest(profile) != made:
        raise StoreError("the duel could not be saved")
    return made


def stop(profile: Profile) -> None:
    """End the duel that runs; its answers stay.

    Raises:
        StoreError: It could not be saved.
    """
    if newest(profile):
        profile.event(KIND, "{}")
    if newest(profile):
        raise StoreError("the end of the duel could not be saved")


def newest(profile: Profile) -> Duel | None:
    """The last duel that was begun, unless somebody ended it."""
    events = profile.events()
    known, found = profile.cache.get(KIND, (None, None))
    if known is not events:
        texts = events.text[events.kind == KIND].tolist()
        note = json.loads(texts[-1]) if texts else {}
        found = Duel(**note | {"pairs": tuple(map(tuple, note["pairs"]))}) if note else None
        profile.cache[KIND] = events, found
    return found


def state(profile: Profile) -> State | None:
    """How far the newest duel is; remembered until there is another label."""
    duel, labels = newest(profile), profile.labels()
    if duel is None:
        return None
    about, known, found = profile.cache.get("state of duel", (None, None, None))
    if about is not duel or known is not labels or found is None:
        found = _state(profile, duel)
        profile.cache["state of duel"] = duel, labels, found
    return found


def next_pairs(profile: Profile, count: int, held: Collection[frozenset[str]]) -> list[tuple[str, str]] | None:
    """Pairs to show next whose films are there, sides at random; None where no duel needs any."""
    now = state(profile)
    if now is None or now.verdict:
        return None
    filmed = set(profile.films().rollout.tolist())
    free = [pair for pair in now.open if filmed.issuperset(pair) and frozenset(pair) not in held][:count]
    return [pair if secrets.randbits(1) else (pair[1], pair[0]) for pair in free]


def wanted(profile: Profile) -> list[str]:
    """Worlds of the next pairs, whether or not they were filmed."""
    now = state(profile)
    return [world for pair in now.open[:AHEAD] for world in pair] if now and not now.verdict else []


def _sides(profile: Profile) -> tuple[list[str], int, list[str], int] | None:
    """Worlds of the newest versions and their newest version, then those of half the Generator's worlds ago."""
    rollouts = profile.rollouts()
    rows = np.flatnonzero((rollouts.origin == "generator") & (rollouts.generator >= 0))
    count = min(len(rows) // 2, MOST)
    half = len(rows) // 2
    new, old = rows[len(rows) - count :], rows[half - count : half]
    if count < FEWEST or rollouts.generator[new[-1]] == rollouts.generator[old[-1]]:
        return None
    ids, version = rollouts.id, rollouts.generator
    return ids[new].tolist(), int(version[new[-1]]), ids[old].tolist(), int(version[old[-1]])


def _state(profile: Profile, duel: Duel) -> State:
    labels, rollouts = profile.labels(), profile.rollouts()
    alive = set(rollouts.id[rollouts.status == "alive"].tolist())
    recent = labels.where((labels.sequence > duel.since) & (labels.answer != "skip"))
    better = {
        frozenset((left, right)): {"left": left, "right": right}.get(given, "")
        for left, right, given in zip(recent.left[::-1], recent.right[::-1], recent.answer[::-1], strict=True)
    }  # the first answer to a pair counts: it is written last
    winners = [_winner(pair, alive, better) for pair in duel.pairs]
    left = tuple(pair for winner, pair in zip(winners, duel.pairs, strict=True) if winner is None)
    # the dead count in their turn, as if each pair had been shown: else they could decide before anybody looked
    seen = [place for place, pair in enumerate(duel.pairs) if alive.issuperset(pair) and winners[place] is not None]
    reached = max(seen, default=-1) + 1 if left else len(winners)
    turns = list(zip(winners, duel.pairs, strict=True))[:reached]
    won = sum(winner == new for winner, (new, _) in turns)
    lost = sum(winner == old for winner, (_, old) in turns)
    return State(duel, won, lost, sum(winner == "" for winner, _ in turns), left)


def _winner(pair: tuple[str, str], alive: set[str], better: dict[frozenset[str], str]) -> str | None:
    """The world that won a pair, "" if neither did, None while that is open."""
    living = [world for world in pair if world in alive]
    if len(living) < len(pair):
        return living[0] if living else ""
    return better.get(frozenset(pair))
