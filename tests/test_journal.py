"""The log tells each event once, in words or for programs, whichever process it happened in."""

import io
import json
from pathlib import Path

import pytest

from pipeline.config import Config
from pipeline.journal import Journal
from pipeline.profile import Profile


def test_news_are_told_once_and_old_events_not_again(tmp_path: Path) -> None:
    profile, out = Profile.create(tmp_path, "told", Config()), io.StringIO()
    profile.event("error", "of an earlier run")
    journal = Journal(profile, out)
    Profile.open(tmp_path, "told").event("failed", "3 of 20 worlds failed")  # as another process would
    journal.tell()
    journal.tell()
    assert out.getvalue().endswith(" failed: 3 of 20 worlds failed\n")
    assert out.getvalue().count("\n") == 1


def test_programs_get_an_object_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIFE_LOG", "json")
    profile, out = Profile.create(tmp_path, "told", Config()), io.StringIO()
    journal = Journal(profile, out)
    profile.event("error", 'rewardor: ValueError: "two\nlines"')
    profile.event("simulators", "one was replaced")
    journal.tell()
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "error",
        "profile": "told",
        "event": "error",
        "text": 'rewardor: ValueError: "two\nlines"',
    }
    assert (second["level"], second["event"]) == ("info", "simulators")
