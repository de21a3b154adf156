"""The web server: assembles routes and page, and refuses what does not belong on a private page."""

import gc
import ipaddress
import os
import sys
import threading

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline.app import invitations, links, routes
from pipeline.app.guard import Gate, Guard
from pipeline.app.studio import Studio
from pipeline.app.visitors import Door
from pipeline.config import ConfigError
from pipeline.store import StoreError

LOOPBACK = ["127.0.0.1", "localhost", "[::1]", "testserver"]
SWITCH_S = 0.001
"""How long a thread that computes keeps Python from another that has something to do, in seconds. A vote is a dozen
short steps between system calls; with Python's five milliseconds it would wait that long before each of them."""
CROWD = 1000
"""Connections at a time: fifty people have some three hundred."""


def serve(
    studio: Studio, *, host: str = "127.0.0.1", port: int = 7860, tab: str = "label", share: bool = False
) -> None:
    """Serve the page until the process is told to end.

    Args:
        studio: What it shows.
        host: Where to listen; a loopback address unless the page is shared.
        port: Where.
        tab: The tab that is open first, one of `page.TABS`.
        share: Whether others are let in, with a key.

    Raises:
        ConfigError: `host` can be reached from other machines, and the page is not shared.
    """
    import uvicorn

    sys.setswitchinterval(SWITCH_S)
    check_host(host, share=share)
    door = Door(studio, shared=share)
    if share:
        threading.Thread(target=announce, args=(door, host, port), daemon=True).start()
    app = build(studio, tab=tab, door=door, host=host)
    gc.freeze()  # what was imported stays: looking through it for garbage stops everybody for a quarter of a second
    uvicorn.run(
        app,
        host=host,
        port=port,
        limit_concurrency=CROWD,
        log_level="warning",
        proxy_headers=False,  # what a request says about where it comes from is not believed
        timeout_graceful_shutdown=3,
    )


def check_host(host: str, *, share: bool = False) -> None:
    """Refuse addresses that other machines can reach, unless the page asks them for a key.

    Raises:
        ConfigError: It is one.
    """
    if not (_is_local(host) or share):
        raise ConfigError(
            f"host {host!r} can be reached from other machines; use 127.0.0.1, or --share, which asks them for a key"
        )


def announce(door: Door, host: str, port: int) -> None:
    """Print the owner's link, then what to give to others: a public link, or one for this network where there is none.

    The owner's link leads to this very computer, since keys that travel without encryption are better not the owner's.
    """
    door.url = links.local(host, port)
    door.here = links.local(links.here(host), port)
    invitations.tell_owner(door)
    try:
        door.url = links.public(host, port)
    except links.LinkError as error:
        alone = "Only this computer reaches the page: others need a tunnel to it (ssh -L), or leave --host out"
        near = alone if _is_local(host) else "Others on your network can come all the same"
        print(f"No public link: {error}. {near}.", flush=True)
    invitations.tell_others(door)


def build(studio: Studio, *, tab: str = "label", door: Door | None = None, host: str = "127.0.0.1") -> FastAPI:
    """The whole application, ready to be served.

    Args:
        studio: What it shows.
        tab: The tab that is open first.
        door: Who lets people in; by default, everybody at this computer is the owner.
        host: Where it will listen.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when Gradio is imported, below
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from pipeline.app import page

    door = door or Door(studio)
    app = FastAPI(title="Alife RL pipeline", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestValidationError, _nonsense)
    app.add_exception_handler(StoreError, _unreachable)
    app.include_router(routes.router(studio, door))
    app.include_router(invitations.router(door))
    app.add_middleware(CORSMiddleware, allow_origins=[])  # without one, Gradio's would welcome any origin
    app.add_middleware(Gate, door=door)
    app.add_middleware(Guard)
    hosts = [*LOOPBACK, *links.names(host), links.PUBLIC] if door.shared else LOOPBACK
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    return page.mount(app, tab)


async def _nonsense(_: Request, error: Exception) -> JSONResponse:
    """What is wrong with a request, without repeating what it said: not all of that can be said in JSON."""
    assert isinstance(error, RequestValidationError)
    why = "; ".join(each["msg"] for each in error.errors())
    return JSONResponse({"detail": f"this request makes no sense: {ascii(why)[1:-1]}"}, 422)


async def _unreachable(_: Request, error: Exception) -> JSONResponse:
    """What the profile lies on cannot be reached for now."""
    return JSONResponse({"detail": str(error)}, 503)


def _is_local(host: str) -> bool:
    """Whether only this computer reaches a page that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
