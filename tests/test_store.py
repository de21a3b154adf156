import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import listings
from pipeline.root import place
from pipeline.store import AnyStore, KeyTakenError, Store, StoreError, open_store

STEPS = ("open", "write", "fsync", "link")
"""The calls that a `put` makes, each of which may fail."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "root")


@pytest.fixture(params=["folder", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AnyStore:
    """Each kind of store: what they promise in common."""
    if request.param == "folder":
        return open_store(tmp_path / "root")
    return open_store(place(request.getfixturevalue("bucket")) / "some" / "where")


def visible(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def failing(call: Callable, turn: int, number: int) -> Callable:
    """A call that fails when it is called for the `turn`-th time."""
    count = iter(range(1, 1000))

    def fails(*args: object, **options: object) -> object:
        if next(count) == turn:
            raise OSError(number, os.strerror(number))
        return call(*args, **options)

    return fails


def test_what_is_put_can_be_got(any_store: AnyStore) -> None:
    any_store.put("a/b/c.bin", b"0123456789")
    assert any_store.get("a/b/c.bin") == b"0123456789"
    assert any_store.exists("a/b/c.bin")
    assert not any_store.exists("a/b")


def test_a_key_never_changes_its_bytes(any_store: AnyStore) -> None:
    any_store.put("a", b"first")
    any_store.put("a", b"first")
    with pytest.raises(KeyTakenError, match="a already holds other bytes"):
        any_store.put("a", b"second")
    assert any_store.get("a") == b"first"


def test_bytes_that_are_put_in_place_of_others_are_there_at_once(any_store: AnyStore) -> None:
    any_store.put("a", b"first")
    any_store.replace("a", b"second")
    assert any_store.get("a") == b"second"


def test_a_listing_has_what_lies_directly_below(any_store: AnyStore) -> None:
    assert any_store.list("") == []
    for key in ("x/2", "x/1", "x/y/3", "z", ".hidden/4"):
        any_store.put(key, b"")
    assert any_store.list("") == ["x/", "z"]
    assert any_store.list("x/") == ["x/1", "x/2", "x/y/"]
    assert any_store.list("nothing/") == []


def test_a_listing_has_no_leftovers(store: Store) -> None:
    store.put("x/1", b"")
    (store.root / "x" / ".tmp-left-by-a-killed-writer").write_bytes(b"half")
    assert store.list("x/") == ["x/1"]


def test_delete_forgets_and_can_be_repeated(any_store: AnyStore) -> None:
    any_store.put("a", b"1")
    assert any_store.exists("a")
    any_store.delete("a")
    any_store.delete("a")
    assert not any_store.exists("a")
    with pytest.raises(FileNotFoundError):
        any_store.get("a")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\0b"])
def test_keys_stay_inside_the_root(any_store: AnyStore, key: str) -> None:
    for attempt in (lambda: any_store.put(key, b""), lambda: any_store.get(key), lambda: any_store.delete(key)):
        with pytest.raises(ValueError, match="is not a key"):
            attempt()


def test_private_bytes_are_for_the_owner_only(store: Store) -> None:
    store.put("secret", b"", private=True)
    assert (store.root / "secret").stat().st_mode & 0o777 == 0o600


def test_of_many_writers_of_one_key_exactly_one_wins(any_store: AnyStore) -> None:
    won: list[bytes] = []

    def write(data: bytes) -> None:
        try:
            any_store.put("a", data)
            won.append(data)
        except KeyTakenError:
            pass

    threads = [threading.Thread(target=write, args=(bytes([number]) * 1000,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [any_store.get("a")]


def logged(call: Callable, name: str, log: list[str]) -> Callable:
    def logs(*args: object, **options: object) -> object:
        log.append(name)
        return call(*args, **options)

    return logs


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("step", STEPS)
def test_a_failing_step_saves_nothing_or_says_so_and_the_next_try_succeeds(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    store.put("folder/before", b"")
    for turn in range(1, 4):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, failing(getattr(os, step), turn, number))
            try:
                store.put("folder/a", b"data")
            except StoreError as error:
                assert os.strerror(number) in str(error)  # noqa: PT017, success is fine where the step has fewer turns
        assert not store.exists("folder/a") or store.get("folder/a") == b"data"
        assert not [path for path in visible(store.root) if path.name.startswith(".tmp")]
    store.put("folder/a", b"data")
    assert store.get("folder/a") == b"data"


def test_nothing_is_acknowledged_before_data_and_then_its_name_are_synced(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("folder/before", b"")
    log: list[str] = []
    for step in ("write", "fsync", "link"):
        monkeypatch.setattr(os, step, logged(getattr(os, step), step, log))
    store.put("folder/a", b"data")
    assert log == ["write", "fsync", "link", "fsync"]


def test_the_names_of_new_folders_are_synced_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[str] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.readlink(f"/proc/self/fd/{descriptor}")))
    store.put("a/b/c", b"data")
    root = store.root
    assert {str(folder) for folder in (root.parent, root, root / "a", root / "a" / "b")} <= synced


def test_replacing_shows_the_old_bytes_until_the_new_ones_are_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", b"old")
    for step in ("open", "write", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, failing(getattr(os, step), 1, errno.ENOSPC))
            with pytest.raises(StoreError, match="a was not changed: No space left"):
                store.replace("a", b"new")
        assert store.get("a") == b"old"
    store.replace("a", b"new")
    assert store.get("a") == b"new"
    assert [path.name for path in visible(store.root)] == ["a"]


def test_short_writes_are_continued(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    store.put("a", b"0123456789")
    assert store.get("a") == b"0123456789"


def test_folders_without_hard_links_work_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(os.link, 1, errno.EPERM))
    store.put("a", b"first")
    monkeypatch.setattr(os, "link", failing(os.link, 1, errno.ENOTSUP))
    with pytest.raises(KeyTakenError):
        store.put("a", b"second")
    assert store.get("a") == b"first"


def test_a_full_disk_shows_nothing_and_recovers(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from pipeline.store import Store, StoreError
store = Store(Path(sys.argv[1]))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
try:
    store.put("a", bytes(300))
except StoreError as error:
    print(error)
assert not list(Path(sys.argv[1]).iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.put("a", bytes(300))
assert store.get("a") == bytes(300)
"""
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "a was not saved: File too large"


