"""Joining a shared page, and what the owner sees and decides about people."""

import contextlib
import functools
import json
import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from pipeline.app import links, requests
from pipeline.app.refusals import answered
from pipeline.app.visitors import Door, Visitor, check_header
from pipeline.app.words import read, words

HERE_S = 15.0
"""After this long without a request somebody is gone: an open page asks every few seconds."""


def router(door: Door) -> APIRouter:
    """The routes around invitations."""
    routes = APIRouter()
    _add_joining(routes, door)
    _add_deciding(routes, door)
    return routes


def tell(door: Door) -> None:
    """Print the links to the profile that runs now, on a page whose links were announced."""
    if door.here:
        tell_owner(door)
        tell_others(door)


def tell_owner(door: Door) -> None:
    """Print the owner's link."""
    link = links.invitation(door.here, door.people.owner_key)
    print(f"Your own link, for nobody else:\n    {link}", flush=True)


def tell_others(door: Door) -> None:
    """Print what to give to others."""
    link = links.invitation(door.url, door.people.invitation)
    print(f"Invite others with this link:\n    {link}", flush=True)
    with contextlib.suppress(UnicodeEncodeError):  # a terminal that draws no boxes
        print(links.drawing(link), flush=True)


def _add_joining(routes: APIRouter, door: Door) -> None:
    @routes.get("/join")
    def page() -> Response:
        return HTMLResponse(_page()) if door.shared else RedirectResponse("/", 303)

    @routes.post("/api/join", dependencies=[Depends(check_header)])
    def join(wish: requests.Join, request: Request, response: Response) -> dict[str, Any]:
        visitor = answered(lambda: door.join(wish.key, wish.name, request, response))
        return {"owner": visitor.owner}

    @routes.get("/api/me")
    def me(visitor: Annotated[Visitor, Depends(door.guest)]) -> dict[str, Any]:
        return {"owner": visitor.owner, "name": door.people.name(visitor.id)}


def _add_deciding(routes: APIRouter, door: Door) -> None:
    own = APIRouter(dependencies=[Depends(door.owner)])
    acts = [Depends(check_header)]

    @own.get("/api/people")
    def people() -> dict[str, Any]:
        return _people(door)

    @own.post("/api/people/exclude", dependencies=acts)
    def exclude(wish: requests.Exclude) -> dict[str, Any]:
        answered(lambda: door.people.exclude(wish.person, labels=wish.labels))
        return _people(door)

    @own.post("/api/people/readmit", dependencies=acts)
    def readmit(wish: requests.Readmit) -> dict[str, Any]:
        answered(lambda: door.people.readmit(wish.person))
        return _people(door)

    @own.post("/api/invitation", dependencies=acts)
    def renew() -> dict[str, Any]:
        answered(door.people.renew)
        return _people(door)

    routes.include_router(own)


def _people(door: Door) -> dict[str, Any]:
    """The invitation as a link and as a picture, and everybody who has come."""
    link = links.invitation(door.url, door.people.invitation) if door.url else ""
    now = time.time()
    everybody = [
        asdict(each) | {"here": door.seen(each.id) > now - HERE_S and not each.excluded}
        for each in door.people.everybody()
    ]
    return {"shared": door.shared, "link": link, "code": links.picture(link) if link else "", "people": everybody}


@functools.cache
def _page() -> str:
    """The page on which people join: no part of Gradio's, which strangers do not get to see."""
    known = json.dumps(words(), ensure_ascii=False).replace("</", "<\\/")
    parts = {"style": read("join.css"), "words": known, "common": read("common.js"), "join": read("join.js")}
    page = read("join.html")
    for name, text in parts.items():
        page = page.replace(f"/*{name}*/", text)
    return page
