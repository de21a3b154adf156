"""`alife submit`: what is sent to a cluster, and what is said when none takes it. The cluster is one in name only."""

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipeline import submission

TOKEN = "open sesame"


class Dashboard(HTTPServer):
    """As much of a Ray dashboard as jobs need; keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.code: list[str] = []
        self.job: dict = {}
        self.room = True


class _Answer(BaseHTTPRequestHandler):
    server: Dashboard

    def do_GET(self) -> None:
        if self._welcome():
            version = self.path.startswith("/api/version")
            self._say(200 if version else 404, json.dumps({"ray_version": "2.60.0"}) if version else "none")

    def do_PUT(self) -> None:
        if self._welcome():
            self.server.code = zipfile.ZipFile(io.BytesIO(self._body())).namelist()
            self._say(200 if self.server.room else 413, "Maximum request body size 104857600 exceeded")

    def do_POST(self) -> None:
        if self._welcome():
            self.server.job = json.loads(self._body())
            self._say(200, json.dumps({"job_id": "1", "submission_id": self.server.job["submission_id"]}))

    def _welcome(self) -> bool:
        given = self.headers.get("Authorization")
        if given != f"Bearer {TOKEN}":
            self._say(403 if given else 401, "no")
        return given == f"Bearer {TOKEN}"

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dashboard]:
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    server = Dashboard()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with what should travel and what should not."""
    for file in ("cluster.yaml", "pipeline/cli.py", "profiles/mine/labels/1.parquet", ".venv/bin/python", "out/film"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x")
    (tmp_path / ".gitignore").write_text("/out/\n")
    monkeypatch.setattr(submission, "TREE", tmp_path)
    return tmp_path


Call = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("tree")
def test_code_and_command_travel_and_profiles_stay(alife: Call, dashboard: Dashboard) -> None:
    options = ("--set", "rollouts.prior=50", "--port", "8000")
    status, out, _ = alife("submit", "mine", *options, "--root", "/mnt/my profiles", "--address", dashboard.address)
    assert status == 0
    files = {name for name in dashboard.code if not name.endswith("/")}
    assert files == {".gitignore", "cluster.yaml", "pipeline/cli.py"}
    told = "python -m pipeline run mine --set rollouts.prior=50 --port 8000 --root '/mnt/my profiles'"
    assert dashboard.job["entrypoint"] == told
    assert int(dashboard.job["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]) > 3
    job = dashboard.job["submission_id"]
    assert f"ray job logs -f {job} --address {dashboard.address}" in out
    assert f"ray job stop {job} --address {dashboard.address}" in out
    assert "http://127.0.0.1:8000" in out
    assert "ray attach cluster.yaml -p 8000" in out


@pytest.mark.usefixtures("tree")
def test_the_cluster_names_the_root_and_not_this_computer(alife: Call, dashboard: Dashboard, monkeypatch) -> None:
    monkeypatch.setenv("ALIFE_ROOT", "profiles")
    _, out, _ = alife("submit", "mine", "--oracle", "movers", "--address", dashboard.address)
    assert dashboard.job["entrypoint"] == "python -m pipeline run mine --oracle movers"
    assert "page" not in out, "an oracle needs none"


@pytest.mark.parametrize(("token", "word"), [("", "asks for a token"), ("guess", "refuses the token")])
def test_who_has_no_good_token_is_told_where_it_belongs(
    alife: Call, dashboard: Dashboard, monkeypatch, tmp_path: Path, token: str, word: str
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    status, _, complaint = alife("submit", "mine", "--address", dashboard.address)
    assert status == 2
    assert word in complaint
    assert "~/.ray/auth_token" in complaint
    assert not dashboard.job


@pytest.mark.usefixtures("tree")
def test_too_much_code_is_refused_in_words(alife: Call, dashboard: Dashboard) -> None:
    dashboard.room = False
    status, _, complaint = alife("submit", "mine", "--address", dashboard.address)
    assert status == 2
    assert ".rayignore" in complaint


def test_an_address_where_nobody_answers_is_explained(alife: Call, dashboard: Dashboard) -> None:
    dashboard.shutdown()
    dashboard.server_close()
    status, _, complaint = alife("submit", "mine", "--address", dashboard.address)
    assert status == 2
    assert "ray up cluster.yaml" in complaint
    assert "ray attach cluster.yaml -p 8265" in complaint


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("submit", "mine", "--root", "profiles"), "would end with the job"),
        (("--root", "profiles", "submit", "mine"), "would end with the job"),
        (("submit", "mine", "--lables", "3"), "--lables"),
        (("submit", "mine", "--port", "zero"), "--port"),
        (("submit", "../mine"), "cannot be called"),
        (("submit", "mine", "--address", "ray://127.0.0.1:10001"), "dashboard"),
    ],
)
def test_mistakes_are_found_before_anything_travels(alife: Call, words: tuple[str, ...], complaint: str) -> None:
    status, _, said = alife(*words)
    assert status == 2
    assert complaint in said
