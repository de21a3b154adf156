"""The web server: assembles routes and page, and refuses what does not belong on a private page."""

import ipaddress
import os

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline.app import routes
from pipeline.app.guard import Guard
from pipeline.app.studio import Studio
from pipeline.config import ConfigError

LOOPBACK = ["127.0.0.1", "localhost", "[::1]", "testserver"]


def serve(studio: Studio, *, host: str = "127.0.0.1", port: int = 7860, tab: str = "label") -> None:
    """Serve the page until the process is told to end.

    Args:
        studio: What it shows.
        host: A loopback address.
        port: Where.
        tab: The tab that is open first, one of `page.TABS`.

    Raises:
        ConfigError: `host` can be reached from other machines.
    """
    import uvicorn

    check_host(host)
    uvicorn.run(build(studio, tab=tab), host=host, port=port, log_level="warning", timeout_graceful_shutdown=3)


def check_host(host: str) -> None:
    """Refuse addresses that other machines can reach.

    Raises:
        ConfigError: It is one.
    """
    local = host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
    if not local:
        raise ConfigError(
            f"host {host!r} can be reached from other machines, and there are no invitations yet; use 127.0.0.1"
        )


def build(studio: Studio, *, tab: str = "label") -> FastAPI:
    """The whole application, ready to be served on a loopback address."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when Gradio is imported, below
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from pipeline.app import page

    app = FastAPI(title="Alife RL pipeline", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(routes.router(studio))
    app.add_middleware(CORSMiddleware, allow_origins=[])  # without one, Gradio's would welcome any origin
    app.add_middleware(Guard)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)
    return page.mount(app, tab)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
