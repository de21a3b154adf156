import errno
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from pipeline.roles import Claim, RoleTakenError, held
from pipeline.store import StoreError

HOLDER = """
import sys, time
from pathlib import Path
from pipeline.roles import Claim
claim = Claim(Path(sys.argv[1]))
print("mine", flush=True)
time.sleep(60)
"""

LOOKER = """
import sys
from pathlib import Path
from pipeline.roles import held
print("looking", flush=True)
while True:
    held(Path(sys.argv[1]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "page.lock"


def test_a_role_has_one_holder_at_a_time(path: Path) -> None:
    assert not held(path)
    with Claim(path):
        assert held(path)
        with pytest.raises(RoleTakenError, match="by process"):
            Claim(path)
    assert not held(path)
    claim = Claim(path)
    assert not claim.orphaned
    claim.release()
    claim.release()
    assert not held(path)


def test_two_roles_do_not_meet(tmp_path: Path) -> None:
    with Claim(tmp_path / "page.lock"), Claim(tmp_path / "train.lock"):
        pass


def test_another_process_is_named_and_its_death_frees_the_role(path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        assert held(path)
        with pytest.raises(RoleTakenError, match=f"by process {holder.pid} on "):
            Claim(path)
    finally:
        holder.kill()
        holder.wait()
    for orphaned in (True, False):
        with Claim(path) as claim:
            assert claim.orphaned == orphaned


def test_looking_whether_a_role_is_held_does_not_keep_others_from_it(path: Path) -> None:
    looker = subprocess.Popen([sys.executable, "-c", LOOKER, str(path)], stdout=subprocess.PIPE)
    try:
        assert looker.stdout is not None
        looker.stdout.readline()
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            Claim(path).release()
    finally:
        looker.kill()
        looker.wait()


def test_an_unreadable_note_names_nobody(path: Path) -> None:
    with Claim(path):
        path.write_text("{half")
        with pytest.raises(RoleTakenError, match="by another process"):
            Claim(path)


def test_on_a_read_only_disk_a_role_can_be_looked_at_and_is_refused_in_words(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Claim(path):
        pass
    really = Path.open

    def read_only(self: Path, mode: str = "r") -> IO[str]:
        if mode != "r":
            raise OSError(errno.EROFS, "Read-only file system")
        return really(self)

    monkeypatch.setattr(Path, "open", read_only)
    assert not held(path)
    with pytest.raises(StoreError, match="Read-only"):
        Claim(path)
