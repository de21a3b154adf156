"""The page in a real browser, over a studio in this process. tests/test_browser.py has the whole product."""

import errno
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pipeline.app import server
from pipeline.config import Config, RolloutPlan
from pipeline.profile import Profile
from pipeline.store import StoreError

pytestmark = [pytest.mark.browser, pytest.mark.slow]
api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")
expect = api.expect
expect.set_options(timeout=60_000)

ARGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
VIDEOS = "[...document.querySelectorAll('.stage video.on')]"
LOOK_MS = 400
"""How long these people look at a pair: more than the page's guard against double presses."""


@pytest.fixture(scope="module")
def studio(studio_here: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("profiles")
    config = Config(rollouts=RolloutPlan(prior=30, per_label=1, block=10))
    running = studio_here(root, Profile.create(root, "first", config), train=True)
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def url(studio: Any) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serving = uvicorn.Server(uvicorn.Config(server.build(studio), port=port, log_level="warning"))
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}/"
    serving.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Any, url: str) -> Iterator[Callable[..., Any]]:
    """Open the page as somebody new; at the end, nothing may have gone wrong or left this computer."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def open_(**who: Any) -> Any:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | who))
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: request.url.startswith((url, "data:", "blob:")) or wrong.append(request.url))
        page.goto(url)
        expect(page.locator(".stage")).to_have_attribute("data-state", "pair")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def press(page: Any, key: str) -> None:
    """Look at the pair, press a key, and wait for the next one."""
    shown = page.locator(".stage").get_attribute("data-pair")
    page.wait_for_timeout(LOOK_MS)
    page.keyboard.press(key)
    expect(page.locator(".stage")).not_to_have_attribute("data-pair", shown)
    expect(page.locator(".stage")).to_have_attribute("data-state", "pair")


def settle(page: Any) -> None:
    """Wait until a page has noticed what others did: a key counts for a pair that was there for a while."""
    shown = None
    while page.locator(".stage").get_attribute("data-pair") != shown:
        shown = page.locator(".stage").get_attribute("data-pair")
        page.wait_for_timeout(3000)


def count(page: Any) -> int:
    return int(page.locator(".stage .count b").inner_text())


def answers(studio: Any) -> list[str]:
    return studio.profile.labels().answer.tolist()


def saved(studio: Any, expected: list[str]) -> None:
    """Wait until the newest labels are these."""
    end = time.monotonic() + 30
    while answers(studio)[-len(expected) :] != expected:
        assert time.monotonic() < end, answers(studio)
        time.sleep(0.05)


def test_each_key_is_an_answer_and_undo_takes_the_last_one_back(visit: Callable[..., Any], studio: Any) -> None:
    page = visit()
    before = len(answers(studio))
    keys = {"ArrowLeft": "left", "ArrowRight": "right", "ArrowUp": "tie", "ArrowDown": "neither", "s": "skip"}
    for key in keys:
        press(page, key)
    saved(studio, list(keys.values()))
    expect(page.locator(".stage .count b")).to_have_text(str(before + 5))
    page.keyboard.press("z")
    expect(page.locator(".stage .count b")).to_have_text(str(before + 4))
    saved(studio, ["left", "right", "tie", "neither"])
    page.wait_for_timeout(LOOK_MS)
    press(page, "ArrowRight")  # the same pair again
    saved(studio, ["neither", "right"])
    labels = studio.profile.label_events()
    assert (labels.left[-1], labels.right[-1]) == (labels.left[-3], labels.right[-3])
    assert (studio.profile.labels().response_ms[-5:] >= LOOK_MS).all()


def test_both_films_play_muted_in_a_loop_and_in_step(visit: Callable[..., Any]) -> None:
    page = visit()
    page.wait_for_timeout(1500)
    left, right = page.evaluate(VIDEOS + ".map(v => [v.currentTime, v.paused, v.muted, v.loop, v.duration])")
    assert left[1:4] == right[1:4] == [False, True, True]
    assert left[4] == right[4] >= 3.5
    assert left[0] > 0.5
    assert abs(left[0] - right[0]) < 0.2
    page.keyboard.press(" ")
    stopped = page.evaluate(VIDEOS + ".map(v => v.paused)")
    assert stopped == [True, True]
    page.keyboard.press("r")
    page.wait_for_timeout(100)
    times = page.evaluate(VIDEOS + ".map(v => v.paused ? 99 : v.currentTime)")
    assert max(times) < 0.6


def test_one_key_is_one_answer_however_long_it_is_held(visit: Callable[..., Any], studio: Any) -> None:
    page = visit()
    before = len(answers(studio))
    page.wait_for_timeout(LOOK_MS)
    page.evaluate(
        """() => {
          const press = (key, repeat) => document.dispatchEvent(new KeyboardEvent('keydown', { key, repeat }));
          press('ArrowLeft', false);
          for (let time = 0; time < 8; time++) press('ArrowLeft', true);
          press('ArrowRight', false); // a slip of the finger, too soon to be meant
        }"""
    )
    page.wait_for_timeout(2000)
    assert len(answers(studio)) == before + 1


def test_versions_of_both_models_arrive_without_a_reload(visit: Callable[..., Any]) -> None:
    page = visit()
    page.evaluate("window.marked = true")
    organs = {role: page.locator(f".organ[data-role={role}]") for role in ("rewardor", "generator")}
    expect(organs["rewardor"]).to_have_attribute("data-version", re.compile(r"-?\d+"))
    before = {role: int(organ.get_attribute("data-version")) for role, organ in organs.items()}
    for _ in range(3):
        press(page, "ArrowLeft")
    for role, organ in organs.items():
        newer = re.compile("|".join(str(number) for number in range(max(before[role], 0) + 1, before[role] + 60)))
        expect(organ).to_have_attribute("data-version", newer)
    press(page, "ArrowLeft")  # of this one a version expected something
    page.get_by_role("tab", name="Train").click()
    expect(page.locator(".sureness .recent i").first).to_be_visible()
    expect(page.locator(".sureness circle").first).to_be_visible()
    expect(page.locator(".panel")).to_contain_text(
        re.compile("too few answers to tell|nothing unusual|like the others")
    )
    assert page.evaluate("window.marked")


def test_answers_wait_in_the_browser_while_the_server_is_away(visit: Callable[..., Any], studio: Any) -> None:
    page = visit()
    page.wait_for_timeout(1500)  # the next pairs are loaded
    before = len(answers(studio))
    page.context.set_offline(True)
    press(page, "ArrowUp")
    press(page, "ArrowDown")
    expect(page.locator(".stage .notice")).to_contain_text("2 answers wait in this browser")
    assert count(page) == before + 2
    page.context.set_offline(False)
    saved(studio, ["tie", "neither"])
    assert len(answers(studio)) == before + 2
    expect(page.locator(".stage .notice")).not_to_contain_text("wait")


def test_a_full_disk_is_said_honestly_and_recovers_by_itself(
    visit: Callable[..., Any], studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit()
    before = len(answers(studio))

    def full(*_: object, **__: object) -> None:
        raise StoreError("the vote was not saved") from OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(studio.profile, "add_votes", full)
        patch.setattr(studio.desk._committer, "_write", full)
        press(page, "ArrowLeft")
        expect(page.locator(".stage .notice")).to_contain_text("not saved")
        assert len(answers(studio)) == before
    saved(studio, ["left"])
    assert len(answers(studio)) == before + 1
    expect(page.locator(".stage .notice")).not_to_contain_text("not saved")


def test_a_reload_goes_on_with_the_same_pair(visit: Callable[..., Any]) -> None:
    page = visit()
    press(page, "ArrowLeft")
    shown = page.locator(".stage").get_attribute("data-pair")
    page.reload()
    expect(page.locator(".stage")).to_have_attribute("data-pair", shown)


def test_keys_mean_nothing_while_somebody_types_or_looks_elsewhere(visit: Callable[..., Any], studio: Any) -> None:
    page = visit()
    before = len(answers(studio))
    page.wait_for_timeout(LOOK_MS)
    page.get_by_role("tab", name="Profiles").click()
    page.locator("input[name=name]").press_sequentially("szs")
    page.get_by_role("tab", name="Train").click()
    page.keyboard.press("s")
    page.wait_for_timeout(400)
    assert len(answers(studio)) == before
    page.get_by_role("tab", name="Label").click()
    press(page, "ArrowRight")  # and work again, without another click
    saved(studio, ["right"])


def test_french_browsers_get_french(visit: Callable[..., Any]) -> None:
    page = visit(locale="fr-FR")
    assert page.locator(".stage h2").inner_text() == "Quel monde est le plus intéressant ?"
    assert page.get_by_role("tab").all_inner_texts() == [
        "Comparer",
        "Classement",
        "Progrès",
        "Parcourir",
        "Profils",
    ]
    assert page.evaluate("document.documentElement.lang") == "fr"


def test_a_phone_shows_all_without_scrolling_and_a_tap_or_a_swipe_answers(
    visit: Callable[..., Any], studio: Any
) -> None:
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") <= [390, 844]
    assert page.locator(".stage .answers button").evaluate_all("all => all.every(b => b.offsetHeight >= 44)")
    page.wait_for_timeout(LOOK_MS)
    page.locator(".side.right").tap()
    saved(studio, ["right"])
    expect(page.locator(".stage")).to_have_attribute("data-state", "pair")
    page.wait_for_timeout(LOOK_MS)
    page.evaluate(
        """() => {
          const films = document.querySelector('.films');
          const at = (x) => [new Touch({ identifier: 1, target: films, clientX: x, clientY: 300 })];
          films.dispatchEvent(new TouchEvent('touchstart', { touches: at(300), changedTouches: at(300) }));
          films.dispatchEvent(new TouchEvent('touchend', { touches: [], changedTouches: at(80), cancelable: true }));
        }"""
    )
    saved(studio, ["right", "left"])
    before = len(answers(studio))
    page.wait_for_timeout(LOOK_MS)
    page.evaluate(
        """() => {
          const films = document.querySelector('.films');
          const finger = (identifier, x) => new Touch({ identifier, target: films, clientX: x, clientY: 300 });
          films.dispatchEvent(new TouchEvent('touchstart', { touches: [finger(1, 150), finger(2, 250)] }));
          films.dispatchEvent(new TouchEvent('touchend', { touches: [], changedTouches: [finger(2, 350)] }));
        }"""
    )
    page.wait_for_timeout(1000)
    assert len(answers(studio)) == before  # to look closer is no answer


def test_space_pauses_after_a_click_too(visit: Callable[..., Any], studio: Any) -> None:
    page = visit()
    before = len(answers(studio))
    page.wait_for_timeout(LOOK_MS)
    page.locator(".side.left").click()
    expect(page.locator(".stage .count b")).to_have_text(str(before + 1))
    page.wait_for_timeout(LOOK_MS)
    page.keyboard.press(" ")
    assert page.evaluate(VIDEOS + ".map(v => v.paused)") == [True, True]
    assert len(answers(studio)) == before + 1


def test_worlds_are_ranked_trained_browsed_kept_and_downloaded(
    visit: Callable[..., Any], studio: Any, tmp_path: Path
) -> None:
    page = visit(accept_downloads=True)
    press(page, "ArrowLeft")
    page.get_by_role("tab", name="Ranking").click()
    expect(page.locator(".ranking .place").first).to_have_text("1")
    expect(page.locator(".ranking video").first).to_have_js_property("paused", False)
    page.get_by_role("radio", name="By the Rewardor").click()
    expect(page.locator(".ranking .hint")).to_contain_text("model of your taste")
    page.locator(".ranking .film").first.click()
    expect(page.locator("dialog th").first).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("tab", name="Train").click()
    rewardor = page.locator(".model.rewardor")
    rewardor.get_by_role("button").click()
    expect(rewardor).to_have_attribute("data-state", "paused")
    assert studio.profile.paused("rewardor")
    rewardor.get_by_role("button").click()
    expect(rewardor).not_to_have_attribute("data-state", "paused")
    expect(page.locator(".curve svg").first).to_be_visible()
    expect(page.locator(".events li.rewardor").first).to_contain_text("learned from")

    page.get_by_role("tab", name="Browse").click()
    page.get_by_role("button", name="Show new worlds").click()
    expect(page.locator(".browse > .grid .keep").first).to_be_visible()
    page.locator(".browse > .grid .keep").first.click()
    link = page.locator(".kept a", has_text="Recipe").first
    with page.expect_download() as download:
        link.click()
    download.value.save_as(tmp_path / "recipe.json")
    assert '"params"' in (tmp_path / "recipe.json").read_text()
    assert len(studio.profile.saved()) == 1


def test_a_profile_is_made_and_the_first_one_opened_again(visit: Callable[..., Any], studio: Any) -> None:
    page, other = visit(), visit()
    before = len(answers(studio))
    page.get_by_role("tab", name="Profiles").click()
    page.locator("input[name=name]").fill("Second!")
    page.get_by_role("button", name="Create and open").click()  # the browser refuses that name
    page.locator("input[name=name]").fill("second")
    page.get_by_role("button", name="Create and open").click()
    expect(page.locator(".brand .running")).to_have_text("second")
    page.get_by_role("tab", name="Label").click()
    expect(page.locator(".stage .count b")).to_have_text("0")
    page.get_by_role("tab", name="Profiles").click()
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".brand .running")).to_have_text("first")
    assert studio.profile.name == "first"

    # whoever was looking elsewhere meanwhile loses nothing
    settle(other)
    press(other, "ArrowUp")
    saved(studio, ["tie"])
    assert len(answers(studio)) == before + 1


def test_an_answer_for_a_profile_that_was_closed_meanwhile_waits_for_it(visit: Callable[..., Any], studio: Any) -> None:
    page = visit()
    before = len(answers(studio))
    settle(page)
    page.context.set_offline(True)
    page.keyboard.press("ArrowDown")
    studio.open("second")  # and the page does not hear of it
    page.context.set_offline(False)
    expect(page.locator(".stage")).to_have_attribute("data-profile", "second")
    assert answers(studio) == []
    studio.open("first")
    expect(page.locator(".stage")).to_have_attribute("data-profile", "first")
    saved(studio, ["neither"])
    assert len(answers(studio)) == before + 1


def test_the_address_knows_the_tab(visit: Callable[..., Any]) -> None:
    page = visit()
    chosen = page.locator("#tabs [role=tab][aria-selected=true]")
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("tab", name="Browse").click()
    assert page.url.endswith("/#browse")
    page.reload()
    expect(chosen).to_have_text("Browse")
    page.go_back()
    expect(chosen).to_have_text("Train")
    page.go_back()
    expect(chosen).to_have_text("Label")
    expect(page.locator(".stage")).to_have_attribute("data-state", "pair")
    page.go_forward()
    expect(chosen).to_have_text("Train")
