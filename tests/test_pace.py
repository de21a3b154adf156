"""How long answers take to be learned, as far as those told that were."""

import pytest

from pipeline import pace
from pipeline.pace import Lag


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


def test_before_the_first_nobody_is_asked_to_wait() -> None:
    assert Lag().seconds == 0.0


def test_it_follows_what_answers_take(clock: list[float]) -> None:
    lag = Lag()
    for labels in range(60):
        lag.given(labels)
        clock[0] += 1.5
        lag.learned(labels)
    assert lag.seconds == pytest.approx(1.5, abs=0.05)
    for labels in range(60, 120):
        lag.given(labels)
        clock[0] += 0.5
        lag.learned(labels)
    assert lag.seconds == pytest.approx(0.5, abs=0.05)


def test_answers_that_were_not_learned_say_nothing(clock: list[float]) -> None:
    lag = Lag()
    lag.given(7)
    clock[0] += 60.0
    lag.learned(6)
    assert lag.seconds == 0.0
    for _ in range(3):
        lag.learned(7)
    assert 0 < lag.seconds < pace.MOST_S, (
        "training was paused for a minute: one answer says little, and pages wait no minute"
    )
