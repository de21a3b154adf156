"""Where the bytes of a profile lie, on an object store: the functions of `store.Store`, each of them one request.

There a PUT is all or nothing, lasts once it is answered, and never overwrites where it says `If-None-Match: *`. So
there are no temporary names, no links and nothing to sync. What a folder has and a bucket has not: requests fail and
get lost, which is met by asking again, since all that is asked may be asked twice; and each costs time and money, so a
listing is believed for a while.
"""

import contextlib
import functools
import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from pipeline.listings import Listings
from pipeline.root import Url
from pipeline.store import KeyTakenError, StoreError, check_key

try:
    import obstore
    from obstore import exceptions as refusals
except ImportError as error:
    raise StoreError(
        'profiles on an object store take one more package: pip install -c constraints.txt --editable ".[cloud]"'
    ) from error

T = TypeVar("T")
Tag: TypeAlias = dict[str, str]
"""What tells the present bytes of an object from those that it had before."""

LOOK_S = 2.0
"""How long a listing is believed, in seconds, unless this process has written there since."""
GIVE_UP_S = 20.0
"""After this many seconds of asking in vain it is said that something was not saved, or cannot be read."""
PAUSE_S = 0.1, 2.0
"""Between the first and the second try, and the most between two of many, in seconds."""
TIMEOUT_S = 10
"""For one request, in seconds."""

_TRIES = 5
_PASSING = re.compile(r"status code: (408|409|429|5\d\d)")


class ObjectStore:
    """Byte strings by key, in a part of a bucket.

    `private` has no meaning here: who may read a bucket, or a part of it, is a matter of the bucket.

    Args:
        url: What the names of all objects begin with.
    """

    def __init__(self, url: Url) -> None:
        self._bucket = _bucket(url.bucket)
        self._prefix = f"{url.prefix}/" if url.prefix else ""

    def put(self, key: str, data: bytes, *, private: bool = False) -> None:  # noqa: ARG002
        """Save bytes for good, as `Store.put` does.

        Raises:
            KeyTakenError: The key holds other bytes; these stay.
            StoreError: Nothing was saved, or nobody can say whether it was; try again.
        """
        for _ in range(_TRIES):
            if self._bucket.put(self._name(key), data, "create") is not None:
                return
            with contextlib.suppress(FileNotFoundError):  # it was deleted meanwhile
                if self.get(key) == data:
                    return  # an answer got lost, or somebody had the same to say
                raise KeyTakenError(f"{key} already holds other bytes")
        raise StoreError(f"{key} was not saved: it is said to be there, and cannot be read")

    def get(self, key: str) -> bytes:
        """The bytes of a key.

        Raises:
            FileNotFoundError: The key holds nothing.
            StoreError: The server does not give them.
        """
        return self._bucket.get(self._name(key))[0]

    def list(self, prefix: str) -> list[str]:
        """Sorted keys directly below a prefix, as `Store.list` has them; at most `LOOK_S` old.

        Raises:
            StoreError: The server does not say.
        """
        names = self._bucket.look(self._name(prefix) if prefix else self._prefix)
        return sorted(prefix + name for name in names if not name.startswith("."))

    def believe(self, seconds: float) -> None:
        """Do nothing: a listing is believed for longer anyway."""

    def delete(self, key: str) -> None:
        """Forget a key; fine if it holds nothing.

        Raises:
            StoreError: It may still be there.
        """
        self._bucket.delete(self._name(key))

    def exists(self, key: str) -> bool:
        """Whether a key holds bytes, or did less than `LOOK_S` ago."""
        folder, slash, name = self._name(key).rpartition("/")
        return name in self._bucket.look(folder + slash)

    def replace(self, key: str, data: bytes) -> None:
        """Save bytes for good in place of others, which are there until these are.

        Raises:
            StoreError: The old bytes are still there, or nobody can say whether they are.
        """
        self._bucket.put(self._name(key), data, "overwrite")

    def sweep(self, prefix: str, age_s: float = 3600.0) -> None:
        """Do nothing: a killed writer leaves nothing behind."""

    # -- for roles ----------------------------------------------------------------------------------------------------

    def swap(self, key: str, data: bytes, tag: Tag | None) -> Tag | None:
        """Put bytes where an object has this tag, or where there is none; returns the new tag, None if it was another.

        Raises:
            StoreError: The server does not say.
        """
        return self._bucket.put(self._name(key), data, tag or "create")

    def tagged(self, key: str) -> tuple[bytes, Tag]:
        """The bytes of an object, and what tells them from others. Raises as `get` does."""
        return self._bucket.get(self._name(key))

    def age(self, key: str) -> float:
        """How long ago an object was written, in seconds by the clocks of the server and of this machine.

        Infinite if there is none. As old as listings are.
        """
        folder, slash, name = self._name(key).rpartition("/")
        about = self._bucket.look(folder + slash).get(name)
        return time.time() - about["last_modified"].timestamp() if about else float("inf")

    def _name(self, key: str) -> str:
        check_key(key)
        return self._prefix + key


