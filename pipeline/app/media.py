"""Films on their way to a page: whole, or the part that a player asks for."""

import functools
import re
from collections.abc import Mapping

from fastapi import Response

from pipeline.profile import Profile

KEPT = 64
"""Films that stay in memory, about half a megabyte each: both sides of a pair, for some dozens of people at once."""


@functools.lru_cache(maxsize=KEPT)
def film(profile: Profile, file: str) -> bytes:
    """A film of a profile; ProfileError where there is none."""
    return profile.film_bytes(file)


def part(data: bytes, asked: str, kind: str, headers: Mapping[str, str]) -> Response:
    """What was asked for of some bytes (RFC 9110, section 14).

    Args:
        data: All of them.
        asked: The header `Range`, "" for none. What is not one plain range of bytes is answered with all of them.
        kind: Their media type.
        headers: What else to say.
    """
    more = {**headers, "accept-ranges": "bytes"}
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.strip())
    if not wanted or wanted[0] == "bytes=-":
        return Response(data, media_type=kind, headers=more)
    first, last = wanted.groups()
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if not start <= end:
        return Response(status_code=416, headers=more | {"content-range": f"bytes */{len(data)}"})
    more["content-range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, media_type=kind, headers=more)
