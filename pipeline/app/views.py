"""What the tabs of the page show, as plain data."""

import functools
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline import checkpoint, contest, duel, foresight, loop, plugins
from pipeline import profile as profiles_
from pipeline.app import contests
from pipeline.app.readiness import obstacles
from pipeline.app.scores import Judge, ranked
from pipeline.app.studio import Studio, World
from pipeline.interest import BAR, FRESH, interest
from pipeline.panel import panel
from pipeline.profile import Profile
from pipeline.store import StoreError

RANKED = 60
"""Worlds in a ranking: what a page can show alive."""
EVENTS, NOTES = 40, 10
"""Events in the list, and how many of them are kept for what is no version of a model."""
ASKED = 100
"""Pairs, the last, of which it is told how they were chosen."""


class _Brief:
    """An answer that is good for a moment: many pages ask the same. One thread looks, the others get what there is."""

    def __init__(self, look: Callable[[Studio], dict[str, Any]], seconds: float) -> None:
        self._look, self._seconds = look, seconds
        self._known: tuple[object, float, dict[str, Any]] = (None, -math.inf, {})
        self._looking = threading.Lock()

    def __call__(self, studio: Studio) -> dict[str, Any]:
        about, when, answer = self._known
        same = about is studio.profile
        if same and time.monotonic() < when + self._seconds:
            return answer
        if not self._looking.acquire(blocking=not same):
            return answer
        try:
            self._known = (studio.profile, time.monotonic(), self._look(studio))
            return self._known[2]
        finally:
            self._looking.release()


def _activity(studio: Studio) -> dict[str, Any]:
    now = asdict(studio.activity())
    now["problems"] = list(now["problems"])
    now |= {"profile": studio.profile.name, "votes": studio.desk.votes, "ready": studio.desk.ready}
    return now | {
        "contest": contests.brief(studio),
        "duel": _blind(_duel(studio)),
        "interest": asdict(interest(studio.profile)),
    }


def _duel(studio: Studio) -> dict[str, Any] | None:
    now = duel.state(studio.profile)
    return now.facts() if now else None


