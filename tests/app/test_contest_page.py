"""Contests in a real browser: begun on the Ranking page, answered on the Label page, established at last."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from pipeline import contest, duel, film
from pipeline.app import server
from pipeline.app.studio import Activity, Browsed, World
from pipeline.config import Config
from pipeline.desk import Desk
from pipeline.profile import Profile
from pipeline.rows import RolloutTable, Vote

pytestmark = [pytest.mark.browser, pytest.mark.slow]
api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")
expect = api.expect
expect.set_options(timeout=30_000)

COUNT = 40


class Squares:
    """A studio in which nothing runs: its worlds are squares, half of them of the Generator's version 1."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.profile = Profile.create(root, "squares", Config())
        self.worlds_ = self._make()
        self.desk = Desk(self.profile)

    def _make(self) -> list[str]:
        unit = np.random.default_rng(0).random((COUNT, 3), np.float32)
        ids = [self.profile.rollout_id(row, number) for number, row in enumerate(unit)]
        texts = {"status": "alive", "origin": "generator", "error": ""}
        columns = {name: np.full(COUNT, text) for name, text in texts.items()}
        numbers = {"block": np.zeros(COUNT, np.int64), "seed": np.arange(COUNT), "time": np.zeros(COUNT)}
        generator = np.arange(COUNT) * 2 // COUNT + 1
        self.profile.add_rollouts(RolloutTable(id=np.array(ids), unit=unit, generator=generator, **columns, **numbers))
        for number, id_ in enumerate(ids):
            frames = np.full((24, 32, 32, 3), 20, np.uint8)
            for time, picture in enumerate(frames):
                picture[4 + time // 2 : 12 + time // 2, 12:20] = (40 + 5 * number, 220 - 5 * number, 120)
            self.profile.add_film(id_, film.encode(frames), "seen", 24, 24.0, 32)
        return ids

    def compare(self) -> None:
        """Each world once with the next: enough for a ranking."""
        pairs = zip(self.worlds_, self.worlds_[1:], strict=False)
        votes = [
            Vote(id=f"v{n}", left=left, right=right, answer="left", labeler="a")
            for n, (left, right) in enumerate(pairs)
        ]
        self.profile.add_votes(votes)

    def activity(self) -> Activity:
        return Activity(ray="idle")

    def browsed(self) -> Browsed:
        return Browsed()

    def worlds(self, _: list[str]) -> list[World]:
        return []


@pytest.fixture
def studio(tmp_path: Path) -> Squares:
    return Squares(tmp_path)


@pytest.fixture
def page(chromium: str, studio: Squares) -> Iterator[Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serving = uvicorn.Server(uvicorn.Config(server.build(studio), port=port, log_level="warning"))
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    wrong: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en")
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto(f"http://127.0.0.1:{port}/")
        expect(opened.locator(".stage")).to_have_attribute("data-state", "pair")
        yield opened
        browser.close()
    serving.should_exit = True
    thread.join(timeout=10)
    assert wrong == []


def shown(studio: Squares, page: Any) -> list[int]:
    """Which worlds are on the stage, by their films."""
    table = studio.profile.films()
    files = dict(zip(table.file.tolist(), table.rollout.tolist(), strict=True))
    kept = page.evaluate("JSON.parse(sessionStorage.getItem('alife.pairs')).pairs[0]")
    return [studio.worlds_.index(files[kept[side]]) for side in ("left", "right")]


def answer(studio: Squares, page: Any, *, newer: bool = False) -> None:
    """Prefer the earlier world, or the newer."""
    stage = page.locator(".stage")
    before, votes = stage.get_attribute("data-pair"), len(studio.profile.labels().id)
    page.wait_for_timeout(300)
    left, right = shown(studio, page)
    page.keyboard.press("ArrowLeft" if (left > right) == newer else "ArrowRight")
    expect(stage).not_to_have_attribute("data-pair", before)
    expect(stage).to_have_attribute("data-state", "pair")
    while len(studio.profile.labels().id) == votes:  # the page does not wait for the server
        page.wait_for_timeout(50)


def test_the_best_of_eight_is_found_on_the_page(studio: Squares, page: Any) -> None:
    page.get_by_role("tab", name="Ranking").click()
    offer = page.get_by_role("button", name="Find the best of 8")
    expect(offer).to_be_disabled()
    studio.compare()
    expect(offer).to_be_enabled()
    offer.click()
    expect(page.locator(".contest .worlds .world")).to_have_count(8)
    expect(page.locator(".contest header")).to_contain_text("to go")
    page.get_by_role("button", name="Give up").click()

    page.get_by_role("button", name="Establish the order of the best 4").click()
    expect(page.locator(".contest .worlds .world[data-settled=false]")).to_have_count(4)
    page.get_by_role("button", name="Compare them").click()
    expect(page.locator(".stage .strip")).to_contain_text("Which order do these 4 worlds have?")
    answer(studio, page)  # it was on the stage when the contest began
    while not done(studio):
        assert set(shown(studio, page)) <= {0, 1, 2, 3}
        answer(studio, page)
    expect(page.locator(".stage .strip")).to_contain_text("is established")
    page.get_by_role("tab", name="Ranking").click()
    expect(page.locator(".contest")).to_have_attribute("data-established", "true")
    order = [each["rollout"] for each in facts(studio)["worlds"]]
    assert order == studio.worlds_[:4]
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Find the best of 8")).to_be_visible()


def test_a_duel_of_two_versions_is_offered_fought_and_decided(studio: Squares, page: Any) -> None:
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("button", name="Compare with version 1").click()
    expect(page.locator(".duel")).to_contain_text("Are the worlds of version 2 better than those of version 1?")
    page.get_by_role("button", name="Compare them").click()
    expect(page.locator(".stage .strip")).to_contain_text("Are the worlds of version 2 better")
    expect(page.locator(".stage .strip")).not_to_contain_text("won")
    answer(studio, page, newer=True)  # it was on the stage when the duel began
    while not duels(studio)["verdict"]:
        left, right = shown(studio, page)
        assert (left < COUNT // 2) != (right < COUNT // 2)
        answer(studio, page, newer=True)
    expect(page.locator(".stage .strip")).to_contain_text("Version 2 makes better worlds than version 1")
    page.get_by_role("tab", name="Train").click()
    expect(page.locator(".duel")).to_contain_text("8 won, 0 lost")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Compare with version 1")).to_be_visible()


def duels(studio: Squares) -> dict[str, Any]:
    now = duel.state(studio.profile)
    return now.facts() if now else {}


def facts(studio: Squares) -> dict[str, Any]:
    now = contest.state(studio.profile)
    return now.facts() if now else {}


def done(studio: Squares) -> bool:
    return bool(facts(studio)["established"])
