"""Who comes in, and as whom: an owner or a labeler, known by signed cookies, and by nothing else that they send.

On a page that only this computer can reach, everybody is the owner, as the person at the computer. On a shared page
nobody is anybody before they have brought a key.
"""

import hmac
import ipaddress
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from fastapi import HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from pipeline import signing
from pipeline.app.studio import Studio
from pipeline.pace import Limits
from pipeline.people import People
from pipeline.profile import Profile

HEADER = "x-alife"
"""Must accompany every request that changes something: other sites' pages cannot send it."""
YEAR_S = 365 * 24 * 3600
VISITOR = "alife.visitor"
"""Where a request keeps who sent it, once that was looked up."""
NOBODY = HTTPException(401, "this page is by invitation: open the link that you were given")


@dataclass(frozen=True)
class Visitor:
    """Somebody at the other end.

    Attributes:
        id: What labels call them, "" for whoever only looks at a page that is not shared.
        owner: Whether they may do more than label, look and browse.
        name: What an owner of a shared page is called, "" for everybody else.
        away: Whether they are an owner by the cookies of a profile that ran before, without any of the one that runs.
    """

    id: str
    owner: bool
    name: str = ""
    away: bool = False


async def check_header(request: Request) -> None:
    """Refuse requests without the page's own header.

    Raises:
        HTTPException: 403.
    """
    if HEADER not in request.headers:
        raise HTTPException(403, f"the header {HEADER} is missing")