def _blind(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    """A duel without its score, from which people could tell which side is which; with it once it is decided."""
    hidden = ("won", "lost", "equal", "odds") if facts and not facts["verdict"] else ()
    return {key: value for key, value in facts.items() if key not in hidden} if facts else None


activity = _Brief(_activity, 0.4)
ready = _Brief(lambda studio: {"obstacles": obstacles(studio)}, 2.0)
"""What is going on now."""


# -- ranking ----------------------------------------------------------------------------------------------------------


def ranking(studio: Studio, by: Judge) -> dict[str, Any]:
    """The best worlds that were filmed."""
    profile = studio.profile
    films = profile.films()
    files = dict(zip(films.rollout.tolist(), films.file.tolist(), strict=True))
    counts = _counts(profile)
    items = [
        {"rollout": each.rollout, "file": files[each.rollout], "score": each.score, "low": each.low, "high": each.high}
        | {"count": counts.get(each.rollout, 0)}
        for each in ranked(profile, by)[:RANKED]
    ]
    return {"profile": profile.name, "by": by, "items": items, "labels": len(profile.labels().id)}


def world(studio: Studio, rollout: str, *, owner: bool) -> dict[str, Any]:
    """One world with its recipe; labelers are not told options, which may be a program's command line.

    Raises:
        ValueError: It was not filmed.
    """
    found = studio.worlds([rollout])
    if not found:
        raise ValueError("there is no film of such a world")
    profile, sim = studio.profile, studio.profile.config.sim
    recipe = {"sim": sim.name, "options": sim.options, "seed": found[0].seed, "params": found[0].params}
    recipe = recipe if owner else for_guest(recipe)
    saved = rollout in {each.rollout for each in profile.saved()}
    return _world(found[0]) | {"profile": profile.name, "saved": saved, "recipe": json.dumps(recipe, indent=2)}


def for_guest(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe as those see it who are not the owner."""
    return {key: value for key, value in recipe.items() if key != "options"}


def _counts(profile: Profile) -> dict[str, int]:
    """In how many labels each world appears."""
    labels = profile.labels()
    worlds, counts = np.unique(np.concatenate([labels.left, labels.right]).astype(str), return_counts=True)
    return dict(zip(worlds.tolist(), counts.tolist(), strict=True))


def _world(each: World) -> dict[str, Any]:
    return asdict(each) | {"score": each.score if math.isfinite(each.score) else None, "seed": str(each.seed)}


# -- training ---------------------------------------------------------------------------------------------------------


def _train(studio: Studio) -> dict[str, Any]:
    profile = studio.profile
    rewardors, generators = checkpoint.manifests(profile, "rewardor"), checkpoint.manifests(profile, "generator")
    learned = {each.number: each.snapshot.get("labels", 0) for each in rewardors}
    taught = {each.number: learned.get(each.snapshot.get("rewardor", -1), 0) for each in generators}
    curves = {
        "held_out_accuracy": _curve(rewardors, learned, "held_out_accuracy"),
        "new_score": _curve(generators, taught, "new_score"),
        "diversity": _curve(generators, taught, "diversity"),
        "dead_share": _curve(generators, taught, "dead_share"),
    }
    events = [_event("rewardor", each, learned) for each in rewardors]
    events += [_event("generator", each, taught) for each in generators]
    happened = profile.events()
    notes = happened.where(~np.isin(happened.kind.astype(str), [contest.KIND, duel.KIND]))
    rows = zip(notes.kind.tolist()[-EVENTS:], notes.text.tolist()[-EVENTS:], notes.time.tolist()[-EVENTS:], strict=True)
    events += [_note(*row) for row in rows]
    goals = {"interest_goal": {"bar": BAR, "fresh": FRESH}, "duel": _duel(studio), "rival": duel.rival(profile)}
    people = {"sureness": foresight.facts(profile), "panel": panel(profile), "asked": _asked(profile)}
    return activity(studio) | {"curves": curves, "events": _latest(events)} | goals | people


train = _Brief(_train, 1.0)
"""How both models do."""


def for_labeler(state: dict[str, Any], labeler: str) -> dict[str, Any]:
    """What `train` says to somebody invited.

    Nothing of others, no score of a duel that they may be deciding, no errors and settings, which name files and paths.
    """
    events = [event for event in state["events"] if event["role"] != "note"]
    own = [row for row in state["panel"] if row["labeler"] == labeler]
    return state | {"panel": own, "events": events, "problems": [], "duel": _blind(state["duel"])}


def _latest(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last events, the last first. Each label makes two versions: twenty labels hide no crash."""
    newest = sorted(events, key=lambda event: event["time"], reverse=True)
    notes = [place for place, event in enumerate(newest) if event["role"] == "note"][:NOTES]
    others = [place for place in range(len(newest)) if place not in notes][: EVENTS - len(notes)]
    return [newest[place] for place in sorted(notes + others)]


def _note(kind: str, text: str, when: float) -> dict[str, Any]:
    """Something that happened. That settings changed is all the page says of it: the text is all of profile.toml."""
    return {"role": "note", "kind": kind, "text": "" if kind == "settings" else text, "time": when}


def _curve(versions: Sequence[checkpoint.Manifest], labels: dict[int, int], metric: str) -> list[list[float]]:
    """Points (labels known, value), of versions that knew the same labels the last; no screen shows more than 400."""
    values = {labels[each.number]: each.metrics.get(metric, math.nan) for each in versions}
    points = [[float(x), y] for x, y in sorted(values.items()) if math.isfinite(y)]
    return points[:: -(-len(points) // 400) or 1][:-1] + points[-1:]


def _asked(profile: Profile) -> dict[str, dict[str, int]]:
    """Of the last pairs, how many each rule chose; of their worlds, how many the prior and the Generator proposed."""
    labels, rollouts = profile.labels(), profile.rollouts()
    origin = dict(zip(rollouts.id.tolist(), rollouts.origin.tolist(), strict=True))
    shown = [*labels.left[-ASKED:].tolist(), *labels.right[-ASKED:].tolist()]
    rules = Counter(how for how in labels.how[-ASKED:].tolist() if how)
    return {"how": dict(rules), "origin": dict(Counter(origin[world] for world in shown if world in origin))}


def _event(role: str, version: checkpoint.Manifest, labels: dict[int, int]) -> dict[str, Any]:
    known = {"role": role, "version": version.number, "time": version.time, "labels": labels[version.number]}
    metric = "held_out_accuracy" if role == "rewardor" else "new_score"
    value = version.metrics.get(metric, math.nan)
    return known | {"metric": metric, "value": value if math.isfinite(value) else None}


# -- browsing ---------------------------------------------------------------------------------------------------------


def browse(studio: Studio) -> dict[str, Any]:
    """Fresh worlds, and those that were kept, without the options that `for_guest` leaves out."""
    profile, fresh = studio.profile, studio.browsed()
    kept = [{"rollout": each.rollout, "params": for_guest(each.params)} for each in profile.saved()]
    films = profile.films()
    files = dict(zip(films.rollout.tolist(), films.file.tolist(), strict=True))
    saved = [each | {"file": files[each["rollout"]]} for each in kept if each["rollout"] in files]
    newest = loop.newest(profile, "generator")
    return {
        "profile": profile.name,
        "generator": newest.number if newest else -1,
        "worlds": [_world(each) for each in fresh.worlds],
        "wanted": fresh.wanted,
        "working": fresh.working,
        "error": fresh.error,
        "saved": saved,
    }


# -- profiles ---------------------------------------------------------------------------------------------------------


def _profiles(studio: Studio) -> dict[str, Any]:
    names = profiles_.listing(studio.root)
    cards = [_card(studio, name) for name in names]
    cards.sort(key=lambda card: card.get("time", 0), reverse=True)
    return {"profile": studio.profile.name, "cards": cards, "catalogue": catalogue(), "about": about()}


profiles = _Brief(_profiles, 1.0)
"""All profiles."""


def catalogue() -> dict[str, list[str]]:
    """What a new profile may be made of."""
    return {
        "sim": list(plugins.names("sims")),
        "generator": list(plugins.names("generators")),
        "rewardor": list(plugins.names("rewardors")),
    }


@functools.cache
def about() -> dict[str, dict[str, str]]:
    """What each of these is, in a line."""
    return {
        "sim": plugins.catalogue("sims"),
        "generator": plugins.catalogue("generators"),
        "rewardor": plugins.catalogue("rewardors"),
    }


def _card(studio: Studio, name: str) -> dict[str, Any]:
    """What is worth knowing of a profile at a glance. One that cannot be read says why, the others are shown."""
    try:
        profile = studio.profile if name == studio.profile.name else _opened(studio, name)
        labels, films = profile.labels(), profile.films()
        newest = {role: checkpoint.manifests(profile, role) for role in ("rewardor", "generator")}
    except (profiles_.ProfileError, StoreError, ValueError, OSError) as error:
        return {"name": name, "error": str(error)}
    times = [found[-1].time for found in newest.values() if found] + labels.time[-1:].tolist()
    config = profile.config
    return {
        "name": name,
        "parts": {"sim": config.sim.name, "rewardor": config.rewardor.name, "generator": config.generator.name},
        "labels": len(labels.id),
        "versions": {role: found[-1].number if found else -1 for role, found in newest.items()},
        "cover": _cover(profile, films),
        "time": max(times, default=0.0),
        "error": "",
    }


_others: dict[str, Profile] = {}


def _opened(studio: Studio, name: str) -> Profile:
    """A profile that does not run, with what was read of it before."""
    path = str(studio.root / name)
    if path not in _others:
        _others[path] = Profile.open(studio.root, name)
    return _others[path]


def _cover(profile: Profile, films: Any) -> str:
    """The film of a world that people preferred lately, or any film, or "" before the first."""
    labels = profile.labels()
    files = dict(zip(films.rollout.tolist(), films.file.tolist(), strict=True))
    won = [getattr(labels, answer)[row] for row, answer in enumerate(labels.answer) if answer in ("left", "right")]
    liked = [files[each] for each in reversed(won) if each in files]
    return (liked or films.file.tolist()[-1:] or [""])[0]
