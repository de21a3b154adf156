"""One shared link in real browsers: an owner invites, a labeler joins and labels in two tabs, and is excluded."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from pipeline import film
from pipeline.app import server
from pipeline.app.visitors import Door
from tests.app.still import StillStudio

pytestmark = [pytest.mark.browser, pytest.mark.slow]
api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")
expect = api.expect
expect.set_options(timeout=120_000)


def square(id_: str) -> bytes:
    """A film of a square that wanders."""
    frames = np.full((24, 32, 32, 3), 20, np.uint8)
    for time, picture in enumerate(frames):
        picture[4 + time // 2 : 12 + time // 2, 12:20] = (int(id_[:2], 16), 180, int(id_[2:4], 16))
    return film.encode(frames)


@pytest.fixture
def studio(tmp_path: Path) -> StillStudio:
    studio = StillStudio()
    studio.begin(tmp_path)
    studio.fill(square)
    return studio


@pytest.fixture
def door(studio: StillStudio) -> Door:
    return Door(studio, shared=True)


@pytest.fixture
def url(studio: StillStudio, door: Door) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    door.url = f"http://127.0.0.1:{port}"
    app = server.build(studio, door=door, host="127.0.0.1")
    serving = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    yield door.url
    serving.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def browse(chromium: str) -> Iterator[Callable[..., Any]]:
    """A browser of somebody's own, with one page; at the end, nothing may have gone wrong in any."""
    wrong: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])

        def open_(**who: Any) -> Any:
            page = browser.new_context(locale="en", **who).new_page()
            page.set_default_timeout(240_000)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            return page

        yield open_
        browser.close()
    assert wrong == []


def press(page: Any, key: str) -> None:
    """Look at the pair, press a key, and wait for the next one."""
    stage = page.locator(".stage")
    shown = stage.get_attribute("data-pair")
    page.wait_for_timeout(350)
    page.keyboard.press(key)
    expect(stage).not_to_have_attribute("data-pair", shown)


def test_two_people_and_one_link(studio: StillStudio, door: Door, url: str, browse: Callable[..., Any]) -> None:
    owner, phone = browse(viewport={"width": 1280, "height": 800}), browse(viewport={"width": 390, "height": 844})
    owner.goto(f"{url}/join#{door.people.owner_key}")  # asks nothing
    expect(owner.locator(".stage")).to_have_attribute("data-state", "pair")
    owner.get_by_role("tab", name="Profiles").click()
    link = owner.get_by_label("The invitation", exact=True).input_value()
    assert link == f"{url}/join#{door.people.invitation}"
    expect(owner.get_by_alt_text("The invitation as a QR code")).to_have_js_property("complete", True)

    phone.goto(f"{url}/")
    expect(phone).to_have_url(f"{url}/join")  # no key, no page
    phone.goto(link)  # only what follows the # is another
    expect(phone.get_by_label("Key")).to_be_hidden()
    phone.get_by_label("Your name").fill("<b>Bob</b>")
    phone.get_by_role("button", name="Start").click()
    expect(phone.get_by_role("alert")).to_contain_text("a name has letters")
    expect(phone.get_by_label("Key")).to_be_hidden()  # nothing is wrong with that
    phone.get_by_label("Your name").fill("Bob")
    phone.get_by_role("button", name="Start").click()
    expect(phone.locator(".stage")).to_have_attribute("data-state", "pair")
    assert "#" not in phone.url

    tab = phone.context.new_page()
    tab.goto(url)
    expect(tab.locator(".stage")).to_have_attribute("data-state", "pair")
    for page in (phone, tab):
        press(page, "ArrowLeft")
    expect(phone.get_by_role("tab", name="Train")).to_be_visible()
    expect(phone.get_by_role("tab", name="Profiles")).to_be_hidden()

    bob = owner.locator(".people li", has_text="Bob")
    expect(bob).to_have_attribute("data-here", "true")
    expect(bob).to_contain_text("2 labels")
    bob.get_by_role("button", name="Exclude").click()
    bob.get_by_role("button", name="Exclude, leave the labels out").click()
    expect(bob).to_contain_text("labels do not count")
    expect(phone).to_have_url(f"{url}/join?left")
    expect(phone.get_by_role("alert")).to_contain_text("You are no longer in")
    assert len(studio.profile.labels().id) == 0
    bob.get_by_role("button", name="Let in again").click()
    expect(bob).not_to_contain_text("excluded")
    phone.goto(url)
    expect(phone.locator(".stage")).to_have_attribute("data-state", "pair")
    assert len(studio.profile.labels().id) == 2
