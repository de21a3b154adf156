"""Who is at the other end: one signed cookie, no login, on a page that only this computer can reach."""

import secrets

from fastapi import HTTPException, Request, Response

from pipeline import signing

HEADER = "x-alife"
"""Must accompany every request that changes something: other sites' pages cannot send it."""
YEAR_S = 365 * 24 * 3600


def labeler(request: Request, response: Response, key: bytes) -> str:
    """The visitor's id as a labeler; who has none, or one of another profile, gets one.

    Args:
        request: Carries the cookie.
        response: Gets it.
        key: The profile's.
    """
    name = f"labeler-{signing.fingerprint(key.hex())[:8]}"  # cookies know no ports: each profile has its own
    known = signing.verify(key, "labeler", request.cookies.get(name, ""))
    if known is None:
        known = secrets.token_hex(8)
        cookie = signing.sign(key, "labeler", known)
        response.set_cookie(name, cookie, max_age=YEAR_S, httponly=True, samesite="lax", path="/")
    return known


def check_header(request: Request) -> None:
    """Refuse requests without the page's own header.

    Raises:
        HTTPException: 403.
    """
    if HEADER not in request.headers:
        raise HTTPException(403, f"the header {HEADER} is missing")
