"""What somebody who has the address, or even an invitation, may try on a shared page."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pipeline import signing
from pipeline.app import server
from pipeline.app.visitors import Door
from pipeline.config import Config
from pipeline.desk import Desk
from pipeline.pace import Limits
from pipeline.people import People
from pipeline.profile import Profile
from tests.app.still import Browser, StillStudio


@pytest.fixture(scope="module")
def app(still: StillStudio, door: Door) -> FastAPI:
    return server.build(still, door=door, host="192.168.1.20")


@pytest.fixture
def people(studio: StillStudio) -> People:
    return People.of(studio.profile)


@pytest.fixture
def ann(app: FastAPI, people: People) -> Browser:
    return Browser(app).join(people.invitation, "Ann")


@pytest.fixture
def bob(app: FastAPI, people: People) -> Browser:
    return Browser(app).join(people.invitation, "Bob")


def cookies(browser: Browser) -> dict[str, str]:
    return dict(browser.client.cookies)


# -- who somebody is --------------------------------------------------------------------------------------------------


def forgeries(name: str, value: str, id_: str) -> dict[str, dict[str, str]]:
    """Cookies that somebody might make who has seen one."""
    owner = name.replace("labeler", "owner")
    return {
        "another id": {name: f"x{value[1:]}"},
        "another signature": {name: f"{value[:-2]}AA"},
        "no signature": {name: value.partition(".")[0]},
        "a plain id": {name: id_},
        "made with another key": {name: signing.sign(b"0" * 32, "labeler", id_)},
        "only half an owner": {owner: value},
    }


def test_an_identity_cannot_be_forged(app: FastAPI, ann: Browser, people: People) -> None:
    ((name, value),) = cookies(ann).items()
    (person,) = people.everybody()
    for what, forged in forgeries(name, value, person.id).items():
        thief = Browser(app)
        thief.client.cookies.update(forged)
        assert thief.get("/api/activity").status_code == 401, what
    ann.client.cookies.update({name.replace("labeler", "owner"): value})  # signed, but for another purpose
    assert ann.get("/api/me").json()["owner"] is False


def test_somebody_elses_owner_cookie_makes_no_owner(app: FastAPI, ann: Browser, people: People) -> None:
    owner = Browser(app).join(people.owner_key)
    stolen = {name: value for name, value in cookies(owner).items() if name.startswith("owner")}
    ann.client.cookies.update(stolen)  # it belongs to one person
    assert ann.get("/api/me").json()["owner"] is False


def test_a_cookie_of_a_page_that_was_not_shared_lets_nobody_in(app: FastAPI, studio: StillStudio) -> None:
    private = TestClient(server.build(studio), base_url="http://127.0.0.1")
    assert private.post("/api/pairs", json={"want": 0}, headers={"x-alife": "1"}).status_code == 200
    guest = Browser(app)
    guest.client.cookies.update(dict(private.cookies))
    assert guest.get("/api/activity").status_code == 401


def test_a_name_or_an_id_in_a_request_is_refused(ann: Browser) -> None:
    (pair,) = ann.pairs()
    for more in ({"labeler": "bob"}, {"id": "x"}, {"owner": True}):
        vote = {"token": pair["token"], "answer": "left", "response_ms": 1} | more
        assert ann.post("/api/vote", vote).status_code == 422
        assert ann.post("/api/join", {"key": "x", "name": "x"} | more).status_code == 422


def test_where_a_request_says_it_comes_from_is_not_believed(app: FastAPI) -> None:
    stranger = Browser(app, address="203.0.113.9")
    for headers in ({"x-forwarded-for": "127.0.0.1"}, {"x-real-ip": "127.0.0.1"}, {"forwarded": "for=127.0.0.1"}):
        assert stranger.get("/api/activity", **headers).status_code == 401
    assert Browser(app, address="127.0.0.1").get("/api/activity").status_code == 401  # tunnels end at this computer


# -- votes ------------------------------------------------------------------------------------------------------------


def test_a_vote_is_replayed_in_vain_by_anyone(ann: Browser, bob: Browser, app: FastAPI, studio: StillStudio) -> None:
    (pair,) = ann.pairs()
    assert bob.vote(pair["token"]).status_code == 409
    assert Browser(app).vote(pair["token"]).status_code == 401
    assert not ann.vote(pair["token"], "left").json()["duplicate"]
    assert all(ann.vote(pair["token"], "right").json()["duplicate"] for _ in range(5))
    assert studio.profile.labels().answer.tolist() == ["left"]


def test_a_vote_cannot_be_forged(ann: Browser, studio: StillStudio, tmp_path: Path) -> None:
    (pair,) = ann.pairs()
    head, _, tail = pair["token"].partition(".")
    other = Profile.create(tmp_path, "other", Config())
    ticket = json.dumps(["a", "b", "random", 1.0, -1, -1, "", "", "ann", "0"])
    forged = [
        f"{head[:-4]}AAAA.{tail}",
        f"{head}.{tail[:-2]}AA",
        head,
        f".{tail}",
        signing.sign(other.key, "pair", ticket),
        signing.sign(studio.profile.key, "labeler", ticket),
    ]
    for token in forged:
        assert ann.vote(token).status_code in (409, 422)
    assert len(studio.profile.label_events().id) == 0


def test_nobody_undoes_what_others_said(ann: Browser, bob: Browser, studio: StillStudio) -> None:
    ann.vote(ann.pairs()[0]["token"])
    assert bob.post("/api/undo").json()["saved"] is False
    assert len(studio.profile.labels().id) == 1


def test_one_who_floods_is_told_to_wait_and_others_go_on(
    ann: Browser, bob: Browser, door: Door, studio: StillStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio.desk, "_limits", Limits(rate=0, burst=5))  # however slow this machine is
    monkeypatch.setattr(door, "_wishes", Limits(rate=0, burst=5))
    (pair,) = ann.pairs()
    assert [ann.vote(pair["token"]).status_code for _ in range(8)] == [200] * 5 + [429] * 3
    assert [ann.post("/api/pairs", {"want": 8}).status_code for _ in range(8)] == [200] * 4 + [429] * 4
    wishes = [ann.post("/api/browse", {"count": 48, "order": "best"}) for _ in range(8)]
    assert [each.status_code for each in wishes] == [200] * 5 + [429] * 3
    monkeypatch.setattr(door, "_requests", Limits(rate=0, burst=5))
    assert [ann.get("/api/me").status_code for _ in range(8)] == [200] * 5 + [429] * 3
    assert bob.vote(bob.pairs()[0]["token"]).json()["saved"]


def test_one_person_holds_few_pairs_however_often_they_ask(ann: Browser, studio: StillStudio) -> None:
    for _ in range(8):
        ann.pairs(8)
    assert len(studio.desk._leases) <= 12


# -- keys -------------------------------------------------------------------------------------------------------------


def test_keys_are_long_and_guessing_is_slowed_down(
    app: FastAPI, people: People, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(people.invitation.replace("-", "")) == 20  # of 32 signs: 100 bits
    monkeypatch.setattr(door, "_tries", Limits(rate=0, burst=10))
    thief = Browser(app, address="203.0.113.1")
    guesses = [thief.post("/api/join", {"key": f"{n:020d}", "name": "x"}).status_code for n in range(12)]
    assert guesses == [403] * 10 + [429] * 2
    thief.join(people.owner_key)  # whoever guesses wrong keeps nobody with a right key out: tunnels have one address
    Browser(app, address="203.0.113.2").join(people.invitation, "Bob")
    house = [Browser(app, address=f"2001:db8::{n}") for n in range(12)]
    guesses = [each.post("/api/join", {"key": "x", "name": "x"}).status_code for each in house]
    assert guesses == [403] * 10 + [429] * 2


def test_many_come_from_one_address(app: FastAPI, people: People) -> None:
    for number in range(15):  # as through a tunnel
        Browser(app).join(people.invitation, f"Number {number}")


def test_an_invitation_makes_no_endless_people_and_those_who_come_back_and_the_owner_get_in(
    app: FastAPI, people: People, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_arrivals", Limits(rate=0, burst=2))
    ann = Browser(app).join(people.invitation, "Ann")
    Browser(app).join(people.invitation, "Bob")
    assert Browser(app).post("/api/join", {"key": people.invitation, "name": "Cid"}).status_code == 429
    ann.join(people.invitation, "Ann")
    Browser(app).join(people.owner_key)
    assert len(people.everybody()) == 3
    people.renew()
    Browser(app).join(people.invitation, "Cid")


# -- other sites ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://192.168.1.20.evil.example"},
        {"origin": "http://192.168.1.20:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_cannot_make_a_browser_act(app: FastAPI, people: People, headers: dict[str, str]) -> None:
    owner = Browser(app, "http://192.168.1.20").join(people.owner_key)
    for path in ("vote", "undo", "train", "people/exclude", "invitation", "join"):
        assert owner.post(f"/api/{path}", **headers).status_code == 403
    assert owner.client.post("/api/invitation", headers={"origin": "http://192.168.1.20"}).status_code == 403
    assert owner.post("/api/invitation", origin="http://192.168.1.20").status_code == 200


def test_only_the_names_of_this_computer_are_answered_to(app: FastAPI) -> None:
    for host in ("192.168.1.20", "localhost", "127.0.0.1", "abc.gradio.live"):
        assert Browser(app, f"http://{host}").get("/healthz").status_code == 200
    for host in ("rebound.example", "192.168.1.20.evil.example", "gradio.live.evil.example", "evilgradio.live"):
        assert Browser(app, f"http://{host}").get("/healthz").status_code == 400


def test_nobody_else_may_read_or_frame_the_page(ann: Browser) -> None:
    for path in ("/", "/join", "/api/me", "/config"):
        headers = ann.get(path, origin="http://evil.example").headers
        assert "access-control-allow-origin" not in headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"


# -- files and bodies -------------------------------------------------------------------------------------------------

PATHS = [
    "/media/first/..%2f..%2fsecret.key",
    "/media/first/secret.key",
    "/media/..%2ffirst/secret.key",
    "/media/%2e%2e/secret.key",
    "/media//etc/passwd",
    "/saved/first/..%2fsecret.key",
    "/saved/first/secret.key",
    "/join/../secret.key",
    "/join%2f..%2fconfig",
    "//api/activity",
    "/gradio_api/file=profiles/first/secret.key",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=/proc/self/environ",
    "/gradio_api/file=..%2f..%2fetc%2fpasswd",
    "/gradio_api/file=http://127.0.0.1/healthz",
    "/gradio_api/proxy=http://127.0.0.1/",
    "/static/..%2f..%2f..%2f..%2fetc/passwd",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out(ann: Browser, app: FastAPI, path: str) -> None:
    assert ann.get(path).status_code in (400, 403, 404)
    assert Browser(app).get(path).status_code in (400, 401, 403, 404)


def test_nothing_can_be_uploaded(ann: Browser, app: FastAPI, people: People) -> None:
    for browser in (ann, Browser(app).join(people.owner_key)):
        sent = {"files": ("x.html", b"<script>alert(1)</script>")}
        assert browser.client.post("/gradio_api/upload", files=sent, headers={"x-alife": "1"}).status_code == 404
        assert browser.client.post("/api/vote", content=b"x" * 70_000, headers={"x-alife": "1"}).status_code == 413
        assert browser.client.post("/api/vote", content=iter([b"x"]), headers={"x-alife": "1"}).status_code == 411


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"[" * 50_000, b'{"key": NaN}', b"\xff\xfe", b'{"key": 1e999}', b'{"\\ud800": 1}']
)
def test_nonsense_is_refused_and_nothing_breaks(app: FastAPI, ann: Browser, body: bytes) -> None:
    headers = {"x-alife": "1", "content-type": "application/json"}
    for browser, path in ((Browser(app), "/api/join"), (ann, "/api/vote"), (ann, "/api/pairs")):
        assert browser.client.post(path, content=body, headers=headers).status_code in (400, 422)


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "a\0b", "\u202etxt", "{{7*7}}", "x" * 200, ""]
)
def test_what_is_no_name_is_refused(app: FastAPI, people: People, name: str) -> None:
    refused = Browser(app).post("/api/join", {"key": people.invitation, "name": name})
    assert refused.status_code == 400
    assert people.everybody() == []


# -- doors of Gradio's ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["config", "info", "startup-events", "app_id", "heartbeat/x", "queue/status", "runs", "openapi.json"]
)
def test_gradio_tells_strangers_nothing(app: FastAPI, path: str) -> None:
    for prefix in ("", "gradio_api/"):
        assert Browser(app).get(f"/{prefix}{path}").status_code in (401, 404)


def test_nobody_acts_through_gradio(app: FastAPI, people: People) -> None:
    owner = Browser(app).join(people.owner_key)
    for path in ("run/predict", "queue/join", "call/predict", "api/predict", "component_server"):
        assert owner.post(f"/gradio_api/{path}", {"data": [], "fn_index": 0, "session_hash": "x"}).status_code == 404


def test_nothing_here_speaks_websocket(ann: Browser) -> None:
    with pytest.raises(WebSocketDisconnect), ann.client.websocket_connect("/gradio_api/queue/join"):
        pass


def test_a_restart_in_between_forgets_no_limit_that_files_keep(ann: Browser, studio: StillStudio) -> None:
    (pair,) = ann.pairs()
    ann.vote(pair["token"])
    studio.desk = Desk(Profile.open(studio.root, "first"))
    assert ann.vote(pair["token"], "right").json()["duplicate"]


def test_labelers_are_not_told_a_simulations_options(
    ann: Browser, app: FastAPI, people: People, studio: StillStudio
) -> None:
    owner = Browser(app).join(people.owner_key, "")
    world = str(studio.profile.films().rollout[0])
    recipes = [json.loads(who.get(f"/api/world/{world}").json()["recipe"]) for who in (ann, owner)]
    assert ["options" in recipe for recipe in recipes] == [False, True]
    owner.post("/api/save", {"rollout": world})
    saved = [who.get(f"/saved/{studio.profile.name}/{world}.json").json() for who in (ann, owner)]
    assert ["options" in note["params"] for note in saved] == [False, True]