def test_only_old_leftovers_are_swept(store: Store) -> None:
    store.put("x/a", b"")
    old, new = store.root / "x" / ".tmp-old", store.root / "x" / ".tmp-new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1_000_000_000, 1_000_000_000))
    store.sweep("x/")
    assert not old.exists()
    assert new.exists()
    assert store.exists("x/a")


def test_a_listing_that_is_believed_shows_what_was_written_here_at_once_and_the_rest_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(listings.time, "monotonic", lambda: now)
    here, elsewhere = Store(tmp_path), Store(tmp_path)
    here.believe(0.05)
    elsewhere.put("a/one", b"1")
    assert here.list("a/") == ["a/one"]
    here.put("a/two", b"2")
    assert here.list("a/") == ["a/one", "a/two"]
    here.delete("a/two")
    assert here.list("a/") == ["a/one"]
    elsewhere.put("a/three", b"3")
    elsewhere.delete("a/one")
    assert here.list("a/") == ["a/one"]
    with pytest.raises(FileNotFoundError):
        here.get("a/one")
    assert here.list("a/") == ["a/three"], "what is gone ends belief"
    elsewhere.put("a/four", b"4")
    now = 0.06
    assert here.list("a/") == ["a/four", "a/three"]


def test_who_believes_nothing_sees_all_at_once(tmp_path: Path) -> None:
    here, elsewhere = Store(tmp_path), Store(tmp_path)
    for number in range(5):
        elsewhere.put(f"a/{number}", b"")
        assert len(here.list("a/")) == number + 1
