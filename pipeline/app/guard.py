"""What no request may do, and who may make none, whichever route it takes, Gradio's included."""

from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.app.visitors import NOBODY, Door
from pipeline.pace import TooFastError

LARGEST = 64 * 1024
"""Bytes of a request: nothing that people say to this page is longer."""
CLOSED = (
    *("/gradio_api/upload", "/gradio_api/file=http", "/gradio_api/proxy=", "/monitoring"),
    *("/gradio_api/run", "/gradio_api/api", "/gradio_api/call", "/gradio_api/queue", "/gradio_api/component_server"),
)
"""Doors of Gradio that this page does not need: all its events are routes of our own."""
OPEN = {"/join", "/api/join", "/healthz", "/readyz"}
"""All that strangers may ask of a shared page."""
SAFE = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; connect-src 'self'; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Refuses what no visitor needs, and tells browsers to be careful.

    Args:
        app: What is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = _refusal(scope)
        await (refusal or self._app)(scope, receive, careful)


class Gate:
    """Lets nobody near a shared page who was not invited: routes need not know, and new ones cannot forget.

    Args:
        app: What is behind it.
        door: Knows who was.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":  # nothing here speaks that
            await send({"type": "websocket.close"})
            return
        closed = self._door.shared and scope["type"] == "http" and scope["path"] not in OPEN
        await ((await self._refusal(scope) if closed else None) or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        visitor = await self._door.meet(HTTPConnection(scope))
        if visitor is None:
            looks = scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
            return RedirectResponse("/join", 303) if looks else _refuse(NOBODY.status_code, str(NOBODY.detail))
        try:
            self._door.count(visitor)
        except TooFastError as error:
            return _refuse(429, str(error))
        return None


def _refusal(scope: Scope) -> JSONResponse | None:
    headers = Headers(scope=scope)
    safe = scope["method"] in SAFE
    near = headers.get("sec-fetch-site", "none") in ("same-origin", "none") and _same_origin(headers)
    if not (safe or near):
        return _refuse(403, "this came from another site")
    if scope["path"].startswith(CLOSED):
        return _refuse(404, "there is nothing here")
    if safe:
        return None
    length = headers.get("content-length", "")
    if not length.isdigit():  # chunked: nobody sends that to this page
        return _refuse(411, "a request must say how long it is")
    if int(length) > LARGEST:
        return _refuse(413, f"a request may have {LARGEST} bytes")
    return None


def _same_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


def _refuse(status: int, why: str) -> JSONResponse:
    return JSONResponse({"detail": why}, status)
