"""The routes of a page that is not shared."""

import errno
import json
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pipeline.app import server
from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.store import StoreError
from tests.app.still import StillStudio

OWN = {"x-alife": "1"}


@pytest.fixture(scope="module")
def app(still: StillStudio, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Made once: what it shows is asked for anew in each request."""
    still.begin(tmp_path_factory.mktemp("root"))
    return server.build(still)


@pytest.fixture
def client(app: FastAPI, studio: StillStudio) -> TestClient:
    assert studio.desk.ready
    return TestClient(app, base_url="http://127.0.0.1")


def pairs(client: TestClient, want: int = 1) -> list[dict]:
    return client.post("/api/pairs", json={"want": want}, headers=OWN).json()["pairs"]


def vote(client: TestClient, pair: dict, answer: str = "left", **more: object):
    body = {"token": pair["token"], "answer": answer, "response_ms": 800, "replays": 0} | more
    return client.post("/api/vote", json=body, headers=OWN)


# -- labeling ---------------------------------------------------------------------------------------------------------


def test_a_pair_is_watched_answered_and_undone(client: TestClient, studio: StillStudio) -> None:
    (pair,) = pairs(client)
    for side in ("left", "right"):
        film = client.get(f"/media/first/{pair[side]}")
        assert film.content == studio.profile.film_bytes(pair[side])
        assert film.headers["content-type"] == "video/mp4"
        assert "immutable" in film.headers["cache-control"]
    assert vote(client, pair).json()["votes"] == 1
    assert vote(client, pair, "right").json()["duplicate"] is True
    undone = client.post("/api/undo", headers=OWN).json()
    assert (undone["votes"], undone["again"]["left"]) == (0, pair["left"])
    assert vote(client, undone["again"], "right").json()["duplicate"] is False
    assert studio.profile.labels().answer.tolist() == ["right"]


def test_an_answer_after_a_weekend_counts(client: TestClient, studio: StillStudio) -> None:
    (pair,) = pairs(client)
    assert vote(client, pair, response_ms=60 * 3600 * 1000, replays=5000).status_code == 200
    assert studio.profile.label_events().response_ms.tolist() == [24 * 3600 * 1000]


def test_a_film_may_be_asked_for_in_parts(client: TestClient) -> None:
    (pair,) = pairs(client)
    url = f"/media/first/{pair['left']}"
    film = client.get(url).content
    size = len(film)
    for asked, start, end in (
        ("bytes=4-7", 4, 7),
        ("bytes=0-", 0, size - 1),
        ("bytes=-5", size - 5, size - 1),
        (f"bytes=9-{size + 99}", 9, size - 1),
        (f"bytes=-{size + 99}", 0, size - 1),
    ):
        part = client.get(url, headers={"range": asked})
        assert (part.status_code, part.content) == (206, film[start : end + 1])
        assert part.headers["content-range"] == f"bytes {start}-{end}/{size}"
        assert part.headers["accept-ranges"] == "bytes"
    beyond = client.get(url, headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    for asked in ("bytes=-", "bytes=1-2,4-5", "pages=1-2", "bytes=a-b"):
        whole = client.get(url, headers={"range": asked})
        assert (whole.status_code, whole.content) == (200, film)


def test_nothing_tells_where_a_world_came_from(client: TestClient) -> None:
    (pair,) = pairs(client)
    assert set(pair) == {"token", "left", "right"}
    film = client.get(f"/media/first/{pair['left']}")
    assert "content-disposition" not in film.headers
    assert re.fullmatch(r"[0-9a-f]{32}\.mp4", pair["left"])


def test_a_visitor_stays_the_same_person_and_two_visitors_are_two(app: FastAPI, studio: StillStudio) -> None:
    ann, bob = (TestClient(app, base_url="http://127.0.0.1") for _ in range(2))
    for client in (ann, ann, bob):
        studio.desk.wanted()
        vote(client, pairs(client)[0])
    labelers = studio.profile.labels().labeler.tolist()
    assert labelers[0] == labelers[1] != labelers[2]
    (mine,) = pairs(ann)
    assert vote(bob, mine).status_code == 409


def test_the_cookie_is_signed_and_out_of_reach_of_scripts(client: TestClient) -> None:
    answer = client.post("/api/pairs", json={"want": 0}, headers=OWN)
    (cookie,) = answer.headers.get_list("set-cookie")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    name, value = cookie.partition(";")[0].split("=", 1)
    forged = TestClient(client.app, base_url="http://127.0.0.1", cookies={name: value[:-1] + "x"})
    renewed = forged.post("/api/pairs", json={"want": 0}, headers=OWN)
    assert renewed.cookies[name] != value
    assert "set-cookie" not in client.post("/api/pairs", json={"want": 0}, headers=OWN).headers


def test_a_full_disk_is_said_and_nothing_is_acknowledged(
    client: TestClient, studio: StillStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pair,) = pairs(client)
    for number, status in ((errno.ENOSPC, 507), (errno.EROFS, 507), (errno.EIO, 503)):

        def broken(*_: object, number: int = number, **__: object) -> None:
            raise StoreError("the vote was not saved") from OSError(number, "no")

        with monkeypatch.context() as patch:
            patch.setattr(studio.profile.store, "put", broken)
            assert vote(client, pair).status_code == status
    assert vote(client, pair).json() | {"id": ""} == {
        "saved": True,
        "duplicate": False,
        "id": "",
        "votes": 1,
        "again": None,
    }


def test_a_storm_of_votes_is_told_to_wait(client: TestClient) -> None:
    (pair,) = pairs(client)
    answers = [vote(client, pair) for _ in range(120)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/pairs", {"want": 99}),
        ("/api/pairs", {"want": -1}),
        ("/api/pairs", {"want": True}),
        ("/api/pairs", {"want": 1, "have": ["x"] * 13}),
        ("/api/pairs", {"want": 1, "labeler": "bob"}),
        ("/api/vote", {"token": "x", "answer": "best", "response_ms": 1}),
        ("/api/vote", {"token": "x", "answer": "left", "response_ms": -1}),
        ("/api/vote", {"token": "x" * 3000, "answer": "left", "response_ms": 1}),
        ("/api/vote", {"token": "a b", "answer": "left", "response_ms": 1}),
        ("/api/browse", {"count": 10_000, "order": "best"}),
        ("/api/browse", {"count": 4, "order": "worst"}),
        ("/api/contest", {"goal": "worst", "count": 4, "by": "people"}),
        ("/api/contest", {"goal": "best", "count": 13, "by": "people"}),
        ("/api/train", {"role": "../labels", "run": False}),
        ("/api/save", {"rollout": "../../etc/passwd"}),
        ("/api/profiles", {"name": "x"}),
    ],
)
def test_what_makes_no_sense_is_refused(client: TestClient, studio: StillStudio, path: str, body: dict) -> None:
    assert client.post(path, json=body, headers=OWN).status_code == 422
    assert studio.asked == []
    assert not studio.profile.paused("rewardor")


# -- the other tabs ---------------------------------------------------------------------------------------------------


def test_labelled_worlds_are_ranked_by_people(client: TestClient) -> None:
    (pair,) = pairs(client)
    vote(client, pair, "right")
    ranking = client.get("/api/ranking").json()
    best, worst = ranking["items"]
    assert (best["file"], worst["file"]) == (pair["right"], pair["left"])
    assert best["low"] < best["score"] < best["high"]
    assert best["count"] == worst["count"] == 1
    assert client.get("/api/ranking?by=rewardor").json()["items"] == []
    assert client.get("/api/ranking?by=nobody").status_code == 422


def test_training_is_paused_and_resumed_by_a_file(client: TestClient, studio: StillStudio) -> None:
    client.post("/api/train", json={"role": "rewardor", "run": False}, headers=OWN)
    assert studio.profile.paused("rewardor")
    assert not studio.profile.paused("generator")
    client.post("/api/train", json={"role": "rewardor", "run": True}, headers=OWN)
    assert not studio.profile.paused("rewardor")


def test_a_contest_begins_and_ends_and_what_cannot_begin_yet_says_why(client: TestClient) -> None:
    refused = client.post("/api/contest", json={"goal": "order", "count": 4, "by": "people"}, headers=OWN)
    assert refused.status_code == 400
    assert "label more pairs first" in refused.json()["detail"]
    assert client.post("/api/duel", headers=OWN).status_code == 400
    assert client.get("/api/contest").json()["contest"] is None
    for pair in pairs(client, 4):
        vote(client, pair)
    begun = client.post("/api/contest", json={"goal": "order", "count": 3, "by": "people"}, headers=OWN).json()
    assert [each["settled"] for each in begun["worlds"]] == [False] * 3
    assert client.post("/api/contest/end", headers=OWN).json()["contest"] is None


def test_a_world_is_browsed_kept_and_downloaded(client: TestClient, studio: StillStudio) -> None:
    client.post("/api/browse", json={"count": 2, "order": "best"}, headers=OWN)
    assert studio.asked == [(2, "best")]
    world = client.get("/api/browse").json()["worlds"][0]
    assert (world["score"], world["seed"]) == (None, str(2**60 + 1))  # JavaScript's numbers would round it
    kept = client.post("/api/save", json={"rollout": world["rollout"]}, headers=OWN).json()["saved"]
    assert [each["rollout"] for each in kept] == [world["rollout"]]
    details = client.get(f"/api/world/{world['rollout']}").json()
    assert details["saved"] is True
    assert json.loads(details["recipe"]) == {"sim": "lenia", "options": {}, "seed": 2**60 + 1, "params": {"mu": 0.15}}
    assert client.get("/api/world/0123").status_code == 404
    film = client.get(f"/saved/first/{world['rollout']}.mp4")
    recipe = client.get(f"/saved/first/{world['rollout']}.json")
    assert film.content == studio.profile.film_bytes(world["file"])
    assert recipe.json()["params"]["params"] == {"mu": 0.15}
    assert all("attachment" in each.headers["content-disposition"] for each in (film, recipe))
    assert client.get(f"/saved/first/{world['rollout']}.toml").status_code == 404


def test_profiles_are_made_listed_and_opened(client: TestClient, studio: StillStudio) -> None:
    parts = {"sim": "lenia", "rewardor": "common", "generator": "gibbs"}
    made = client.post("/api/profiles", json={"name": "second"} | parts, headers=OWN)
    assert made.json()["profile"] == studio.profile.name == "second"
    assert client.post("/api/profiles", json={"name": "Not A Name"} | parts, headers=OWN).status_code == 400
    assert client.post("/api/open", json={"name": "thrid"}, headers=OWN).status_code == 400
    assert client.post("/api/open", json={"name": "first"}, headers=OWN).json()["profile"] == "first"
    listing = client.get("/api/profiles").json()
    assert {card["name"] for card in listing["cards"]} == {"first", "second"}
    assert listing["catalogue"]["sim"] == sorted(listing["catalogue"]["sim"])
    assert "lenia" in listing["catalogue"]["sim"]


def test_a_vote_for_a_profile_that_no_longer_runs_is_refused(client: TestClient, studio: StillStudio) -> None:
    (pair,) = pairs(client)
    studio._run(Profile.create(studio.root, "second", Config()))
    assert vote(client, pair).status_code == 409
    assert client.get(f"/media/first/{pair['left']}").status_code == 200  # it is still on somebody's screen


# -- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "pairs",
        "vote",
        "undo",
        "browse",
        "save",
        "train",
        "open",
        "profiles",
        "contest",
        "contest/end",
        "duel",
        "duel/end",
    ],
)
def test_other_sites_cannot_make_a_browser_act(client: TestClient, path: str) -> None:
    assert client.post(f"/api/{path}", json={}).status_code == 403
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert client.post(f"/api/{path}", json={}, headers=OWN | headers).status_code == 403


def test_gradio_is_as_guarded_as_the_rest(client: TestClient) -> None:
    evil = {"origin": "http://evil.example"}
    assert client.post("/gradio_api/queue/join", json={}, headers=evil).status_code == 403
    assert "access-control-allow-origin" not in client.get("/config", headers=evil).headers
    for path in ("upload", "file=http://example.com/", "proxy=http://example.com/"):
        assert client.post(f"/gradio_api/{path}", content=b"x").status_code in (403, 404, 405)
        assert client.get(f"/gradio_api/{path}").status_code in (403, 404, 405)
    for path in ("openapi.json", "docs", "redoc", "monitoring", "monitoring/summary"):
        assert client.get(f"/{path}").status_code in (403, 404)


def test_foreign_names_for_this_computer_are_refused(app: FastAPI) -> None:
    assert TestClient(app, base_url="http://rebound.example").get("/healthz").status_code == 400


def test_a_request_is_short_and_says_how_long_it_is(client: TestClient) -> None:
    assert client.post("/api/vote", content=b"x" * 70_000, headers=OWN).status_code == 413
    assert client.post("/api/vote", content=iter([b"x"]), headers=OWN).status_code == 411


@pytest.mark.parametrize("path", ["/", "/healthz", "/nowhere", "/media/first/x.mp4", "/api/activity", "/theme.css"])
def test_every_answer_tells_the_browser_to_be_careful(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "/media/first/..%2f..%2fsecret.key",
        "/media/first/secret.key",
        "/media/../first/secret.key",
        "/media/%2e%2e/secret.key",
        "/media/nobody/0.mp4",
        "/saved/first/..%2fsecret.key",
        "/saved/first/profile.json",
        "/gradio_api/file=profiles/first/secret.key",
        "/gradio_api/file=/etc/passwd",
    ],
)
def test_no_path_leads_out(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (403, 404)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com", ""])
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        server.check_host(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_computer_may_reach_itself(host: str) -> None:
    server.check_host(host)


def test_the_page_is_gradio_with_five_tabs_and_asks_nobody_else(client: TestClient) -> None:
    page = client.get("/").text
    config = client.get("/config").json()
    tabs = [each["props"]["id"] for each in config["components"] if each["type"] == "tabitem"]
    assert tabs == ["label", "ranking", "train", "browse", "profiles"]
    assert config["analytics_enabled"] is False
    assert not config["footer_links"]
    assert "googleapis" not in page
