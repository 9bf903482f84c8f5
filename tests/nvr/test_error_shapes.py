"""The shape of 401, 404, 405 and 429 below every route: each API's own, also where no view was reached."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.conftest import client_of
from tests.nvr.routes import METHODS, all_routes

pytestmark = pytest.mark.django_db
PAGES = {"api/docs"}
OPEN = {"api/health", "api/token", "api/token/refresh", "api/cameras/<str:camera_id>/snapshot"}
ROUTES = sorted(route for route in all_routes() if route.startswith("api/") and route not in PAGES)
REVIEWER = ("/api/review-paths", "/api/folders", "/api/media-", "/api/empty-trash", "/api/trash-runs")
NAMES = {
    "<str:camera_id>": "nobody",
    "<int:detection_id>": "99999999",
    "<rest:detection_id>": "99999999",
    "<int:event_id>": "99999999",
    "<int:run_id>": "99999999",
    "<int:upload_id>": "99999999",
    "empty-trash": "empty-trash?dry_run=1",  # no worker is there to take a real one
    "<rest:filename>": "nothing.jpg",
    "<rest:path>": "cameras/nobody/nothing.jpg",
}


def address_of(route: str) -> str:
    for part, value in NAMES.items():
        route = route.replace(part, value)
    return f"/{route}"


def first_method(route: str) -> str:
    """A method that the route knows."""
    callback = all_routes()[route].callback
    known = getattr(callback, "actions", None) or callback.cls.http_method_names
    return next(method for method in METHODS if method.lower() in known and hasattr_method(callback, method))


def hasattr_method(callback: Any, method: str) -> bool:
    return bool(getattr(callback, "actions", None)) or hasattr(callback.cls, method.lower())


def check(response: Any, status: int, path: str) -> None:
    """The body that this part of the API promises, with exactly its keys."""
    assert response.status_code == status, (path, response.content)
    body = response.json()
    if path.startswith("/api/media/"):
        assert response["Content-Type"] == "application/json"
        assert body.keys() == {"error", "path"}
        assert body["path"] == path.removeprefix("/api/media/")
        assert isinstance(body["error"], str)
    elif path.startswith(REVIEWER):
        assert response["Content-Type"] == "application/json"
        assert body.keys() == {"error"}
    else:
        assert response["Content-Type"] == "application/problem+json"
        assert body.keys() - {"errors"} == {"type", "title", "status", "detail", "instance"}
        assert (body["status"], body["instance"]) == (status, path)
    assert response["X-Request-Id"]


def send(client: APIClient, method: str, address: str, **headers: str) -> Any:
    return getattr(client, method.lower())(address, **({} if method == "GET" else {"format": "json"}), **headers)


@pytest.mark.parametrize("route", ROUTES)
def test_401(stranger: APIClient, route: str) -> None:
    address = address_of(route)

    if route not in OPEN:
        response = send(stranger, first_method(route), address)
        check(response, 401, address)
        assert response["WWW-Authenticate"]
    if not route.startswith("api/token"):
        for header in ({"HTTP_X_API_KEY": "wrong"}, {"HTTP_AUTHORIZATION": "Bearer wrong"}):
            response = send(stranger, first_method(route), address, **header)
            check(response, 401, address)
            assert response["WWW-Authenticate"]


@pytest.mark.parametrize("route", ROUTES)
def test_405(api: APIClient, route: str) -> None:
    address = address_of(route)
    callback = all_routes()[route].callback
    known = getattr(callback, "actions", None) or [m.lower() for m in METHODS if hasattr(callback.cls, m.lower())]

    for method in METHODS:
        if method.lower() not in known:
            response = send(api, method, address)
            check(response, 405, address)
            assert response["Allow"]


@pytest.mark.parametrize("route", [route for route in ROUTES if "<" in route])
def test_404(api: APIClient, route: str) -> None:
    address = address_of(route)

    check(send(api, first_method(route), address), 404, address)


@pytest.mark.parametrize("route", ROUTES)
def test_429(admin: User, route: str, settings) -> None:
    settings.RATES = {tier: {"user": "1/d", "anonymous": "1/d"} for tier in settings.RATES}
    client, address = client_of(admin), address_of(route)
    send(client, first_method(route), address)

    response = send(client, first_method(route), address)

    check(response, 429, address)
    assert int(response["Retry-After"]) >= 1
    assert response["X-RateLimit-Remaining"] == "0"


@pytest.mark.parametrize(
    "address",
    [
        "/api/nowhere",
        "/api/",
        "/api/cameras/",
        "/api/cameras/a/b/c",
        "/api/CAMERAS",
        "/api/events/x",
        "/api/detections/-1",
        "/api/events/99999999999999999999",
    ],
)
def test_an_unknown_address_is_404_in_json(stranger: APIClient, api: APIClient, address: str) -> None:
    for client in (stranger, api):
        check(client.get(address), 404, address) if client is api else None
        response = client.get(address)
        assert response.status_code in {401, 404}
        assert response["Content-Type"] == "application/problem+json"


def test_an_unknown_address_with_any_method_is_404(stranger: APIClient) -> None:
    for method in METHODS:
        check(send(stranger, method, "/api/nowhere"), 404, "/api/nowhere")
