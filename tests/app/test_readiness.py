"""Whoever watches over servers learns whether a person could label now, and if not, why."""

import errno
import os
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pipeline.app import server
from pipeline.app.studio import Activity
from tests.app.still import StillStudio


@pytest.fixture(scope="module")
def client(still: StillStudio, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    still.begin(tmp_path_factory.mktemp("root"))
    app: FastAPI = server.build(still)
    return TestClient(app, base_url="http://127.0.0.1")


def told(client: TestClient) -> tuple[int, list[str]]:
    answer = client.get("/readyz")
    found = answer.json()["obstacles"]
    assert answer.json()["ready"] is (found == [])
    return answer.status_code, found


def test_ready_when_a_pair_is_there_and_an_answer_can_be_saved(client: TestClient, studio: StillStudio) -> None:
    assert told(client) == (200, [])
    assert studio.profile.store.list("probe/") == [], "trying leaves nothing"


@pytest.mark.usefixtures("studio")
def test_a_full_disk_is_found_before_anybody_answers(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert told(client) == (503, ["answers cannot be saved"])


def test_without_films_there_is_nothing_to_show(client: TestClient, still: StillStudio, tmp_path: Path) -> None:
    still.begin(tmp_path)
    assert told(client) == (503, ["there is no pair to show yet"])


def test_lost_simulators_are_said(client: TestClient, studio: StillStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "activity", lambda: Activity(ray="lost"), raising=True)
    assert told(client) == (503, ["the simulators are lost, and being started again"])
