"""What no request may do, whichever route it takes, Gradio's included."""

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 64 * 1024
"""Bytes of a request: nothing that people say to this page is longer."""
CLOSED = ("/gradio_api/upload", "/gradio_api/file=http", "/gradio_api/proxy=", "/monitoring")
"""Doors of Gradio that this page does not need."""
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


def _refusal(scope: Scope) -> JSONResponse | None:
    headers = Headers(scope=scope)
    if scope["path"].startswith(CLOSED):
        return _refuse(404, "there is nothing here")
    if scope["method"] in SAFE:
        return None
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") or not _same_origin(headers):
        return _refuse(403, "this came from another site")
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
