"""How a command ends: well, whoever ends it, and without hurry."""

import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import run
from pipeline.config import Config
from pipeline.profile import Profile


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals do after a test what they did before."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)  # not so behind a shell's &
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("handlers")
def test_a_second_ctrl_c_does_not_cut_the_end_of_a_run_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    studio = SimpleNamespace(start=lambda: None, close=lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr("pipeline.studio.RunningStudio", lambda *_, **__: studio)
    monkeypatch.setattr("pipeline.app.server.serve", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr("pipeline.cluster.stop", lambda: ended.append("Ray"))
    Profile.create(tmp_path, "mine", Config())
    with pytest.raises(KeyboardInterrupt):
        run.serve(tmp_path, "mine", train=True)
    assert ended == ["Ray"]


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_closed_terminal_unwind_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    # uvicorn ends its own work, and then raises the signal again
    ended: list[str] = []
    studio = SimpleNamespace(start=lambda: None, close=lambda: ended.append("studio"))
    monkeypatch.setattr("pipeline.studio.RunningStudio", lambda *_, **__: studio)
    monkeypatch.setattr("pipeline.app.server.serve", lambda *_, **__: signal.raise_signal(number))
    monkeypatch.setattr("pipeline.cluster.stop", lambda: ended.append("Ray"))
    Profile.create(tmp_path, "mine", Config())
    with pytest.raises(SystemExit) as end:
        run.serve(tmp_path, "mine", train=True)
    assert end.value.code == 128 + number
    assert ended == ["studio", "Ray"]


@pytest.mark.usefixtures("handlers")
def test_training_that_is_ended_twice_still_leaves_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def stop() -> None:
        signal.raise_signal(signal.SIGINT)
        ended.append("Ray")

    monkeypatch.setattr("pipeline.loop.due_fit", lambda _: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr("pipeline.cluster.stop", stop)
    Profile.create(tmp_path, "mine", Config())
    with pytest.raises(KeyboardInterrupt):
        run.train(tmp_path, "mine", ("rewardor",))
    assert ended == ["Ray"]
