"""What the page, and any other program, may ask of the server. Every handler checks by itself what it is given."""

import errno
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse

from pipeline import contest, duel
from pipeline.app import contests, requests, views, visitors
from pipeline.app.scores import Judge
from pipeline.app.studio import Studio
from pipeline.desk import DeskError, Receipt, TooFastError
from pipeline.profile import Profile, ProfileError
from pipeline.store import StoreError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
"""For files whose names are made from their content."""


def router(studio: Studio) -> APIRouter:
    """All routes."""
    routes = APIRouter()
    for add in (_add_labeling, _add_views, _add_actions, _add_files):
        add(routes, studio)
    return routes


def _add_labeling(routes: APIRouter, studio: Studio) -> None:
    def labeler(request: Request, response: Response) -> str:
        visitors.check_header(request)
        return visitors.labeler(request, response, studio.profile.key)

    Labeler = Annotated[str, Depends(labeler)]

    @routes.post("/api/pairs")
    def pairs(asked: requests.Pairs, labeler: Labeler) -> dict[str, Any]:
        desk = studio.desk
        offered = _answered(lambda: desk.offer(labeler, asked.want, asked.have))
        return {"profile": studio.profile.name, "votes": desk.votes, "pairs": [asdict(each) for each in offered]}

    @routes.post("/api/vote")
    def vote(given: requests.Vote, labeler: Labeler) -> Receipt:
        desk = studio.desk
        return _answered(lambda: desk.vote(given.token, given.answer, labeler, given.response_ms, given.replays))

    @routes.post("/api/undo")
    def undo(labeler: Labeler) -> Receipt:
        return _answered(lambda: studio.desk.undo(labeler))


def _add_views(routes: APIRouter, studio: Studio) -> None:
    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok", "profile": studio.profile.name}

    @routes.get("/api/activity")
    def activity() -> dict[str, Any]:
        return views.activity(studio)

    @routes.get("/api/ranking")
    def ranking(by: Judge = "people") -> dict[str, Any]:
        return views.ranking(studio, by)

    @routes.get("/api/contest")
    def now_contested() -> dict[str, Any]:
        return contests.full(studio)

    @routes.get("/api/world/{rollout}")
    def world(rollout: str) -> dict[str, Any]:
        return _found(lambda: views.world(studio, rollout))

    @routes.get("/api/train")
    def train() -> dict[str, Any]:
        return views.train(studio)

    @routes.get("/api/browse")
    def browse() -> dict[str, Any]:
        return views.browse(studio)

    @routes.get("/api/profiles")
    def profiles() -> dict[str, Any]:
        return views.profiles(studio)


def _add_actions(routes: APIRouter, studio: Studio) -> None:
    own = [Depends(visitors.check_header)]

    @routes.post("/api/browse", dependencies=own)
    def browse(wish: requests.Browse) -> dict[str, Any]:
        _answered(lambda: studio.browse(wish.count, wish.order))
        return views.browse(studio)

    @routes.post("/api/save", dependencies=own)
    def save(wish: requests.Save) -> dict[str, Any]:
        _answered(lambda: studio.save(wish.rollout))
        return views.browse(studio)

    @routes.post("/api/contest", dependencies=own)
    def begin(wish: requests.Contest) -> dict[str, Any]:
        _answered(lambda: contests.begin(studio, wish.goal, wish.count, wish.by))
        return contests.full(studio)

    @routes.post("/api/contest/end", dependencies=own)
    def end() -> dict[str, Any]:
        _answered(lambda: contest.stop(studio.profile))
        return contests.full(studio)

    @routes.post("/api/duel", dependencies=own)
    def challenge() -> dict[str, Any]:
        _answered(lambda: duel.start(studio.profile))
        return views.train(studio)

    @routes.post("/api/duel/end", dependencies=own)
    def part() -> dict[str, Any]:
        _answered(lambda: duel.stop(studio.profile))
        return views.train(studio)

    @routes.post("/api/train", dependencies=own)
    def train(wish: requests.Training) -> dict[str, Any]:
        change = studio.profile.resume if wish.run else studio.profile.pause
        _answered(lambda: change(wish.role))
        return views.train(studio)

    @routes.post("/api/open", dependencies=own)
    def open_(wish: requests.Open) -> dict[str, Any]:
        _answered(lambda: studio.open(wish.name))
        return views.profiles(studio)

    @routes.post("/api/profiles", dependencies=own)
    def create(wish: requests.Create) -> dict[str, Any]:
        _answered(lambda: studio.create(wish.name, wish.sim, wish.rewardor, wish.generator))
        return views.profiles(studio)


def _add_files(routes: APIRouter, studio: Studio) -> None:
    @routes.get("/media/{profile}/{file}")
    def media(profile: str, file: str) -> FileResponse:
        path = _found(lambda: _profile(studio, profile).film_path(file))
        return FileResponse(path, media_type="video/mp4", headers=FOREVER)

    @routes.get("/saved/{profile}/{rollout}.{kind}")
    def saved(profile: str, rollout: str, kind: str) -> FileResponse:
        kept = {each.rollout: each for each in _found(lambda: _profile(studio, profile).saved())}
        types = {"mp4": "video/mp4", "json": "application/json"}
        if rollout not in kept or kind not in types:
            raise HTTPException(404, "nothing was saved under this name")
        path = kept[rollout].film.with_suffix(f".{kind}")
        return FileResponse(path, media_type=types[kind], filename=f"{profile}-{rollout[:12]}.{kind}")


def _profile(studio: Studio, name: str) -> Profile:
    current = studio.profile
    return current if name == current.name else Profile.open(studio.root, name)


def _found(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except (ProfileError, ValueError) as error:
        raise HTTPException(404, str(error)) from error


def _answered(act: Callable[[], Any]) -> Any:
    """What an action returns; what it raises becomes a status that the page understands, with a sentence to show."""
    try:
        return act()
    except TooFastError as error:
        raise HTTPException(429, str(error), {"retry-after": "1"}) from error
    except DeskError as error:
        raise HTTPException(409, str(error)) from error
    except (ProfileError, ValueError) as error:
        raise HTTPException(400, str(error)) from error
    except StoreError as error:
        cause = getattr(error.__cause__, "errno", None)
        raise HTTPException(507 if cause in FULL else 503, str(error)) from error
