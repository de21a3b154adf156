"""Where others find the page: the address of this computer, or a public link of Gradio's, as text and as a QR code."""

import io
import ipaddress
import secrets
import socket

import psutil
import segno

GATEWAY = "api.gradio.app"
"""Who hands out public links."""
PUBLIC = "*.gradio.live"
"""What they look like."""
PATIENCE_S = 3.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where this computer reaches a page that listens on all its addresses."""


class LinkError(Exception):
    """Raised when there is no public link; says why."""


def public(host: str, port: int) -> str:
    """A public link to a page that listens on `host`, good for a week at most; takes seconds, and the internet.

    Raises:
        LinkError: There is none.
    """
    try:
        socket.create_connection((GATEWAY, 443), timeout=PATIENCE_S).close()  # Gradio would wait for a minute
        from gradio.networking import setup_tunnel

        return str(setup_tunnel(here(host), port, secrets.token_urlsafe(32), None, None))
    except Exception as error:  # whatever happens on the way to somebody else's service, the page goes on
        raise LinkError(f"{GATEWAY} gives none ({error})") from error


def here(host: str) -> str:
    """The address at which this very computer finds a page that listens on `host`."""
    return EVERYWHERE.get(host, host)


def local(host: str, port: int) -> str:
    """Where computers on the same network find a page that listens on `host`."""
    name = next(iter(addresses()), "127.0.0.1") if host in EVERYWHERE else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def addresses() -> list[str]:
    """IPv4 addresses of this computer in its networks, the one that reaches furthest first."""
    up = {name for name, facts in psutil.net_if_stats().items() if facts.isup}
    found = [
        each.address
        for name, many in psutil.net_if_addrs().items()
        for each in many
        if name in up and each.family == socket.AF_INET
    ]
    inside = [each for each in found if not (_is(each, "loopback") or _is(each, "link_local"))]
    return sorted(inside, key=lambda each: each != _outward())


def names(host: str) -> list[str]:
    """What browsers, which know no capitals in names, may call this computer when the page listens on `host`."""
    own = socket.gethostname()
    return [name.lower() for name in (host, own, f"{own}.local", *addresses())]


def invitation(url: str, key: str) -> str:
    """The link that lets somebody in. What follows the # is in no request, so no server's log holds the key."""
    return f"{url}/join#{key}"


def picture(link: str) -> str:
    """A QR code, as the address of an image."""
    return str(segno.make_qr(link, error="m").svg_data_uri(scale=4, border=3, light="#fff"))


def drawing(link: str) -> str:
    """A QR code for a terminal."""
    out = io.StringIO()
    segno.make_qr(link, error="l").terminal(out, border=2, compact=True)
    return out.getvalue()


def _is(address: str, what: str) -> bool:
    return bool(getattr(ipaddress.ip_address(address), f"is_{what}"))


def _outward() -> str:
    """The address from which this computer would speak to the internet; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation: nobody is there
        except OSError:
            return ""
        return str(probe.getsockname()[0])
