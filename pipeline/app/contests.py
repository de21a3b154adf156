"""What the page shows of a contest, and how people begin one."""

from typing import Any

from pipeline import contest
from pipeline.app.scores import Judge, leaders
from pipeline.app.studio import Studio
from pipeline.standing import Goal


def brief(studio: Studio) -> dict[str, Any] | None:
    """How far the newest contest is, None where there is none; nothing of its worlds, which people compare blindly."""
    now = contest.state(studio.profile)
    if now is None:
        return None
    facts = now.facts()
    return facts | {"worlds": len(facts["worlds"])}


def full(studio: Studio) -> dict[str, Any]:
    """The newest contest, with the films of its worlds."""
    profile, now = studio.profile, contest.state(studio.profile)
    films = profile.films()
    files = dict(zip(films.rollout.tolist(), films.file.tolist(), strict=True))
    worlds = now.facts()["worlds"] if now else []
    shown = [each | {"file": files[each["rollout"]]} for each in worlds if each["rollout"] in files]
    return {"profile": profile.name, "contest": brief(studio), "worlds": shown}


def begin(studio: Studio, goal: Goal, count: int, by: Judge) -> None:
    """Begin a contest of the worlds that lead a ranking.

    Raises:
        ValueError: There are too few; the message is fit to be shown.
        StoreError: It could not be saved.
    """
    contest.start(studio.profile, goal, leaders(studio.profile, by, count))
