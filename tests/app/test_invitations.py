"""One shared link: who comes in with which key, what they may do, and that many at once lose and double nothing."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from gradio import networking

from pipeline import desk as desks
from pipeline.app import invitations, links, routes, server
from pipeline.app.studio import Activity
from pipeline.app.visitors import Door
from pipeline.config import Config
from pipeline.desk import Desk
from pipeline.people import People
from pipeline.profile import Profile
from tests.app.still import Browser, StillStudio

OWNED = {
    "/api/train": {"role": "rewardor", "run": False},
    "/api/contest": {"goal": "best", "count": 2, "by": "people"},
    "/api/contest/end": {},
    "/api/duel": {},
    "/api/duel/end": {},
    "/api/open": {"name": "second"},
    "/api/profiles": {"name": "third", "sim": "lenia", "rewardor": "common", "generator": "gibbs"},
    "/api/people/exclude": {"person": "x", "labels": True},
    "/api/people/readmit": {"person": "x"},
    "/api/invitation": {},
}


@pytest.fixture(scope="module")
def app(still: StillStudio, door: Door) -> FastAPI:
    return server.build(still, door=door, host="0.0.0.0")


@pytest.fixture
def come(app: FastAPI, studio: StillStudio) -> Callable[..., Browser]:
    """Somebody who joins: `come("Ann")`, or `come(owner=True)`."""

    def come(name: str = "", *, owner: bool = False) -> Browser:
        people = People.of(studio.profile)
        return Browser(app).join(people.owner_key if owner else people.invitation, name)

    return come


def test_a_labeler_joins_with_the_key_and_labels(come: Callable[..., Browser], studio: StillStudio) -> None:
    ann = come("Ann")
    assert ann.get("/api/me").json() == {"owner": False, "name": "Ann"}
    (pair,) = ann.pairs()
    assert ann.get(f"/media/first/{pair['left']}").status_code == 200
    assert ann.vote(pair["token"]).json()["saved"]
    assert [each.labels for each in People.of(studio.profile).everybody()] == [1]
    for path in ("activity", "ranking", "contest", "train", "browse", "profiles"):
        assert ann.get(f"/api/{path}").status_code == 200
    assert ann.post("/api/browse", {"count": 2, "order": "best"}).status_code == 200
    assert "gradio" in ann.get("/", accept="text/html").text


def test_only_the_owner_sees_how_others_answer(come: Callable[..., Browser]) -> None:
    ann, bob, owner = come("Ann"), come("Bob"), come(owner=True)
    for labeler in (ann, bob):
        labeler.vote(labeler.pairs()[0]["token"])
    seen = [[row["name"] for row in who.get("/api/train").json()["panel"]] for who in (ann, bob, owner)]
    assert seen == [["Ann"], ["Bob"], ["Ann", "Bob"]]


def test_the_cookie_is_signed_out_of_reach_of_scripts_and_stays(app: FastAPI, studio: StillStudio) -> None:
    key = People.of(studio.profile).invitation
    wish = {"key": key, "name": "Ann"}
    joined = Browser(app).post("/api/join", wish)
    (cookie,) = joined.headers.get_list("set-cookie")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie
    away = Browser(app, "https://abc.gradio.live").post("/api/join", wish, origin="https://abc.gradio.live")
    assert "Secure" in away.headers["set-cookie"]


def test_people_stay_the_same_across_a_restart(come: Callable[..., Browser], studio: StillStudio) -> None:
    ann, owner = come("Ann"), come(owner=True)
    first, second = ann.pairs(2)
    ann.vote(first["token"])
    studio._run(Profile.open(studio.root, "first"))  # forgets all that is not on disk
    assert ann.get("/api/me").json() == {"owner": False, "name": "Ann"}
    assert owner.get("/api/me").json() == {"owner": True, "name": "Owner"}
    assert ann.vote(first["token"], "right").json()["duplicate"]
    assert not ann.vote(second["token"]).json()["duplicate"]
    labels = studio.profile.labels()
    assert labels.answer.tolist() == ["left", "left"]
    assert len(set(labels.labeler.tolist())) == 1


@pytest.mark.parametrize(("path", "body"), OWNED.items())
def test_only_the_owner_may(come: Callable[..., Browser], app: FastAPI, path: str, body: dict) -> None:
    assert Browser(app).post(path, body).status_code == 401
    refused = come("Ann").post(path, body)
    assert (refused.status_code, refused.json()["detail"]) == (403, "only the owner of this page may do that")
    assert come(owner=True).post(path, body).status_code != 403


def test_only_the_owner_sees_people_and_other_profiles(come: Callable[..., Browser], studio: StillStudio) -> None:
    ann, owner = come("Ann"), come(owner=True)
    Profile.create(studio.root, "second", Config())
    assert ann.get("/api/people").status_code == 403
    assert [card["name"] for card in ann.get("/api/profiles").json()["cards"]] == ["first"]
    assert len(owner.get("/api/profiles").json()["cards"]) == 2
    for path in ("/media/second/x.mp4", "/saved/second/x.mp4", "/media/nobody/x.mp4"):
        assert ann.get(path).status_code == 404


def test_only_the_owner_reads_errors_and_of_settings_nobody_more_than_that_they_changed(
    come: Callable[..., Browser], studio: StillStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "activity", lambda: Activity(problems=["/home/olga/x is damaged"]), raising=False)
    studio.profile.record("error", "RuntimeError: /home/olga/y")
    studio.profile.record("settings", '{"profile.toml was": "all of it"}')
    owner, ann = come(owner=True), come("Ann")
    shown = owner.get("/api/train").json()
    assert [(each["kind"], each["text"]) for each in shown["events"]] == [
        ("settings", ""),
        ("error", "RuntimeError: /home/olga/y"),
    ]
    assert shown["problems"] == owner.get("/api/activity").json()["problems"] == ["/home/olga/x is damaged"]
    for path in ("activity", "train"):
        assert ann.get(f"/api/{path}").json()["problems"] == []
    assert ann.get("/api/train").json()["events"] == []


def flat(router: APIRouter) -> Iterator[APIRoute]:
    for each in router.routes:
        inner = getattr(each, "original_router", None)
        yield from flat(inner) if inner else [each]


def test_no_route_forgets_who_asks(still: StillStudio, door: Door) -> None:
    found = {}
    for each in [*flat(routes.router(still, door)), *flat(invitations.router(door))]:
        asked = {getattr(depends.call, "__name__", "") for depends in each.dependant.dependencies}
        found[each.path, *each.methods] = asked & {"guest", "labeler", "owner"}
    nobody = {key[0] for key, asked in found.items() if not asked}
    assert nobody == {"/healthz", "/readyz", "/join", "/api/join"}
    posts = {key[0] for key, asked in found.items() if "POST" in key and "owner" not in asked}
    assert posts == {"/api/join", "/api/pairs", "/api/vote", "/api/undo", "/api/browse", "/api/save"}


def test_strangers_find_a_page_to_join_and_nothing_else(app: FastAPI) -> None:
    stranger = Browser(app)
    assert stranger.get("/", accept="text/html").headers["location"] == "/join"
    page = stranger.get("/join")
    assert "<form" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert stranger.get("/healthz").json() == {"status": "ok"}  # says not even which profile
    for path in (
        "/api/me",
        "/api/activity",
        "/media/first/x.mp4",
        "/config",
        "/theme.css",
        "/gradio_api/info",
        "/nowhere",
    ):
        assert stranger.get(f"/{path}").status_code == 401
    assert stranger.post("/gradio_api/queue/join").status_code == 404


def test_the_owner_invites_by_link_and_picture_and_sees_who_is_there(
    come: Callable[..., Browser], door: Door, studio: StillStudio
) -> None:
    door.url = "http://192.168.1.20:7860"
    owner, _ = come(owner=True), come("Ann")
    seen = owner.get("/api/people").json()
    assert seen["link"] == f"http://192.168.1.20:7860/join#{People.of(studio.profile).invitation}"
    assert seen["code"].startswith("data:image/svg+xml")
    assert [(each["name"], each["owner"], each["here"]) for each in seen["people"]] == [
        ("Owner", True, True),
        ("Ann", False, False),
    ]
    renewed = owner.post("/api/invitation").json()
    assert renewed["link"] != seen["link"]


def test_an_excluded_labeler_is_out_and_the_old_key_is_worth_nothing(
    come: Callable[..., Browser], app: FastAPI, studio: StillStudio
) -> None:
    key = People.of(studio.profile).invitation
    owner, ann, bob = come(owner=True), come("Ann"), come("Bob")
    first, second = ann.pairs(2)
    ann.vote(first["token"])
    bob.vote(bob.pairs()[0]["token"])
    (id_,) = [each["id"] for each in owner.get("/api/people").json()["people"] if each["name"] == "Ann"]
    people = owner.post("/api/people/exclude", {"person": id_, "labels": True}).json()["people"]
    assert [each["name"] for each in people if each["excluded"]] == ["Ann"]
    assert ann.vote(second["token"]).status_code == 401
    assert ann.get("/api/activity").status_code == 401
    assert ann.post("/api/join", {"key": key, "name": "Ann"}).status_code == 403
    assert Browser(app).post("/api/join", {"key": key, "name": "Nan"}).status_code == 403
    assert ann.post("/api/join", {"key": People.of(studio.profile).invitation, "name": "Ann"}).status_code == 403
    assert bob.get("/api/activity").json()["votes"] == 1
    assert len(studio.profile.labels().id) == 1
    owner.post("/api/people/readmit", {"person": id_})
    assert not ann.vote(second["token"]).json()["duplicate"]
    assert len(studio.profile.labels().id) == 3


def test_an_owner_who_opens_another_profile_stays_the_owner(come: Callable[..., Browser], studio: StillStudio) -> None:
    owner, ann = come("Olga", owner=True), come("Ann")
    Profile.create(studio.root, "second", Config())
    assert owner.post("/api/open", {"name": "second"}).json()["profile"] == "second"
    assert owner.get("/api/me").json() == {"owner": True, "name": "Olga"}
    assert ann.get("/api/activity").status_code == 401  # an invitation is to one profile
    assert owner.post("/api/open", {"name": "first"}).status_code == 200
    assert ann.get("/api/activity").status_code == 200


def test_an_owner_whose_new_cookies_were_lost_is_still_the_owner_and_nobody_else_is(
    come: Callable[..., Browser], studio: StillStudio
) -> None:
    owner, ann, bob = come("Olga", owner=True), come("Ann"), come("Bob")
    mine = {each.name: each.id for each in People.of(studio.profile).everybody()}
    bob_in_first = dict(bob.client.cookies)
    Profile.create(studio.root, "second", Config())
    for labeler in (ann, bob, owner):
        labeler.get("/api/activity")
    studio.open("second")  # as it is while the answer to an owner's wish has not come yet
    studio.fill()
    assert owner.get("/api/activity").status_code == 200
    assert owner.get("/api/people").json()["people"] == []
    assert ann.get("/api/activity").status_code == 401
    stolen = dict(owner.client.cookies) | bob_in_first  # an owner's cookie with a labeler's is nobody's
    bob.client.cookies.update(stolen)
    assert bob.get("/api/activity").status_code == 401
    (pair,) = owner.pairs()
    assert len(owner.client.cookies) == 4  # from now on they have the cookies of this profile, too
    assert owner.vote(pair["token"]).status_code == 200
    assert studio.profile.labels().labeler.tolist() == [mine["Olga"]]
    assert owner.get("/api/me").json() == {"owner": True, "name": "Olga"}
    people = People.of(studio.profile)
    assert [(each.id, each.name, each.owner) for each in people.everybody()] == [(mine["Olga"], "Olga", True)]


def test_an_excluded_labeler_stays_out_whatever_ran_before(come: Callable[..., Browser], studio: StillStudio) -> None:
    owner, ann = come(owner=True), come("Ann")
    (id_,) = [each["id"] for each in owner.get("/api/people").json()["people"] if each["name"] == "Ann"]
    owner.post("/api/people/exclude", {"person": id_, "labels": False})
    Profile.create(studio.root, "second", Config())
    assert owner.post("/api/open", {"name": "second"}).status_code == 200
    assert ann.get("/api/activity").status_code == 401
    assert owner.post("/api/open", {"name": "first"}).status_code == 200
    assert ann.get("/api/activity").status_code == 401


def test_the_terminal_tells_the_links_of_a_profile_that_is_opened(
    come: Callable[..., Browser],
    door: Door,
    studio: StillStudio,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(door, "here", "http://127.0.0.1:7860")
    monkeypatch.setattr(door, "url", "http://192.168.1.20:7860")
    owner = come(owner=True)
    Profile.create(studio.root, "second", Config())
    owner.post("/api/open", {"name": "second"})
    said, people = capsys.readouterr().out, People.of(studio.profile)
    assert studio.profile.name == "second"
    assert f"http://127.0.0.1:7860/join#{people.owner_key}" in said
    assert f"http://192.168.1.20:7860/join#{people.invitation}" in said


def test_a_key_may_be_typed_as_people_type(app: FastAPI, studio: StillStudio) -> None:
    key = People.of(studio.profile).invitation
    for typed in (key.upper(), key.replace("-", " "), f"  {key.replace('-', '')} "):
        Browser(app).join(typed)


# -- many at once -----------------------------------------------------------------------------------------------------


def test_twice_the_same_vote_from_two_tabs_or_a_lost_answer_counts_once(
    come: Callable[..., Browser], studio: StillStudio
) -> None:
    ann = come("Ann")
    pairs = ann.pairs(4)
    receipts: list[bool] = []

    def send(token: str, answer: str) -> None:
        receipts.append(ann.vote(token, answer).json()["duplicate"])

    clicks = [(pair["token"], answer) for pair in pairs for answer in ("left", "right", "tie")]
    threads = [threading.Thread(target=send, args=click) for click in clicks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipts) == [False] * 4 + [True] * 8
    assert len(studio.profile.labels().id) == len(set(studio.profile.labels().id)) == 4


def test_a_second_tab_gets_pairs_of_its_own_and_takes_none_away(come: Callable[..., Browser]) -> None:
    ann, bob = come("Ann"), come("Bob")
    tabs = [ann.pairs(3), ann.pairs(3), bob.pairs(3)]
    shown = [frozenset((pair["left"], pair["right"])) for tab in tabs for pair in tab]
    assert all(tabs)
    assert len(set(shown)) == len(shown)
    for tab in tabs[:2]:
        assert not any(ann.vote(pair["token"]).json()["duplicate"] for pair in tab)


def test_a_pair_of_whoever_went_away_is_somebody_elses_in_a_while_and_their_late_answer_counts(
    come: Callable[..., Browser], studio: StillStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = come("Ann"), come("Bob")
    kept = {frozenset((pair["left"], pair["right"])): pair for pair in ann.pairs(6)}
    now = desks.time.monotonic()
    monkeypatch.setattr(desks.time, "monotonic", lambda: now + desks.LEASE_S + 1)
    got: set[frozenset[str]] = set()
    tokens: list[str] = []
    for _ in range(12):
        studio.desk.wanted()
        for pair in bob.pairs(1, tuple(tokens)):
            got.add(frozenset((pair["left"], pair["right"])))
            tokens.append(pair["token"])
    assert got & kept.keys()
    late = kept[next(iter(got & kept.keys()))]
    assert not ann.vote(late["token"]).json()["duplicate"]
    assert len(studio.profile.labels().id) == 1


def test_sides_are_told_by_a_fair_coin_whoever_asks(studio: StillStudio) -> None:
    heads = 0
    for _ in range(200):
        (pair,) = Desk(studio.profile).offer("ann", 1)
        heads += pair.left < pair.right
    assert 70 <= heads <= 130  # a fair coin leaves this range once in 30,000 times


# -- beyond this computer ---------------------------------------------------------------------------------------------


def test_no_internet_is_said_at_once_and_the_network_is_enough(
    door: Door, studio: StillStudio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(links.socket, "create_connection", nobody)
    monkeypatch.setattr(links, "addresses", lambda: ["192.168.1.20"])
    server.announce(door, "0.0.0.0", 7860)
    said, people = capsys.readouterr().out, People.of(studio.profile)
    assert f"http://127.0.0.1:7860/join#{people.owner_key}" in said
    assert "No public link: api.gradio.app gives none (Name or service not known)" in said
    assert f"http://192.168.1.20:7860/join#{people.invitation}" in said
    assert "█" in said
    assert door.url == "http://192.168.1.20:7860"


def test_a_page_for_this_computer_alone_does_not_promise_the_network(
    door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(*_: object) -> str:
        raise links.LinkError("no internet")

    monkeypatch.setattr(links, "public", nobody)
    server.announce(door, "127.0.0.1", 7860)
    said = capsys.readouterr().out
    assert "No public link: no internet. Only this computer reaches the page: others need a tunnel" in said
    assert "network" not in said


def test_a_public_link_is_better(
    door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(links, "public", lambda _, port: f"https://abc{port}.gradio.live")
    server.announce(door, "127.0.0.1", 1234)
    assert "https://abc1234.gradio.live/join#" in capsys.readouterr().out
    assert door.url == "https://abc1234.gradio.live"


@pytest.mark.parametrize(
    ("host", "there"), [("192.168.1.20", "192.168.1.20"), ("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("::1", "::1")]
)
def test_a_tunnel_ends_where_the_page_listens(monkeypatch: pytest.MonkeyPatch, host: str, there: str) -> None:
    ends: list[tuple[str, int]] = []
    monkeypatch.setattr(links.socket, "create_connection", lambda *_, **__: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(networking, "setup_tunnel", lambda host, port, *_: ends.append((host, port)))
    links.public(host, 1234)
    assert ends == [(there, 1234)]


def test_a_name_with_capitals_is_one_that_browsers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links.socket, "gethostname", lambda: "Olgas-Mac")
    assert {"my-host", "olgas-mac", "olgas-mac.local"} <= set(links.names("My-Host"))
