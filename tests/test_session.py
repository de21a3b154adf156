"""A profile that runs: what fails again and again is tried ever more patiently."""

from pathlib import Path

import pytest

from pipeline import session
from pipeline.config import Config
from pipeline.profile import Profile


class Clock:
    """Time passes while somebody waits, or works, and in no other way."""

    def __init__(self, turns: int) -> None:
        self.now, self.waits, self._turns = 0.0, list[float](), turns

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)

    def is_set(self) -> bool:
        return len(self.waits) >= self._turns


def test_an_error_that_does_not_pass_is_met_with_patience_and_one_after_a_good_while_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = Profile.create(tmp_path, "p", Config())
    run, clock = session.Session(tmp_path, profile, train=False), Clock(8)
    lasts, ended = iter([0, 0, 0, 0, 0, 0, 100, 0]), []

    def work() -> None:
        clock.now += next(lasts)
        raise RuntimeError("it does not work")

    monkeypatch.setattr(session, "time", clock)
    monkeypatch.setattr(run, "_stop", clock)
    monkeypatch.setattr(run, "_work", work)
    monkeypatch.setattr(run, "_end", lambda: ended.append(clock.now))
    run._run()
    assert clock.waits == [3, 6, 12, 24, 48, 60, 3, 6]
    assert ended == [0, 3, 9, 21, 45, 93, 253, 256]  # before the wait
    texts = profile.events().text.tolist()
    assert texts[0] == "simulators: RuntimeError: it does not work; starting them again in 3 s"
    assert texts[5].endswith("again in 60 s")