class _Bucket:
    """One bucket, with what was listed in it lately. All of a process share it, and so see what any of them wrote."""

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            self._client = obstore.store.from_url(
                url,
                client_options={"allow_http": True, "timeout": timedelta(seconds=TIMEOUT_S)},
                retry_config={"max_retries": 0},  # whoever asks again has to know that an answer may have been lost
            )
        except refusals.BaseError as error:
            raise StoreError(f"{url} cannot be used: {self._words(error)}") from error
        self._trusted = False
        self._listings: Listings[Mapping[str, Any]] = Listings(LOOK_S)

    def put(self, name: str, data: bytes, mode: Any) -> Tag | None:
        """Write an object; returns its tag, None if it is not as `mode` wants it: absent ("create"), or with a tag."""
        trouble = f"{name} was not saved"
        if not self._trusted:
            self._distrust(name[: name.rfind("/") + 1], trouble)
            self._trusted = True
        return self._put(name, data, mode, trouble)

    def _distrust(self, folder: str, trouble: str) -> None:
        """Refuse a server that overwrites what it is told to leave as it is: some that speak S3 know no conditions."""
        probe = f"{folder}.probe-{uuid.uuid4().hex}"
        self._put(probe, b"first", "create", trouble)
        obeys = self._put(probe, b"second", "create", trouble) is None
        self.delete(probe)
        if not obeys:
            raise StoreError(f"{trouble}: the server of {self._url} ignores If-None-Match, nothing would be safe there")

    def _put(self, name: str, data: bytes, mode: Any, trouble: str) -> Tag | None:
        def work() -> Tag | None:
            try:
                made = obstore.put(self._client, name, data, mode=mode, use_multipart=False)
            except (refusals.AlreadyExistsError, refusals.PreconditionError) as error:
                if _PASSING.search(str(error)):  # two at the same time, of whom neither may have won
                    raise refusals.GenericError(str(error)) from error
                return None
            return _tag(made)

        try:
            return self._again(trouble, work)
        except FileNotFoundError as error:
            raise StoreError(f"{trouble}: there is no bucket {self._url}") from error
        finally:
            self._listings.forget(name)

    def get(self, name: str) -> tuple[bytes, Tag]:
        """The bytes of an object, and its tag; FileNotFoundError if there is none."""

        def work() -> tuple[bytes, Tag]:
            found = obstore.get(self._client, name)
            return bytes(found.bytes()), _tag(found.meta)

        try:
            return self._again(f"{name} cannot be read", work)
        except FileNotFoundError:
            self._listings.forget(name)  # what was listed is old
            raise

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        try:
            self._again(f"{name} was not deleted", lambda: obstore.delete(self._client, name))
        except FileNotFoundError:
            pass
        finally:
            self._listings.forget(name)

    def look(self, prefix: str) -> Mapping[str, Any]:
        """What is directly below a prefix: names of objects, and what is known of each; names of folders, with a /."""
        return self._listings.of(prefix, lambda: self._look(prefix))

    def _look(self, prefix: str) -> Mapping[str, Any]:
        answer = self._again(
            f"{self._url}/{prefix} cannot be listed", lambda: obstore.list_with_delimiter(self._client, prefix or None)
        )
        start = len(prefix)
        found: dict[str, Any] = {path[start:] + "/": {} for path in answer["common_prefixes"]}
        return found | {about["path"][start:]: about for about in answer["objects"] if about["path"][start:]}

    def _again(self, trouble: str, work: Callable[[], T]) -> T:
        """Do something, again if that may help.

        Raises:
            StoreError: It does not.
            FileNotFoundError: There is no such object, or no such bucket.
        """
        give_up, pause = time.monotonic() + GIVE_UP_S, PAUSE_S[0]
        while True:
            try:
                return work()
            except refusals.BaseError as error:
                if not _passes(error) or time.monotonic() + pause > give_up:
                    raise StoreError(f"{trouble}: {self._words(error)}") from error
            time.sleep(pause)
            pause = min(2 * pause, PAUSE_S[1])

    def _words(self, error: Exception) -> str:
        """What went wrong, in a sentence: the library tells all that it knows, over many lines."""
        text = str(error).partition("\n\nDebug source")[0]
        if isinstance(error, refusals.PermissionDeniedError | refusals.UnauthenticatedError):
            return f"{self._url} refuses these credentials"
        if "NoSuchBucket" in text:
            return f"there is no bucket {self._url}"
        if "169.254.169.254" in text:  # where machines of a cloud find theirs
            return f"there are no credentials for {self._url}; README.md says how they are given"
        if status := re.search(r"status code: (\d+ ?[A-Za-z ]*)", text):
            return f"the server answers {status[1].strip()}"
        _, here, cause = text.partition("HTTP error: ")
        return f"the server is not there: {cause}" if here else text.splitlines()[0][:200]


@functools.cache
def _bucket(url: str) -> _Bucket:
    return _Bucket(url)


def _tag(about: Mapping[str, Any]) -> Tag:
    return {key: about[key] for key in ("e_tag", "version") if about.get(key)}


def _passes(error: Exception) -> bool:
    """Whether the next try may have more luck: a server that is busy or not there, an answer that got lost."""
    text = str(error)
    return isinstance(error, refusals.GenericError) and ("HTTP error: " in text or bool(_PASSING.search(text)))
