"""Whatever is sent, the answer is one that a client can read: 4xx for what it did, never a page or a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DataError
from django.test import Client
from rest_framework.test import APIClient

from cameras.models import Camera
from nvr.api.errors import describe
from tests.conftest import client_of

CAMERAS = "/api/cameras"
FRONT = "/api/cameras/front_door"
GOOD = {"name": "Yard", "folder_path": "/cams/yard"}


def problem(response: Any, *statuses: int) -> dict[str, Any]:
    assert response.status_code in statuses, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    if response.status_code == 422:
        assert body["errors"]
        assert all(row.keys() == {"field", "message"} for row in body["errors"])
    else:
        assert "errors" not in body
    return body


def post(api: APIClient, body: bytes | str, content_type: str = "application/json") -> Any:
    return api.post(CAMERAS, body, content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"name": }',
        b'{"name": "x",}',
        b"{'name': 'x'}",
        b'{"name": NaN}',
        b'{"motion_sensitivity": Infinity}',
        b'{"motion_sensitivity": -NaN}',
        b'{"name": "\\ud800", "folder_path": "/x"}',
        b'{"name": "\xff", "folder_path": "/x"}',
        b'{"\\ud800": 1}',
        b"\xef\xbb\xbf{}",
        b"\x00",
        b'{"motion_sensitivity": 1e999}',
        b'{"offline_after_seconds": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 1000 + b"]" * 1000,
        b'{"notes":' + b"[" * 500 + b"]" * 500 + b"}",
    ],
    ids=lambda body: ascii(body)[:24],
)
def test_broken_json_is_422(api: APIClient, camera: Camera, body: bytes) -> None:
    problem(post(api, body), 422)
    problem(api.patch(FRONT, body, content_type="application/json"), 422)
    problem(APIClient().post("/api/token", body, content_type="application/json"), 422)


@pytest.mark.parametrize("name", ["a\x00b", "\x00"])
def test_nul_in_text_is_422(api: APIClient, name: str) -> None:
    problem(api.post(CAMERAS, GOOD | {"name": name}, format="json"), 422)


@pytest.mark.parametrize(
    "query",
    [
        "status=%00",
        "q=%00",
        "q=%ed%a0%80",
        "q=%ff",
        "fields=%00",
        "%00=1",
        "q=" + "x" * 5000,
        "status[]=1",
        "limit=1&limit=2",
        "enabled=2",
        "&&&===",
        "cursor=%00",
    ],
)
def test_no_query_string_causes_a_500(api: APIClient, camera: Camera, query: str) -> None:
    for path in (CAMERAS, f"{CAMERAS}/deleted", "/api/audit", "/api/cameras/front_door", "/api/schema"):
        response = api.get(f"{path}?{query}")
        assert response.status_code < 500, (path, response.content)
        if response.status_code >= 400:
            problem(response, 400, 404, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/api/cameras/%00",
        "/api/cameras/%ed%a0%80",
        "/api/cameras/%ff/snapshot",
        "/api/%00",
        "/api/cameras/" + "x" * 9000,
        "/api/cameras/..%2f..%2fetc",
        "/api/cameras/%2e%2e/snapshot",
        "/api/cameras/a%0ab",
    ],
)
def test_no_path_causes_a_500(api: APIClient, path: str) -> None:
    problem(api.get(path), 400, 404)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "nonsense",
        "application/x-www-form-urlencoded",
    ],
)
def test_another_content_type_is_415(api: APIClient, camera: Camera, content_type: str) -> None:
    problem(post(api, b'{"name": "x"}', content_type), 415)
    problem(APIClient().post("/api/token", b"{}", content_type=content_type), 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_every_spelling_of_the_json_content_type_is_accepted(api: APIClient, content_type: str) -> None:
    assert post(api, json.dumps(GOOD), content_type).status_code == 201


def test_a_body_of_three_megabytes_is_413(api: APIClient) -> None:
    body = json.dumps(GOOD | {"notes": "x" * 3_000_000})

    problem(post(api, body), 413)
    problem(APIClient().post("/api/token", body, content_type="application/json"), 413)


def test_thousands_of_form_parts_are_rejected(api: APIClient, db: None) -> None:
    parts = (
        b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nv\r\n' % n for n in range(5000))
        + b"--x--\r\n"
    )

    problem(post(api, parts, "multipart/form-data; boundary=x"), 413, 415)
    page = Client().post("/login", parts, content_type="multipart/form-data; boundary=x")
    assert page.status_code == 400
    assert page["Content-Type"].startswith("text/html")


def test_a_page_rejects_a_form_of_three_megabytes(db: None) -> None:
    response = Client().post(
        "/login", {"username": "x" * 3_000_000, "password": "x"}, content_type="application/x-www-form-urlencoded"
    )

    assert response.status_code in {400, 413}
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("name", ["a\x00b", "\x00", "x" * 10_000, "é" * 500, ""])
def test_the_login_page_accepts_any_name(db: None, name: str) -> None:
    assert Client().post("/login", {"username": name, "password": "x\x00"}).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png"])
def test_a_client_that_does_not_accept_json_gets_406(api: APIClient, accept: str) -> None:
    problem(api.get(CAMERAS, HTTP_ACCEPT=accept), 406)


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "application/json, text/html;q=0.5", "text/html, */*;q=0.1"]
)
def test_a_client_that_accepts_json_gets_it(api: APIClient, accept: str) -> None:
    assert api.get(CAMERAS, HTTP_ACCEPT=accept).status_code == 200


def test_an_unexpected_error_is_500_in_json_without_details(
    admin: User, camera: Camera, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from cameras import registry

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the secret is hunter2")

    monkeypatch.setattr(registry, "trash_camera", broken)
    client = client_of(admin)
    client.raise_request_exception = False

    response = client.delete(FRONT)

    body = problem(response, 500)
    assert "hunter2" not in response.content.decode()
    assert "Traceback" not in response.content.decode()
    assert "X-Request-Id" in body["detail"]
    assert "unexpected error" in caplog.text
    assert Camera.objects.exists()


def test_an_unexpected_error_on_a_page_gets_an_error_page(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from cameras import views

    def broken(*args: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(views, "tiles_for", broken)
    browser = Client(raise_request_exception=False)
    browser.force_login(admin)

    response = browser.get("/")

    assert response.status_code == 500
    assert response["Content-Type"].startswith("text/html")
    assert "hunter2" not in response.content.decode()


@pytest.mark.parametrize(("path", "kind"), [("/api/cameras", "application/problem+json"), ("/", "text/html")])
def test_an_unknown_host_is_400(db: None, path: str, kind: str) -> None:
    response = Client().get(path, headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert response["Content-Type"].startswith(kind)


ASK = """
import json, django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
asked = {}
for method, path, headers in json.loads(input()):
    body = {"data": "{}", "content_type": "application/json"} if method == "POST" else {}
    response = getattr(client, method.lower())(path, headers={"Host": "localhost", **headers}, **body)
    asked[f"{method} {path} {' '.join(headers)}"] = [
        response.status_code, response["Content-Type"], response.get("Retry-After"), response.content.decode()
    ]