class Door:
    """Lets people in. Its methods `guest`, `labeler` and `owner` are what each route depends on.

    Args:
        studio: Whose profile people come to.
        shared: Whether other computers may reach the page, so that a key is needed.

    Attributes:
        url: Where others find the page, "" if they do not; it may become a better one.
        here: Where this computer finds it, "" before that was announced.
    """

    def __init__(self, studio: Studio, *, shared: bool = False) -> None:
        self.shared = shared
        self.url = self.here = ""
        self._studio = studio
        self._keys: list[bytes] = []  # of the profiles that ran here, the last one last
        self._names: dict[str, str] = {}  # of owners
        self._tries = Limits(rate=1 / 6, burst=10)
        self._arrivals = Limits(rate=1 / 36, burst=100)  # a lecture hall behind one address, then a hundred an hour
        self._wishes = Limits(rate=0.5, burst=20)
        self._requests = Limits(rate=40, burst=400)  # a grid of living thumbnails is a hundred at once
        self._seen: dict[str, float] = {}

    @property
    def people(self) -> People:
        """Those of the profile that runs."""
        return People.of(self._studio.profile)

    def known(self, request: HTTPConnection) -> Visitor | None:
        """Who this is; None for somebody who was not invited to the profile that runs, or is no longer welcome.

        Whoever owned this page while another profile ran on it owns it still: the switch, which may take a while, is
        no reason to throw them out, nor is a lost answer with their new cookies.
        """
        key = self._studio.profile.key
        id_ = _read(key, request, "labeler")
        if not self.shared:
            return Visitor(id_ or "", owner=True)
        if self._keys[-1:] != [key]:
            self._keys = [*(each for each in self._keys if each != key), key]
        if owner := _owner(key, request):
            name = self._names[owner] = self.people.name(owner)
            return Visitor(owner, owner=True, name=name)
        if before := next(filter(None, (_owner(each, request) for each in reversed(self._keys))), None):
            return Visitor(id_ or before, owner=True, name=self._names.get(before, ""), away=True)
        return Visitor(id_, owner=False) if id_ and self.people.may_label(id_) else None

    async def meet(self, request: HTTPConnection) -> Visitor | None:
        """The same, looked up once for a request: on an object store that may take a while."""
        if VISITOR not in request.scope:
            local = isinstance(self._studio.profile.root, Path)
            known = self.known(request) if local else await run_in_threadpool(self.known, request)
            request.scope[VISITOR] = known
        found: Visitor | None = request.scope[VISITOR]
        return found

    def count(self, visitor: Visitor) -> None:
        """Note that somebody is there.

        Raises:
            TooFastError: They ask for more than any page needs.
        """
        self._seen[visitor.id] = time.time()
        self._requests.spend(visitor.id, "request")

    def count_wish(self, person: str) -> None:
        """Count something that simulators or the disk have to work for.

        Raises:
            TooFastError: They wish for more than one person's share.
        """
        self._wishes.spend(person, "wish")

    def seen(self, person: str) -> float:
        """When somebody was last there, seconds since 1970; 0 if not since the page was started."""
        return self._seen.get(person, 0.0)

    # -- what routes depend on ----------------------------------------------------------------------------------------

    async def guest(self, request: Request) -> Visitor:
        """Anybody who is in.

        Raises:
            HTTPException: 401.
        """
        visitor = await self.meet(request)
        if visitor is None:
            raise NOBODY
        return visitor

    async def labeler(self, request: Request, response: Response) -> str:
        """The id as a labeler of anybody who is in and acts on this page.

        Raises:
            HTTPException: 401 or 403.
        """
        await check_header(request)
        visitor = await self.guest(request)
        if visitor.away:
            await run_in_threadpool(self.follow, visitor, request, response)
        return visitor.id or self._recognise(self._studio.profile, request, response, "labeler")

    async def owner(self, request: Request) -> Visitor:
        """The owner.

        Raises:
            HTTPException: 401 or 403.
        """
        visitor = await self.guest(request)
        if not visitor.owner:
            raise HTTPException(403, "only the owner of this page may do that")
        return visitor

    # -- coming in ----------------------------------------------------------------------------------------------------

    def join(self, key: str, name: str, request: Request, response: Response) -> Visitor:
        """Let in whoever brings a key of the profile that runs.

        Wrong keys never keep out a right one, which nobody guesses: through a tunnel all come from one address.

        Raises:
            HTTPException: 403, the key is wrong or this person was excluded.
            TooFastError: Too many wrong keys, or new people, came from there.
            ValueError: This cannot be a name.
            StoreError: It could not be saved.
        """
        owner = _same(key, self.people.owner_key)
        if not (owner or _same(key, self.people.invitation)):
            self._tries.spend(_network(request), "key")
            raise HTTPException(403, "this is not, or no longer, an invitation to this page")
        return self._enter(name or "Owner" if owner else name, owner, request, response)

    def follow(self, visitor: Visitor, request: Request, response: Response) -> None:
        """Let an owner into the profile that runs now, by cookies of its own, as whom they were before.

        Raises:
            StoreError: It could not be saved.
        """
        if self.shared and visitor.owner:
            self._enter(visitor.name or "Owner", True, request, response, visitor.id)

    def _enter(self, name: str, owner: bool, request: Request, response: Response, before: str = "") -> Visitor:
        profile = self._studio.profile
        known = _read(profile.key, request, "labeler") or before
        if not owner and self.people.is_excluded(known):
            raise HTTPException(403, "the owner of this page has excluded you")
        if not (owner or self.people.name(known)):
            self._arrivals.spend(_network(request), self.people.invitation)  # a renewed invitation starts afresh
        id_ = known or secrets.token_hex(8)
        self.people.join(id_, name, owner=owner)
        for role in ("labeler", "owner") if owner else ("labeler",):
            self._recognise(profile, request, response, role, id_)
        return Visitor(id_, owner)

    def _recognise(self, profile: Profile, request: Request, response: Response, role: str, id_: str = "") -> str:
        """Know somebody again for a year."""
        id_ = id_ or secrets.token_hex(8)
        response.set_cookie(
            _cookie(profile.key, role),
            signing.sign(profile.key, role, id_),
            max_age=YEAR_S,
            path="/",
            secure=request.headers.get("origin", "").startswith("https://"),
            httponly=True,
            samesite="lax",
        )
        return id_


def _read(key: bytes, request: HTTPConnection, role: str) -> str | None:
    return signing.verify(key, role, request.cookies.get(_cookie(key, role), ""))


def _owner(key: bytes, request: HTTPConnection) -> str | None:
    """Who this is, for an owner of the profile with this key."""
    id_ = _read(key, request, "owner")
    return id_ if id_ == _read(key, request, "labeler") else None


def _cookie(key: bytes, role: str) -> str:
    """Cookies know no ports, so each profile has its own."""
    return f"{role}-{signing.fingerprint(key.hex())[:8]}"


def _same(given: str, key: str) -> bool:
    """Whether somebody typed a key, with whatever capitals, spaces and dashes."""
    typed = "".join(given.lower().replace("-", " ").split())
    return hmac.compare_digest(typed.encode(), key.replace("-", "").encode())


def _network(request: Request) -> str:
    """Where a request comes from: its address, or the network of an IPv6 one, of which a house has many."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host
