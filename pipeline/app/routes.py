"""What the page, and any other program, may ask of the server.

Every handler checks by itself what it is given, and by whom: `guest`, `labeler` or `owner` of the door.
"""

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from pipeline import contest, duel
from pipeline.app import contests, invitations, requests, views
from pipeline.app import media as media_
from pipeline.app.refusals import answered, found
from pipeline.app.scores import Judge
from pipeline.app.studio import Studio
from pipeline.app.visitors import Door, Visitor, check_header
from pipeline.desk import Receipt
from pipeline.profile import Profile, ProfileError

FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
"""For files whose names are made from their content."""


def router(studio: Studio, door: Door) -> APIRouter:
    """All routes."""
    routes = APIRouter()
    for add in (_add_labeling, _add_views, _add_wishes, _add_actions, _add_profiles, _add_files):
        add(routes, studio, door)
    return routes


def _add_labeling(routes: APIRouter, studio: Studio, door: Door) -> None:
    Labeler = Annotated[str, Depends(door.labeler)]

    @routes.post("/api/pairs")
    def pairs(asked: requests.Pairs, labeler: Labeler) -> dict[str, Any]:
        desk = studio.desk
        offered = answered(lambda: desk.offer(labeler, asked.want, asked.have))
        now = {"profile": studio.profile.name, "votes": desk.votes, "after": desk.pause(labeler)}
        return now | {"pairs": [asdict(each) for each in offered]}

    @routes.post("/api/vote")
    def vote(given: requests.Vote, labeler: Labeler) -> Receipt:
        desk = studio.desk
        return answered(lambda: desk.vote(given.token, given.answer, labeler, given.response_ms, given.replays))

    @routes.post("/api/undo")
    def undo(labeler: Labeler) -> Receipt:
        return answered(lambda: studio.desk.undo(labeler))


def _add_views(routes: APIRouter, studio: Studio, door: Door) -> None:
    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"} | ({} if door.shared else {"profile": studio.profile.name})

    @routes.get("/readyz")
    def readyz() -> JSONResponse:
        found = views.ready(studio)["obstacles"]
        return JSONResponse({"ready": not found, "obstacles": found}, 503 if found else 200)

    Guest = Annotated[Visitor, Depends(door.guest)]
    inside = APIRouter(dependencies=[Depends(door.guest)])

    @inside.get("/api/activity")
    def activity(visitor: Guest) -> dict[str, Any]:
        state = views.activity(studio)
        return state if visitor.owner else state | {"problems": []}

    @inside.get("/api/ranking")
    def ranking(by: Judge = "people") -> dict[str, Any]:
        return views.ranking(studio, by)

    @inside.get("/api/contest")
    def now_contested() -> dict[str, Any]:
        return contests.full(studio)

    @inside.get("/api/world/{rollout}")
    def world(rollout: str, visitor: Guest) -> dict[str, Any]:
        return found(lambda: views.world(studio, rollout, owner=visitor.owner))

    @inside.get("/api/train")
    def train(visitor: Guest) -> dict[str, Any]:
        state = views.train(studio)
        return state if visitor.owner else views.for_labeler(state, visitor.id)

    @inside.get("/api/browse")
    def browse() -> dict[str, Any]:
        return views.browse(studio)

    routes.include_router(inside)


def _add_wishes(routes: APIRouter, studio: Studio, door: Door) -> None:
    """What labelers may ask for, too."""
    Labeler = Annotated[str, Depends(door.labeler)]

    @routes.post("/api/browse")
    def browse(wish: requests.Browse, labeler: Labeler) -> dict[str, Any]:
        answered(lambda: door.count_wish(labeler))
        answered(lambda: studio.browse(wish.count, wish.order))
        return views.browse(studio)

    @routes.post("/api/save")
    def save(wish: requests.Save, labeler: Labeler) -> dict[str, Any]:
        answered(lambda: door.count_wish(labeler))
        answered(lambda: studio.save(wish.rollout))
        return views.browse(studio)


