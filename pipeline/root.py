"""Where profiles are: a folder of this machine or of the network, or a part of a bucket, named by a URL."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SCHEMES = ("s3", "gs", "az")
"""Of the object stores that are known: Amazon S3 and whatever speaks its protocol, Google's and Azure's."""


class Root(Protocol):
    """A place with names below it: a `Path`, or a `Url`."""

    @property
    def name(self) -> str:
        """The last part."""

    def resolve(self) -> "Root":
        """The same place, wherever a process stands."""

    def __truediv__(self, name: str, /) -> "Root":
        """What has this name there."""


@dataclass(frozen=True)
class Url:
    """A place in a bucket. No folder needs to be made there: there are only the names of objects.

    Attributes:
        bucket: The bucket as a URL, such as "s3://worlds".
        prefix: What the names of its objects begin with, up to a slash; "" for all of the bucket.
    """

    bucket: str
    prefix: str = ""

    @property
    def name(self) -> str:
        """The last part."""
        return self.prefix.rpartition("/")[2]

    def resolve(self) -> "Url":
        """The same place: a URL means the same everywhere."""
        return self

    def __truediv__(self, name: str, /) -> "Url":
        """What has this name there."""
        return Url(self.bucket, f"{self.prefix}/{name}" if self.prefix else name)

    def __str__(self) -> str:
        """The URL."""
        return f"{self.bucket}/{self.prefix}" if self.prefix else self.bucket


def place(root: Root | str) -> Root:
    """A place by its name.

    Raises:
        ValueError: It is a URL, and not that of a place in a bucket; the message is fit to be shown.
    """
    if not isinstance(root, str):
        return root
    scheme, colon, rest = root.partition("://")
    if not colon and not re.match(rf"({'|'.join(SCHEMES)}):", root):
        return Path(root)
    if not colon or scheme not in SCHEMES:
        known = ", ".join(f"{each}://BUCKET/PREFIX" for each in SCHEMES)
        raise ValueError(f'"{root}" is no place for profiles; a URL is one of {known}')
    bucket, *parts = rest.rstrip("/").split("/")
    named = all(re.fullmatch(r"(?!\.{1,2}$)[\w.=+@-]+", part) for part in parts)
    if not re.fullmatch(r"\w[\w.-]*", bucket) or not named:
        raise ValueError(f'"{root}" is no place for profiles: letters, digits and .-_=+@ make up its parts')
    return Url(f"{scheme}://{bucket}", "/".join(parts))
