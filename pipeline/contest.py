"""Contests: people are asked about a few chosen worlds until the best of them, or their order, is established.

A contest is one row among a profile's events: what is sought, among which worlds, from which label on. All else follows
from the labels since, so that a contest survives restarts, is shared by all who label, and takes back what is undone.
Its answers are labels like all others, from which both models learn.
"""

import json
import secrets
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import evidence
from pipeline.profile import Profile
from pipeline.standing import LONGEST, Bets, Goal, Standing
from pipeline.store import StoreError

KIND = "contest"
"""Of the events that begin and end contests, and of the pairs that contests choose."""


@dataclass(frozen=True)
class Contest:
    """What is sought.

    Attributes:
        id: Its own.
        goal: The best, or the order.
        worlds: Rollouts, in the order that was believed when it began.
        since: Sequence of the last label before it.
    """

    id: str
    goal: Goal
    worlds: tuple[str, ...]
    since: int


@dataclass(frozen=True)
class State:
    """How far a contest is.

    Attributes:
        contest: Which.
        standing: Of its worlds, as numbered in the contest.
        answers: How many were given.
        bets: From which the standing follows.
    """

    contest: Contest
    standing: Standing
    answers: int
    bets: Bets

    def facts(self) -> dict[str, Any]:
        """How far it is, for the page and for programs; the worlds from the best to the worst, as far as is known."""
        standing, worlds = self.standing, self.contest.worlds
        odds = np.exp(np.minimum(standing.evidence, evidence.PROOF)).round(2).tolist()
        places = zip(standing.order.tolist(), odds, standing.settled.tolist(), strict=True)
        return {
            "id": self.contest.id,
            "goal": self.contest.goal,
            "established": standing.established,
            "odds": min(odds),
            "answers": self.answers,
            "to_go": standing.to_go if standing.to_go < LONGEST else None,
            "worlds": [{"rollout": worlds[row], "odds": each, "settled": done} for row, each, done in places],
        }


def start(profile: Profile, goal: Goal, worlds: Sequence[str]) -> Contest:
    """Begin a contest, instead of the one that runs.

    Args:
        profile: Whose worlds.
        goal: What is sought.
        worlds: Which, from what is believed to be the best on.

    Raises:
        ValueError: There are too few worlds, or too many.
        StoreError: It could not be saved.
    """
    Bets(goal, [0.0] * len(worlds))
    since = int(profile.label_events().sequence.max(initial=-1))
    made = Contest(uuid.uuid4().hex[:12], goal, tuple(worlds), since)
    _write(profile, {"id": made.id, "goal": goal, "worlds": list(worlds), "since": since})
    if newest(profile) != made:
        raise StoreError("the contest could not be saved")
    return made


def resume(profile: Profile, goal: Goal, worlds: Sequence[str]) -> Contest:
    """Go on with the contest that runs if it seeks the same among as many worlds, else begin one: see `start`."""
    now = state(profile)
    same = now and not now.standing.established and (now.contest.goal, len(now.contest.worlds)) == (goal, len(worlds))
    return now.contest if now and same else start(profile, goal, worlds)


def stop(profile: Profile) -> None:
    """End the contest that runs; its answers stay.

    Raises:
        StoreError: It could not be saved.
    """
    if newest(profile):
        _write(profile, {})
    if newest(profile):
        raise StoreError("the end of the contest could not be saved")


def newest(profile: Profile) -> Contest | None:
    """The last contest that was begun, unless somebody ended it."""
    events = profile.events()
    known, found = profile.cache.get(KIND, (None, None))
    if known is not events:
        texts = events.text[events.kind == KIND].tolist()
        found = _read(json.loads(texts[-1])) if texts else None
        profile.cache[KIND] = events, found
    return found


def state(profile: Profile) -> State | None:
    """How far the newest contest is; remembered until there is another label."""
    contest, labels = newest(profile), profile.labels()
    if contest is None:
        return None
    about, known, found = profile.cache.get("state of contest", (None, None, None))
    if about is not contest or known is not labels or found is None:
        found = _state(profile, contest)
        profile.cache["state of contest"] = contest, labels, found
    return found


def next_pairs(profile: Profile, count: int, held: Collection[frozenset[str]]) -> list[tuple[str, str]] | None:
    """Pairs to show next, sides at random; None where no contest needs any.

    Args:
        profile: Whose.
        count: How many.
        held: Pairs that people look at now.
    """
    now = state(profile)
    if now is None or now.standing.established:
        return None
    worlds = now.contest.worlds
    row = {world: number for number, world in enumerate(worlds)}
    pending = [sorted(row[world] for world in pair) for pair in held if pair <= row.keys()]
    asked = now.bets.ask(count, [(one, other) for one, other in pending])
    sides = [pair if secrets.randbits(1) else pair[::-1] for pair in asked]
    return [(worlds[left], worlds[right]) for left, right in sides]


def _write(profile: Profile, note: dict[str, Any]) -> None:
    profile.event(KIND, json.dumps(note))


def _read(note: dict[str, Any]) -> Contest | None:
    return Contest(note["id"], note["goal"], tuple(note["worlds"]), note["since"]) if note else None


def _state(profile: Profile, contest: Contest) -> State:
    labels, worlds = profile.labels(), contest.worlds
    mine = np.isin(labels.left.astype(str), worlds) & np.isin(labels.right.astype(str), worlds)
    given = labels.where(mine & (labels.sequence > contest.since) & (labels.answer != "skip"))
    row = {world: number for number, world in enumerate(worlds)}
    rows = [(row[left], row[right]) for left, right in zip(given.left, given.right, strict=True)]
    won = {"left": 1, "right": -1}
    answers = [pair[:: won[answer]] for pair, answer in zip(rows, given.answer, strict=True) if answer in won]
    bets = Bets.after(contest.goal, -np.arange(len(worlds), dtype=float), [(one, other) for one, other in answers])
    decisive = (len(answers) + 2) / (len(rows) + 2)  # until there are many, most answers have a winner
    return State(contest, bets.standing(decisive), len(rows), bets)
