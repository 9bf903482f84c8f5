"""Unsafe routes refuse query parameters and body keys that they do not know: one table over all of them."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from cameras.api.serializers import CameraInput, CameraOut
from media_serving.api.serializers import DetectionIn, EventOut, EventUpdate
from tests.nvr.routes import METHODS, all_routes
from tests.nvr.test_error_shapes import REVIEWER, address_of, check

pytestmark = pytest.mark.django_db

# What each takes: query parameters, then keys of the body.
NOTHING: tuple[set[str], set[str]] = (set(), set())
KNOWN: dict[tuple[str, str], tuple[set[str], set[str]]] = {
    ("api/token", "POST"): (set(), {"username", "password"}),
    ("api/token/refresh", "POST"): (set(), {"refresh"}),
    ("api/cameras", "POST"): (set(), {*CameraInput().fields, *CameraOut().fields}),
    ("api/cameras/<str:camera_id>", "PATCH"): (set(), {*CameraInput().fields, *CameraOut().fields}),
    ("api/cameras/<str:camera_id>", "DELETE"): NOTHING,
    ("api/cameras/<str:camera_id>/restore", "POST"): NOTHING,
    ("api/cameras/<str:camera_id>/purge", "POST"): NOTHING,
    ("api/detections", "POST"): (set(), set(DetectionIn().fields)),
    ("api/events/<int:event_id>", "PATCH"): (set(), {*EventUpdate().fields, *EventOut().fields}),
    ("api/events/batch", "POST"): (set(), {"ids", "keep", "reviewed"}),
    ("api/events/<int:event_id>/clip", "POST"): NOTHING,
    ("api/uploads/<int:upload_id>/retry", "POST"): NOTHING,
    ("api/signed-urls", "POST"): (set(), {"path", "expires_in"}),
    ("api/review-paths", "POST"): (set(), {"path"}),
    ("api/review-paths", "DELETE"): (set(), {"path"}),
    ("api/media-items/batch", "POST"): (set(), {"paths", "action"}),
    ("api/media-actions", "POST"): (set(), {"path", "action"}),
    ("api/empty-trash", "POST"): ({"dry_run"}, {"path"}),
    ("api/trash-runs/<int:run_id>/cancel", "POST"): NOTHING,
}
UNKNOWN_QUERIES = [
    "dryRun=1",
    "dry-run=1",
    "path=/x",
    "DRY_RUN=1",
    "version=1",
    "format=json",
    "camera_id",
    "=1",
    "ä=1",
]
UNKNOWN_KEYS = ["dryRun", "Path", "paths ", "", "ä", "a" * 1000, "\0"]


def unsafe_routes() -> set[tuple[str, str]]:
    found = set()
    for route, entry in all_routes().items():
        callback: Any = entry.callback
        if route.startswith("api/") and hasattr(callback, "cls"):
            known = getattr(callback, "actions", None) or [
                m.lower() for m in METHODS if hasattr(callback.cls, m.lower())
            ]
            found |= {(route, method) for method in METHODS[1:] if method.lower() in known}
    return found


def send(client: APIClient, route: str, method: str, query: str = "", body: Any = None) -> Any:
    address = address_of(route).partition("?")[0] + (f"?{query}" if query else "")
    return getattr(client, method.lower())(address, body, format="json")


def check_refused(response: Any, route: str, names: set[str]) -> None:
    path = address_of(route).partition("?")[0]
    is_review = path.startswith(REVIEWER)
    check(response, 400 if is_review else 422, path)
    if is_review:
        assert all(name in response.json()["error"] for name in names)
    else:
        assert {error["field"] for error in response.json()["errors"]} == names


def test_the_table_lists_exactly_the_unsafe_routes() -> None:
    assert unsafe_routes() == KNOWN.keys()


@pytest.mark.parametrize(("route", "method"), KNOWN)
def test_unknown_query_parameters_are_rejected(api: APIClient, route: str, method: str) -> None:
    for query in UNKNOWN_QUERIES:
        check_refused(send(api, route, method, query), route, {query.partition("=")[0]})

    for name in KNOWN[route, method][0]:
        check_refused(send(api, route, method, f"{name}=1&x=1"), route, {"x"})


@pytest.mark.parametrize(("route", "method"), KNOWN)
def test_unknown_body_keys_are_rejected(api: APIClient, route: str, method: str) -> None:
    known = dict.fromkeys(KNOWN[route, method][1], "x")

    for key in UNKNOWN_KEYS:
        check_refused(send(api, route, method, body=known | {key: "x"}), route, {key[:50]})


@pytest.mark.parametrize(("route", "method"), KNOWN)
@pytest.mark.parametrize("body", [[], ["path"], "path", 1, True])
def test_a_body_that_is_not_an_object_is_rejected(api: APIClient, route: str, method: str, body: Any) -> None:
    check_refused(send(api, route, method, body=body), route, {"body"})


@pytest.mark.parametrize(("route", "method"), KNOWN)
def test_a_body_that_is_not_json_is_rejected(api: APIClient, route: str, method: str) -> None:
    address = address_of(route).partition("?")[0]

    answer = getattr(api, method.lower())(address, b"{", content_type="application/json")
    form = getattr(api, method.lower())(address, b"x=1", content_type="application/x-www-form-urlencoded")

    check_refused(answer, route, {"body"})
    check(form, 415, address)


@pytest.mark.parametrize(("route", "method"), KNOWN)
def test_known_keys_are_not_rejected_as_unknown(api: APIClient, route: str, method: str) -> None:
    parameters, keys = KNOWN[route, method]
    query = "&".join(f"{name}=1" for name in parameters)

    answer = send(api, route, method, query, dict.fromkeys(keys, None))

    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    assert b"is not a" not in body


def test_the_openapi_documents_forbid_unknown_keys(api: APIClient) -> None:
    schemas = api.get("/api/schema").json()["components"]["schemas"]
    sent = {name: schema for name, schema in schemas.items() if name.endswith("Request") and "properties" in schema}

    assert len(sent) >= 10
    assert all(schema["additionalProperties"] is False for schema in sent.values())


def test_unknown_nested_keys_are_rejected(api: APIClient) -> None:
    box = {"x": 1, "y": 1, "width": 1, "height": 1, "depth": 1}

    answer = api.post("/api/detections", {"bbox": box}, format="json")

    assert [error["field"] for error in answer.json()["errors"]] == ["bbox.depth"]


def test_unauthorized_requests_are_rejected_before_unknown_input(stranger: APIClient) -> None:
    for route, method in KNOWN.keys() - {("api/token", "POST"), ("api/token/refresh", "POST")}:
        assert send(stranger, route, method, "dryRun=1").status_code == 401


def test_unknown_parameters_of_get_requests_are_ignored(api: APIClient) -> None:
    """A cache buster in an address of a picture or a list harms nobody."""
    assert api.get("/api/cameras?_=123").status_code == 200
