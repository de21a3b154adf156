"""A page whose disk is full, read-only or limited: it says so, acknowledges nothing, and recovers by itself."""

import json
import resource
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.invariants import violations
from benchmarks.launcher import Visitor, free_port
from pipeline.profile import Profile

ROOT = Path(__file__).parents[1]
WITHIN = 100
"""Bytes that a file may have where there is a limit: fewer than a part has."""

PAGE = """
import errno, os, sys
from pathlib import Path
from pipeline.app import server
from tests.app.still import StillStudio

root, mood = Path(sys.argv[1]), Path(sys.argv[2])
write, create = os.write, os.open

def writes(descriptor, data):
    if mood.exists() and mood.read_text() == "full" and str(root) in os.readlink(f"/proc/self/fd/{descriptor}"):
        if len(data) < 50:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:50])  # what still fits, then nothing
    return write(descriptor, data)

def creates(path, flags, *more, **options):
    if mood.exists() and mood.read_text() == "read-only" and flags & os.O_CREAT and str(root) in str(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    return create(path, flags, *more, **options)

studio = StillStudio()
studio.begin(root)
studio.fill()
os.write, os.open = writes, creates
server.serve(studio, port=int(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Visitor, Path, Callable[[str], None]]]:
    """A visitor of a page that runs, the folder of its profiles, and a way to change the mood of its disk."""
    folder, port = tmp_path_factory.mktemp("disk"), free_port()
    root, mood = folder / "profiles", folder / "mood"
    process = subprocess.Popen([sys.executable, "-c", PAGE, str(root), str(mood), str(port)], cwd=ROOT)
    _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)

    def change(now: str) -> None:
        mood.write_text(now)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (WITHIN if now == "limited" else most, most))

    visitor, end = Visitor(port), time.monotonic() + 120
    try:
        while not visitor.up():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        yield visitor, root, change
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("mood", "status"), [("full", 507), ("read-only", 507), ("limited", 503)])
def test_an_answer_that_cannot_be_saved_is_refused_in_words_and_saved_once_there_is_room(
    page: tuple[Visitor, Path, Callable[[str], None]], mood: str, status: int
) -> None:
    visitor, root, change = page
    first, second = [visitor.post("/api/pairs", {"want": 1})["pairs"][0]["token"] for _ in range(2)]
    visitor.vote(first, "left")
    before = dict(visitor.diary.saved)
    change(mood)
    for _ in range(3):
        for act in (lambda: visitor.vote(second, "right"), lambda: visitor.post("/api/undo", {})):
            with pytest.raises(urllib.error.HTTPError) as refused:
                act()
            assert refused.value.code == status
            assert "was not saved" in json.loads(refused.value.read())["detail"]
        assert visitor.up()
        assert visitor.post("/api/pairs", {"want": 1})["pairs"]
    assert visitor.vote(first, "left")["duplicate"]  # which is on disk already
    assert visitor.diary.saved == before
    assert violations(root, "first", visitor.diary) == []
    assert not list((root / "first").rglob(".tmp-*"))

    change("well")
    assert not visitor.vote(second, "right")["duplicate"]
    visitor.undo()
    assert violations(root, "first", visitor.diary) == []
    assert len(Profile.open(root, "first").labels().id) == len(visitor.diary.saved) - len(visitor.diary.undone)
