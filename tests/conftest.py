"""What all tests share: a machine of known size, the command line, one Ray, one browser, and no silent skips."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SKIPS_FAIL = os.environ.get("ALIFE_SKIPS") == "fail"
RAY_FOLDER = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # short: a Unix socket's path has at most 107 characters

# Before torch, numpy and Ray are imported, which read these once. One thread adds floating-point numbers in the same
# order on every machine. Processes that tests start inherit all of it.
os.environ.update(
    OMP_NUM_THREADS="1",
    RAY_TMPDIR=RAY_FOLDER,
    RAY_USAGE_STATS_ENABLED="0",
    RAY_raylet_start_wait_time_s="120",
)
os.environ.pop("ALIFE_ROOT", None)


@pytest.fixture
def alife(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process: exit status, what it says, what it complains about."""
    from pipeline import cli

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["alife", *words])
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser; tests that use it carry the mark `browser`, which skips them where there is none."""
    assert CHROMIUM
    return CHROMIUM


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A Ray of two CPUs, started once for all tests that ask for it."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=150_000_000, log_to_driver=False)
    yield
    ray.shutdown()


def pytest_unconfigure() -> None:
    """Leave nothing of Ray behind."""
    shutil.rmtree(RAY_FOLDER, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none."""
    if CHROMIUM is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="needs Chromium"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be skipped, as in `.ci/run`."""
    report = yield
    optional = "lenia_species.json" in str(report.longrepr)  # data that lies beside the project on some machines
    if SKIPS_FAIL and report.skipped and not optional and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped where nothing may be: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, to write below pytest's own summary
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Say that browser tests were left out, and how to get them."""
    yield
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    count = sum("needs Chromium" in reason for reason in skipped)
    if count:
        terminalreporter.line(f"{count} browser tests were skipped: no Chromium here (Debian: apt install chromium).")
