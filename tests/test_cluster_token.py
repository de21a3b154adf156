"""A head started as cluster.yaml starts it lets nobody in who has no token, and offers its dashboard to nobody else."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.cluster_up import end_all, start, status
from benchmarks.launcher import free_port

pytestmark = [pytest.mark.ray, pytest.mark.slow]
TOKEN = "1" * 64


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where its dashboard is."""
    home, port = Path(tempfile.mkdtemp(prefix="head", dir="/tmp")), free_port()
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(TOKEN)
    command = start(port).replace("--autoscaling-config=~/ray_bootstrap_config.yaml", "")  # which `ray up` would write
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "HOME": str(home), "RAY_TMPDIR": str(home), "PATH": path}
    try:
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=200)
        assert not done.returncode, done.stderr[-2000:]
        yield f"http://127.0.0.1:{port}"
    finally:
        end_all(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.parametrize(("token", "answer"), [(None, 401), ("2" * 64, 403), (TOKEN, 200)])
def test_jobs_are_only_for_those_with_the_token(address: str, token: str | None, answer: int) -> None:
    assert status(address, token) == answer
    if answer != 200:
        assert status(address, token, b'{"entrypoint": "touch /tmp/harm"}') == answer


def test_submitting_says_what_is_missing(
    address: str, alife: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "2" * 64)
    code, _, complaint = alife("submit", "mine", "--address", address)
    assert code == 2
    assert "refuses the token of this computer" in complaint


def test_the_dashboard_listens_on_the_head_alone(address: str) -> None:
    port = int(address.rpartition(":")[2])
    listening = [each for each in psutil.net_connections("inet") if each.status == psutil.CONN_LISTEN]
    assert [each.laddr.ip for each in listening if each.laddr.port == port] == ["127.0.0.1"]
