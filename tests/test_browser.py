"""The whole product in a real browser: label with the keyboard, watch both models learn, browse, keep, come back."""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.launcher import free_port, kill_tree, launch
from pipeline.profile import Profile

pytestmark = [pytest.mark.browser, pytest.mark.ray, pytest.mark.slow]
api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")

ARGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
KEYS = ["ArrowLeft", "ArrowRight", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowRight", "ArrowDown", "s"]
PAIRS = 30
PATIENCE_MS = 240_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Starts `alife run first`, or starts it again; returns its address. One port, as people's bookmarks have it."""
    root, port = tmp_path / "profiles", free_port()
    root.mkdir()
    running: list[subprocess.Popen[bytes]] = []

    def start() -> str:
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
        running[:] = [launch(root, "first", port)]
        return f"http://127.0.0.1:{port}/"

    yield start
    for process in running:
        kill_tree(process)


@pytest.fixture
def page(chromium: str, server: Callable[[], str]) -> Iterator[Any]:
    """A browser that has opened the page; at the end, nothing may have gone wrong in it or left this computer."""
    api.expect.set_options(timeout=PATIENCE_MS)
    url, wrong = server(), []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: request.url.startswith((url, "data:", "blob:")) or wrong.append(request.url))
        visit(page, url)
        yield page
        browser.close()
    assert wrong == []


def visit(page: Any, url: str) -> None:
    """Open the page as soon as the server is there, and wait for the first pair."""
    for _ in range(PATIENCE_MS // 500):
        try:
            page.goto(url)
            break
        except api.Error:  # nobody listens yet
            page.wait_for_timeout(500)
    api.expect(page.locator(".stage")).to_have_attribute("data-state", "pair")


def label(page: Any, count: int) -> None:
    for number in range(count):
        shown = page.locator(".stage").get_attribute("data-pair")
        page.wait_for_timeout(350)
        page.keyboard.press(KEYS[number % len(KEYS)])
        api.expect(page.locator(".stage")).not_to_have_attribute("data-pair", shown)
        api.expect(page.locator(".stage")).to_have_attribute("data-state", "pair")


def test_the_whole_story(page: Any, server: Callable[[], str], tmp_path: Path) -> None:
    expect = api.expect
    counter = page.locator(".stage .count b")

    page.route("**/api/profiles", lambda _: None)  # a busy server: the form is there before what it offers
    page.get_by_role("tab", name="Profiles").click()
    page.locator("input[name=name]").fill("meadow")
    create = page.get_by_role("button", name="Create and open")
    expect(create).to_be_disabled()
    page.unroute("**/api/profiles")
    create.click()
    expect(page.locator(".brand .running")).to_have_text("meadow")
    page.get_by_role("tab", name="Label").click()
    expect(page.locator(".stage")).to_have_attribute("data-profile", "meadow")
    expect(page.locator(".stage")).to_have_attribute("data-state", "pair")
    expect(counter).to_have_text("0")

    page.evaluate("window.marked = true")
    label(page, PAIRS)
    expect(counter).to_have_text(str(PAIRS))
    page.keyboard.press("z")
    expect(counter).to_have_text(str(PAIRS - 1))
    for role in ("rewardor", "generator"):
        expect(page.locator(f".organ[data-role={role}]")).to_have_attribute("data-version", re.compile(r"^[1-9]\d*$"))
    assert page.evaluate("window.marked"), "the page was loaded again"

    page.get_by_role("tab", name="Browse").click()
    page.get_by_role("button", name="Show new worlds").click()
    page.locator(".browse > .grid .keep").first.click()
    expect(page.locator(".kept .world")).to_have_count(1)
    page.get_by_role("tab", name="Ranking").click()
    expect(page.locator(".ranking .world").first).to_be_visible()
    ranked = page.locator(".ranking .world").count()

    visit(page, server())
    page.get_by_role("tab", name="Profiles").click()
    page.locator(".profile", has_text="meadow").get_by_role("button").click()
    expect(page.locator(".brand .running")).to_have_text("meadow")
    page.get_by_role("tab", name="Label").click()
    expect(counter).to_have_text(str(PAIRS - 1))
    page.get_by_role("tab", name="Browse").click()
    expect(page.locator(".kept .world")).to_have_count(1)
    page.get_by_role("tab", name="Ranking").click()
    expect(page.locator(".ranking .world")).to_have_count(ranked)
    page.get_by_role("tab", name="Train").click()
    expect(page.locator(".model.rewardor strong")).to_have_text(re.compile(r"^[1-9]\d*$"))
    expect(page.locator(".events li.generator").first).to_be_visible()

    profile = Profile.open(tmp_path / "profiles", "meadow")
    assert len(profile.labels().id) == PAIRS - 1
    assert len(profile.saved()) == 1