def _add_actions(routes: APIRouter, studio: Studio, door: Door) -> None:
    owned = APIRouter(dependencies=[Depends(check_header), Depends(door.owner)])

    @owned.post("/api/contest")
    def begin(wish: requests.Contest) -> dict[str, Any]:
        answered(lambda: contests.begin(studio, wish.goal, wish.count, wish.by))
        return contests.full(studio)

    @owned.post("/api/contest/end")
    def end() -> dict[str, Any]:
        answered(lambda: contest.stop(studio.profile))
        return contests.full(studio)

    @owned.post("/api/duel")
    def challenge() -> dict[str, Any]:
        answered(lambda: duel.start(studio.profile))
        return views.train(studio)

    @owned.post("/api/duel/end")
    def part() -> dict[str, Any]:
        answered(lambda: duel.stop(studio.profile))
        return views.train(studio)

    @owned.post("/api/train")
    def train(wish: requests.Training) -> dict[str, Any]:
        change = studio.profile.resume if wish.run else studio.profile.pause
        answered(lambda: change(wish.role))
        return views.train(studio)

    routes.include_router(owned)


def _add_profiles(routes: APIRouter, studio: Studio, door: Door) -> None:
    Owner = Annotated[Visitor, Depends(door.owner)]
    own = [Depends(check_header)]

    @routes.get("/api/profiles")
    def profiles(visitor: Annotated[Visitor, Depends(door.guest)]) -> dict[str, Any]:
        state = views.profiles(studio)
        if visitor.owner:
            return state
        here = [card for card in state["cards"] if card["name"] == state["profile"]]
        return state | {"cards": here, "catalogue": {}}

    @routes.post("/api/open", dependencies=own)
    def open_(wish: requests.Open, owner: Owner, request: Request, response: Response) -> dict[str, Any]:
        answered(lambda: studio.open(wish.name))
        invitations.tell(door)
        answered(lambda: door.follow(owner, request, response))
        return views.profiles(studio)

    @routes.post("/api/profiles", dependencies=own)
    def create(wish: requests.Create, owner: Owner, request: Request, response: Response) -> dict[str, Any]:
        answered(lambda: studio.create(wish.name, wish.sim, wish.rewardor, wish.generator))
        invitations.tell(door)
        answered(lambda: door.follow(owner, request, response))
        return views.profiles(studio)


def _add_files(routes: APIRouter, studio: Studio, door: Door) -> None:
    Guest = Annotated[Visitor, Depends(door.guest)]

    @routes.get("/media/{profile}/{file}")
    def media(profile: str, file: str, visitor: Guest, request: Request) -> Response:
        film = found(lambda: media_.film(_profile(studio, profile, visitor), file))
        return media_.part(film, request.headers.get("range", ""), "video/mp4", FOREVER)

    @routes.get("/saved/{profile}/{rollout}.{kind}")
    def saved(profile: str, rollout: str, kind: str, visitor: Guest) -> Response:
        where = found(lambda: _profile(studio, profile, visitor))
        types = {"mp4": "video/mp4", "json": "application/json"}
        if kind not in types or rollout not in {each.rollout for each in where.saved()}:
            raise HTTPException(404, "nothing was saved under this name")
        name = {"content-disposition": f'attachment; filename="{profile}-{rollout[:12]}.{kind}"'}
        data = where.saved_bytes(rollout, kind)
        if kind == "json" and not visitor.owner:
            note = json.loads(data)
            data = json.dumps(note | {"params": views.for_guest(note["params"])}, indent=2).encode()
        return Response(data, media_type=types[kind], headers=name)


def _profile(studio: Studio, name: str, visitor: Visitor) -> Profile:
    """The profile of this name; labelers were invited to the one that runs, and know of no other."""
    current = studio.profile
    if name == current.name:
        return current
    if not visitor.owner:
        raise ProfileError(f"no profile {name!r} runs here")
    return Profile.open(studio.root, name)
