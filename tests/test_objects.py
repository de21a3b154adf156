"""What an object store has and a folder has not: answers that get lost, busy servers, listings that are believed."""

import itertools
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from pipeline import checkpoint, objects
from pipeline.config import Config
from pipeline.objects import ObjectStore
from pipeline.profile import Profile
from pipeline.root import Url, place
from pipeline.rows import Vote
from pipeline.store import KeyTakenError, StoreError
from tests.between import Between, Fault


@pytest.fixture
def url(bucket: str) -> Url:
    found = place(f"{bucket}/worlds")
    assert isinstance(found, Url)
    return found


@pytest.fixture
def behind(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """A server behind something that fails, for a client that gives up soon."""
    monkeypatch.setattr(objects, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(objects, "GIVE_UP_S", 3.0)
    monkeypatch.setattr(objects, "PAUSE_S", (0.01, 0.02))

    @contextmanager
    def between(fault: Callable[[str, str], Fault]) -> Iterator[Between]:
        with Between(s3_server, fault) as proxy, pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", proxy.address)
            objects._bucket.cache_clear()
            yield proxy
        objects._bucket.cache_clear()

    return between


def elsewhere(url: Url) -> ObjectStore:
    """The same objects, as another process sees them."""
    objects._bucket.cache_clear()
    return ObjectStore(url)


def first(*faults: Fault, method: str = "PUT") -> Callable[[str, str], Fault]:
    """These faults for the first requests of a kind that are about the object "a", none for all others."""
    left = list(faults)
    return lambda found, path: left.pop(0) if found == method and path.endswith("/a") and left else ""


# -- listings ---------------------------------------------------------------------------------------------------------


def test_a_listing_is_believed_for_a_while_but_not_against_what_this_process_wrote(url: Url, monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr(objects.time, "monotonic", lambda: now)
    here, there = ObjectStore(url), elsewhere(url)
    here.put("x/1", b"")
    assert here.list("x/") == there.list("x/") == ["x/1"]
    there.put("x/2", b"")
    assert there.list("x/") == ["x/1", "x/2"]
    assert here.list("x/") == ["x/1"]
    assert not here.exists("x/2")
    now += objects.LOOK_S
    assert here.list("x/") == ["x/1", "x/2"]
    assert here.exists("x/2")
    here.put("x/y/3", b"")
    assert here.list("x/") == ["x/1", "x/2", "x/y/"]


def test_what_was_listed_and_is_gone_ends_belief_in_the_listing(url: Url) -> None:
    here, there = ObjectStore(url), elsewhere(url)
    here.put("x/1", b"")
    assert here.list("x/") == ["x/1"]
    there.delete("x/1")
    there.put("x/2", b"")
    with pytest.raises(FileNotFoundError):
        here.get("x/1")
    assert here.list("x/") == ["x/2"]


def test_a_listing_that_overlaps_a_write_is_not_believed_later(behind: Callable, url: Url) -> None:
    listed, written = threading.Event(), threading.Event()

    def fault(method: str, path: str) -> Fault:
        if method == "GET" and "list-type" in path and not listed.is_set():
            listed.set()
        return ""

    with behind(fault):
        store = ObjectStore(url)
        look = objects.obstore.list_with_delimiter

        def slow(*args: object) -> object:
            found = look(*args)
            written.wait(10) if not written.is_set() else None
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(objects.obstore, "list_with_delimiter", slow)
            looker = threading.Thread(target=lambda: store.list("x/"))
            looker.start()
            assert listed.wait(10)
            store.put("x/1", b"")
            written.set()
            looker.join()
        assert store.list("x/") == ["x/1"]


def test_more_names_than_one_answer_holds_are_all_listed(url: Url) -> None:
    store = ObjectStore(url)
    threads = [
        threading.Thread(target=lambda n=n: [store.put(f"x/{i:04}", b"") for i in range(n, 1100, 8)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.list("x/") == [f"x/{i:04}" for i in range(1100)]


# -- trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["refused", "lost", "hangs", "409", "500", "503"])
def test_whatever_becomes_of_a_request_it_is_made_again(behind: Callable, url: Url, fault: Fault) -> None:
    with behind(first(fault, fault)) as proxy:
        store = ObjectStore(url)
        store.put("a", b"data")
        assert [what for method, path, what in proxy.met if method == "PUT" and path.endswith("/a")][:2] == [
            fault,
            fault,
        ]
    assert elsewhere(url).get("a") == b"data"


@pytest.mark.parametrize("fault", ["refused", "hangs", "cut", "500"])
def test_bytes_come_whole_or_not_at_all(behind: Callable, url: Url, fault: Fault) -> None:
    data = bytes(range(256)) * 100
    with behind(first(fault, method="GET")):
        ObjectStore(url).put("a", data)
        assert ObjectStore(url).get("a") == data


def test_other_bytes_are_refused_even_where_the_refusal_gets_lost(behind: Callable, url: Url) -> None:
    ObjectStore(url).put("a", b"first")
    with behind(first("lost", "lost")), pytest.raises(KeyTakenError):
        ObjectStore(url).put("a", b"second")
    assert elsewhere(url).get("a") == b"first"


def test_a_server_that_stays_away_is_named_and_nothing_is_acknowledged(behind: Callable, url: Url, monkeypatch) -> None:
    monkeypatch.setattr(objects, "GIVE_UP_S", 0.2)
    with behind(lambda *_: "503"):
        store = ObjectStore(url)
        for attempt in (lambda: store.put("a", b""), lambda: store.get("a"), lambda: store.list("x/")):
            with pytest.raises(StoreError, match=r"the server answers 503 Service Unavailable$"):
                attempt()
    with behind(lambda *_: "refused"), pytest.raises(StoreError, match="a was not saved: the server is not there: "):
        ObjectStore(url).put("a", b"")
    with pytest.raises(FileNotFoundError):
        elsewhere(url).get("a")


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_named() -> None:
    url = Url("s3://nobody-has-this")
    store = ObjectStore(url)
    for attempt in (lambda: store.put("a", b""), lambda: store.list(""), lambda: Profile.open(url, "p")):
        with pytest.raises(StoreError, match="there is no bucket s3://nobody-has-this"):
            attempt()


def test_a_server_that_overwrites_what_it_was_told_to_leave_is_refused(behind: Callable, url: Url) -> None:
    with behind(lambda *_: "deaf"):
        for _ in range(2):
            with pytest.raises(StoreError, match="ignores If-None-Match, nothing would be safe there"):
                Profile.create(url, "p", Config())
    assert elsewhere(url).list("") == elsewhere(url).list("p/") == []


def test_without_its_library_an_object_store_says_how_to_get_it(alife: Callable, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "pipeline.objects")
    status, _, err = alife("list", "--root", "s3://worlds")
    assert status == 2
    assert err.startswith("alife: profiles on an object store take one more package: pip install ")
    assert ".[cloud]" in err
    assert alife("list", "--root", str(tmp_path))[0] == 0


def test_votes_and_versions_survive_a_network_that_fails_at_every_third_request(
    behind: Callable, url: Url, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "TIMEOUT_S", 10.0)  # nothing hangs here, however slow the machine
    monkeypatch.setattr(objects, "GIVE_UP_S", 60.0)
    chance = random.Random(1)
    kinds: tuple[Fault, ...] = ("refused", "lost", "cut", "500", "503", "409")

    turns = {"PUT": itertools.cycle(kinds)}

    def fault(method: str, _: str) -> Fault:
        return next(turns.setdefault(method, itertools.cycle(kinds[:-1]))) if chance.random() < 1 / 3 else ""

    told: list[str] = []
    numbers: list[int] = []
    with behind(fault) as proxy:
        Profile.create(url, "p", Config())

        def label(name: int) -> None:
            profile = Profile.open(url, "p")
            for number in range(8):
                id_ = f"{name}-{number}"
                profile.add_votes([Vote(id=id_, left="a", right="b", answer="left", labeler=str(name))])
                told.append(id_)
                if number % 4 == 3:
                    profile.undo(id_, str(name))
                    profile._labels.compact(grace_s=0, above=4)
                    numbers.append(checkpoint.commit(profile, "rewardor", {"w": torch.full((3,), float(name))}, {}))

        threads = [threading.Thread(target=label, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {what for _, _, what in proxy.met} == {"", *kinds}
    objects._bucket.cache_clear()
    profile = Profile.open(url, "p")
    events = profile.label_events()
    undone = {f"{name}-{number}" for name in range(3) for number in (3, 7)}
    assert sorted(told) == sorted(f"{name}-{number}" for name in range(3) for number in range(8))
    assert sorted(events.id[events.event == "vote"].tolist()) == sorted(told)
    assert sorted(profile.labels().id.tolist()) == sorted(set(told) - undone)
    assert sorted(numbers) == [made.number for made in checkpoint.manifests(profile, "rewardor")] == [1, 2, 3, 4, 5, 6]
    assert checkpoint.newest(profile, "rewardor").number == 6
    assert not profile.problems()