print(json.dumps(asked))
"""


WITH_KEY = {"X-API-Key": "nvr_abcdefgh_" + "x" * 43}
WITH_SESSION = {"Cookie": "nvr_sessionid=abcdefghijklmnopqrstuvwxyz012345"}


def answers_without_database(*requests: list[Any], process: str) -> dict[str, list[Any]]:
    """What a process answers whose database is missing; that of the web server waits 5 s for a pooled connection."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": "postgres://nobody:hunter2@127.0.0.1:1/nothing",
        "NVR_PROCESS": process,
    }
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps(requests),
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "hunter2" not in done.stderr
    answers: dict[str, list[Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.fixture(scope="module")
def without_database() -> dict[str, list[Any]]:
    return answers_without_database(
        ["GET", CAMERAS, WITH_KEY],
        ["GET", CAMERAS, WITH_SESSION],
        ["GET", f"{FRONT}/snapshot", {}],
        ["GET", "/api/media/cameras/a/b.jpg", WITH_KEY],
        ["GET", "/", WITH_SESSION],
        ["GET", "/login", {}],
        ["GET", "/api/health", {}],
        ["GET", "/api/health", WITH_KEY],
        ["GET", "/api/health", WITH_SESSION],
        ["GET", "/api/nowhere", {}],
        process="worker",
    )


@pytest.mark.slow
def test_without_a_database_the_web_server_and_its_pool_return_503() -> None:
    ((status, kind, retry_after, body),) = answers_without_database(["GET", CAMERAS, WITH_KEY], process="web").values()

    assert (status, kind) == (503, "application/problem+json")
    assert int(retry_after) > 0
    assert "hunter2" not in body


def test_without_a_database_the_api_returns_503_with_retry_after(
    without_database: dict[str, list[Any]],
) -> None:
    api = {key: answer for key, answer in without_database.items() if "/api/cameras" in key}
    assert len(api) == 3
    for key, (status, kind, retry_after, body) in api.items():
        assert (status, kind) == (503, "application/problem+json"), key
        assert int(retry_after) > 0
        assert json.loads(body)["status"] == 503
        assert "hunter2" not in body


def test_without_a_database_media_return_503_in_their_format(without_database: dict[str, list[Any]]) -> None:
    ((status, kind, retry_after, body),) = [answer for key, answer in without_database.items() if "/api/media" in key]
    assert (status, kind) == (503, "application/json")
    assert int(retry_after) > 0
    assert json.loads(body).keys() == {"error", "path"}


def test_without_a_database_pages_return_503(without_database: dict[str, list[Any]]) -> None:
    status, kind, retry_after, body = without_database["GET / Cookie"]
    assert status == 503
    assert kind.startswith("text/html")
    assert int(retry_after) > 0
    assert "hunter2" not in body


def test_without_a_database_independent_routes_still_work(without_database: dict[str, list[Any]]) -> None:
    assert without_database["GET /login "][0] == 200
    assert without_database["GET /api/nowhere "][0] == 404


def test_without_a_database_health_is_degraded(without_database: dict[str, list[Any]]) -> None:
    answers = [answer for key, answer in without_database.items() if "/api/health" in key]
    assert len(answers) == 3
    for status, _, _, body in answers:
        assert status == 200, body
        assert json.loads(body) == {"status": "degraded", "service": "mediareviewer-api"}


@pytest.mark.parametrize("path", ["/", "/login", "/admin/", "/api/cameras", "/api/health", "/cameras/a%00b"])
def test_a_nul_in_a_session_cookie_is_a_client_error(admin: User, path: str) -> None:
    """PostgreSQL refuses even to look for it."""
    browser = Client(raise_request_exception=False)
    browser.cookies["nvr_sessionid"] = "\0" + "a" * 31

    assert browser.get(path).status_code < 500


def test_a_value_rejected_by_the_database_is_400_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert describe(DataError("value out of range")).status == 400
    assert "value out of range" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "/admin/media_serving/event/?camera=%00",
        "/admin/cameras/camera/?status__exact=%00",
        "/admin/cameras/camera/%00/change/",
        "/?status=%00",
    ],
)
def test_a_nul_in_a_page_url_is_a_client_error(admin: User, address: str) -> None:
    browser = Client(raise_request_exception=False)
    browser.force_login(admin)

    assert browser.get(address).status_code < 500
