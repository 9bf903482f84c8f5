"""Who may do what: every route, method and role, in one table that a new route must join."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from cameras.models import Camera
from media_serving.models import Detection, Event, MediaType
from nvr.accounts.models import ApiKey
from reviewer.models import RunState, TrashRun
from reviewer.registry import add_path
from tests.conftest import client_of
from tests.factories import PASSWORD, folder_of, jpeg, make_camera, make_user, put
from tests.media_serving.ledger import enter
from tests.nvr.routes import ADMIN, METHODS, all_routes

# stranger: no credentials · outsider: signed in, in no group · member: of the group that the camera lists, may review
# viewer: `cameras.view_all` · editor: viewer with all model permissions, may review · staff: `is_staff`, nothing else
# chief: superuser · reader: a read-only key of the chief's
ROLES = ("stranger", "outsider", "member", "viewer", "editor", "staff", "chief", "reader")
EDITOR = [
    f"{app}.{verb}_{model}"
    for app, model in (
        ("cameras", "camera"),
        ("media_serving", "detection"),
        ("media_serving", "event"),
        ("media_serving", "upload"),
        ("reviewer", "reviewpath"),
    )
    for verb in ("view", "add", "change", "delete")
]
NEW_CAMERA = {"name": "New", "folder_path": "/cams/new"}
NEW_DETECTION = {
    "camera_id": "back_yard",
    "object_class": "person",
    "confidence": 0.9,
    "file_path": "a.jpg",
    "detected_at": "2026-01-31T12:00:00Z",
    "source": "porch",
}

# What the roles get, in their order. A method that is not here is 405 for who may come in at all.
EVERYONE = "200 200 200 200 200 200 200 200"
SIGNED_IN = "401 200 200 200 200 200 200 200"
SEEN = "401 404 200 200 200 404 200 200"
STAFF = "401 403 403 403 403 200 200 200"
REVIEW = "401 403 200 403 200 403 200 200"
MARK = "401 403 200 403 200 403 200 403"
API: dict[str, dict[str, str]] = {
    "api/health": {"GET": EVERYONE},
    "api/system/health": {"GET": STAFF},
    "api/token": {"POST": EVERYONE},
    "api/token/refresh": {"POST": "401 401 401 401 401 401 401 401"},  # of what is no refresh token
    "api/audit": {"GET": STAFF},
    "api/schema": {"GET": SIGNED_IN},
    "api/cameras": {"GET": SIGNED_IN, "POST": "401 403 403 403 201 403 201 403"},
    "api/cameras/deleted": {"GET": SIGNED_IN},
    "api/cameras/validation/paths": {"GET": "401 403 403 403 200 403 200 200"},
    "api/cameras/<str:camera_id>": {
        "GET": SEEN,
        "PATCH": "401 403 403 403 200 403 200 403",
        "DELETE": "401 403 403 403 204 403 204 403",
    },
    "api/cameras/<str:camera_id>/restore": {"POST": "401 403 403 403 200 403 200 403"},
    "api/cameras/<str:camera_id>/purge": {"POST": "401 403 403 403 204 403 204 403"},
    "api/cameras/<str:camera_id>/snapshot": {"GET": "404 404 200 200 200 404 200 200"},
    "api/detections": {"GET": SIGNED_IN, "POST": "401 403 403 403 201 403 201 403"},
    "api/detections/<int:detection_id>": {"GET": SEEN},
    "api/events": {"GET": SIGNED_IN},
    "api/events/batch": {"POST": "401 403 403 403 207 403 207 403"},
    "api/events/<int:event_id>": {"GET": SEEN, "PATCH": "401 403 403 403 200 403 200 403"},
    "api/events/<int:event_id>/detections": {"GET": SEEN},
    "api/uploads": {"GET": STAFF},
    "api/uploads/<int:upload_id>/retry": {"POST": "401 403 403 403 403 403 202 403"},
    "api/events/<int:event_id>/clip": {"POST": "401 403 403 403 202 403 202 403"},
    "api/signed-urls": {"POST": "401 404 200 200 200 404 200 403"},
    "api/media/cameras/<str:camera_id>/<rest:filename>": {"GET": SEEN},
    "api/media/thumbnails/<rest:filename>": {"GET": SEEN},
    "api/media/detections/<rest:detection_id>": {"GET": SEEN},
    "api/media/uploads/<rest:upload_id>": {"GET": SEEN},
    "api/media/clips/<rest:filename>": {"GET": SEEN},
    "api/media/<rest:path>": {"GET": "401 404 404 404 404 404 404 404"},  # of what none of the four names
    "api/review-paths": {
        "GET": REVIEW,
        "POST": "401 403 403 403 201 403 201 403",
        "DELETE": "401 403 403 403 200 403 200 403",
    },
    "api/folders": {"GET": REVIEW},
    "api/folders/files": {"GET": REVIEW},
    "api/media-items/stream": {"GET": REVIEW},
    "api/media-items/position": {"GET": REVIEW},
    "api/media-items/summary": {"GET": REVIEW},
    "api/media-items/progress": {"GET": REVIEW},
    "api/media-items/batch": {"POST": "401 403 207 403 207 403 207 403"},
    "api/media-thumbnail": {"GET": REVIEW},
    "api/media-file": {"GET": REVIEW},
    "api/media-actions": {"POST": MARK},
    "api/empty-trash": {"POST": MARK},
    "api/trash-runs": {"GET": REVIEW},
    "api/trash-runs/<int:run_id>": {"GET": REVIEW},
    "api/trash-runs/<int:run_id>/cancel": {"POST": MARK},
}
# Pages know sessions only, so the reader's key makes them a stranger there; who is none is sent to the login.
PAGE = "302 200 200 200 200 200 200 302"
REVIEW_PAGE = "302 403 200 403 200 403 200 302"
PAGES: dict[str, dict[str, str]] = {
    "": {"GET": PAGE},
    "live.json": {"GET": PAGE},
    "cameras/<str:camera_id>": {"GET": "302 404 200 200 200 404 200 302"},
    "events": {"GET": PAGE, "POST": "302 403 403 403 302 403 302 302"},
    "events/<int:event_id>": {
        "GET": "302 404 200 200 200 404 200 302",
        "POST": "302 404 403 403 302 404 302 302",
    },
    "events/<int:event_id>/clip": {"POST": "302 404 403 403 302 404 302 302"},
    "ingest": {"GET": "302 302 302 302 302 302 302 302"},
    "uploads": {"GET": "302 403 403 403 403 200 200 302"},
    "uploads/<int:upload_id>/retry": {"POST": "302 403 403 403 403 404 302 302"},
    "api/docs": {"GET": PAGE},
    "review": {"GET": REVIEW_PAGE},
    "review/mark": {"POST": "302 403 302 403 302 403 302 302"},
    "review/paths": {"GET": "302 403 403 403 200 403 200 302", "POST": "302 403 403 403 302 403 302 302"},
    "review/trash": {"GET": REVIEW_PAGE, "POST": "302 403 302 403 302 403 302 302"},
    "login": {"GET": "200 302 302 302 302 302 302 200", "POST": "302 302 302 302 302 302 302 302"},
    "logout": {"POST": "302 302 302 302 302 302 302 302"},
    "password": {"GET": PAGE, "POST": PAGE},
    "password/done": {"GET": "302 302 302 302 302 302 302 302"},
    ADMIN: {"GET": "302 302 302 302 302 200 200 302"},
}
BODIES: dict[tuple[str, str], Any] = {
    ("events", "POST"): {"ids": "1", "reviewed": "true"},
    ("api/token", "POST"): {"username": "member", "password": PASSWORD},
    ("api/token/refresh", "POST"): {"refresh": "x"},
    ("api/cameras", "POST"): NEW_CAMERA,
    ("api/cameras/<str:camera_id>", "PATCH"): {"notes": "x"},
    ("api/detections", "POST"): NEW_DETECTION,
    ("api/events/<int:event_id>", "PATCH"): {"notes": "x"},
    ("api/events/batch", "POST"): {"ids": [1], "reviewed": True},
    ("api/signed-urls", "POST"): {"path": "/api/media/cameras/back_yard/a.jpg"},
    ("login", "POST"): {"username": "member", "password": PASSWORD},
    ("review/paths", "POST"): {"path": "{card}"},
    ("review/trash", "POST"): {"path": "{card}"},
    ("api/review-paths", "POST"): {"path": "{card}"},
    ("api/review-paths", "DELETE"): {"path": "{card}"},
    ("api/media-items/batch", "POST"): {"paths": ["{card}/a.jpg"], "action": "seen"},
    ("api/media-actions", "POST"): {"path": "{card}/a.jpg", "action": "seen"},
}
QUERIES: dict[str, dict[str, str]] = {
    "api/folders": {"path": "{card}"},
    "api/folders/files": {"path": "{card}"},
    "review/paths": {"path": "{card}"},
    "review/trash": {"path": "{card}"},
    "api/media-items/stream": {"path": "{card}"},
    "api/media-items/position": {"path": "{card}", "item": "{card}/a.jpg"},
    "api/media-items/summary": {"path": "{card}"},
    "api/media-items/progress": {"path": "{card}"},
    "api/media-thumbnail": {"path": "{card}/a.jpg"},
    "api/media-file": {"path": "{card}/a.jpg"},
}
# The only ways in without credentials. Static files are served before any view; signed addresses carry theirs.
WITHOUT_CREDENTIALS = {
    ("api/health", "GET"),
    ("api/cameras/<str:camera_id>/snapshot", "GET"),
    ("api/token", "POST"),
    ("api/token/refresh", "POST"),
    ("login", "GET"),
    ("login", "POST"),
}


@dataclass
class House:
    """One camera that lists a group, with a file, a detection, an event and its clip; another one in the trash.

    An upload of the camera that failed. And a review path of the same group, `card`, with a picture.
    """

    people: dict[str, User]
    values: dict[str, str] = field(default_factory=dict)

    def client(self, role: str, *, session: bool) -> APIClient | Client:
        if role == "stranger":
            return Client() if session else APIClient()
        if role == "reader":
            client = APIClient()
            client.credentials(
                HTTP_X_API_KEY=ApiKey.objects.issue(user=self.people["chief"], name="r", read_only=True)[1]
            )
            return client
        if not session:
            return client_of(self.people[role])
        browser = Client()
        browser.force_login(self.people[role])
        return browser


@pytest.fixture
def house(family: Group, settings, tmp_path) -> House:
    settings.RATES = {tier: {"user": "9999/m", "anonymous": "9999/m"} for tier in settings.RATES}
    people = {
        "outsider": make_user("outsider"),
        "member": make_user("member", "reviewer.review", groups=(family,)),
        "viewer": make_user("viewer", "cameras.view_all"),
        "editor": make_user("editor", "cameras.view_all", "reviewer.review", *EDITOR),
        "staff": make_user("staff", is_staff=True),
        "chief": make_user("chief", is_staff=True, is_superuser=True),
    }
    camera = make_camera("Back Yard", groups=(family,))
    make_camera("Gone", groups=(family,), deleted_at=timezone.now())
    put(folder_of(camera), "a.jpg", jpeg())
    card = tmp_path.resolve() / "card"
    put(card, "a.jpg", jpeg())
    add_path(people["chief"], str(card), groups=(family,))
    run = TrashRun.objects.create(state=RunState.DONE, started_by=people["member"])
    return House(people, recorded(camera) | {"card": str(card), "run": str(run.pk)})


def recorded(camera: Camera) -> dict[str, str]:
    """A detection with its thumbnail, an event with its clip, an upload with its copy; the addresses' parts of them."""
    now = timezone.now()
    event = Event.objects.create(camera=camera, started_at=now, last_detected_at=now, ended_at=now)
    detection = Detection.objects.create(
        camera=camera,
        event=event,
        detected_at=now,
        file_path=f"{camera.folder_path}/a.jpg",
        media_type=MediaType.IMAGE,
        object_class="person",
        confidence=0.9,
    )
    put(detection.thumbnail_path.parent, detection.thumbnail_path.name, jpeg())
    put(event.clip_path.parent, event.clip_path.name, b"\0\0\0\x18ftypmp42" + bytes(100))
    Detection.objects.filter(pk=detection.pk).update(thumbnail_size_bytes=5)
    Event.objects.filter(pk=event.pk).update(clip_size_bytes=112, clip_created_at=now)
    upload = enter(camera, "b.jpg", state="failed", is_kept=True)
    put(upload.kept_path.parent, upload.kept_path.name, jpeg())
    return {"detection": str(detection.pk), "event": str(event.pk), "upload": str(upload.pk)}


def address_of(route: str, house: House) -> str:
    camera = "gone" if route.endswith(("/restore", "/purge")) else "back_yard"
    filename = {
        "api/media/thumbnails/<rest:filename>": f"detection_{house.values['detection']}_thumb.jpg",
        "api/media/clips/<rest:filename>": f"{house.values['event']}_clip.mp4",
    }.get(route, "a.jpg")
    parts = {
        "<str:camera_id>": camera,
        "<int:detection_id>": house.values["detection"],
        "<rest:detection_id>": house.values["detection"],
        "<int:event_id>": house.values["event"],
        "<int:upload_id>": house.values["upload"],
        "<rest:upload_id>": house.values["upload"],
        "<rest:filename>": filename,
        "<rest:path>": "nothing/of/this",
        "<int:run_id>": house.values["run"],
        "empty-trash": "empty-trash?dry_run=1",  # no worker is there to take a real one
    }
    for part, value in parts.items():
        route = route.replace(part, value)
    return f"/{route}"


def filled(value: Any, house: House) -> Any:
    """With `{card}` where the review path stands."""
    if isinstance(value, dict):
        return {name: filled(inner, house) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, house) for inner in value]
    return value.replace("{card}", house.values["card"]) if isinstance(value, str) else value


def ask(house: House, route: str, method: str, role: str) -> int:
    """The status, with everything that was changed put back."""
    session = route in PAGES
    body = filled(BODIES.get((route, method), {}), house)
    with transaction.atomic():
        client = house.client(role, session=session)
        send = getattr(client, method.lower())
        address = address_of(route, house)
        if method == "GET":
            response = send(address, filled(QUERIES.get(route, {}), house))
        elif session:
            response = send(address, body)
        else:
            response = send(address, body, format="json")
        if response.streaming:
            b"".join(response.streaming_content)
        transaction.set_rollback(True)
    return response.status_code


def test_the_tables_list_exactly_the_existing_routes() -> None:
    assert set(all_routes()) == API.keys() | PAGES.keys()


@pytest.mark.parametrize(
    ("route", "method"), [(route, method) for table in (API, PAGES) for route in table for method in table[route]]
)
def test_each_role_gets_the_status_in_the_table(house: House, route: str, method: str) -> None:
    expected = (API | PAGES)[route][method].split()

    found = [str(ask(house, route, method, role)) for role in ROLES]

    assert dict(zip(ROLES, found, strict=True)) == dict(zip(ROLES, expected, strict=True))


@pytest.mark.parametrize("route", API)
def test_every_other_method_is_405(house: House, route: str) -> None:
    for method in set(METHODS) - API[route].keys():
        assert ask(house, route, method, "chief") == 405, method
        assert ask(house, route, method, "stranger") in {401, 405}, method
        assert ask(house, route, method, "member") in {403, 405}, method
    assert ask(house, route, "OPTIONS", "chief") == 405


def test_exactly_these_routes_are_public(house: House) -> None:
    """A status that is neither 401 nor the login's redirect means that the view was entered."""
    entered = set()
    for table in (API, PAGES):
        for route in table:
            for method in METHODS:
                status = ask(house, route, method, "stranger")
                if status not in {302, 401, 405} or (route, method) in {
                    ("api/token/refresh", "POST"),
                    ("login", "POST"),
                }:
                    entered.add((route, method))
    assert entered == WITHOUT_CREDENTIALS


def test_head_has_the_permissions_of_get(house: House) -> None:
    for route in ("api/cameras/<str:camera_id>/snapshot", "api/media/cameras/<str:camera_id>/<rest:filename>"):
        expected = API[route]["GET"].split()
        for role, status in zip(ROLES, expected, strict=True):
            client = house.client(role, session=False)
            assert client.head(address_of(route, house)).status_code == int(status), (route, role)


def test_ranges_and_widths_do_not_bypass_permissions(house: House) -> None:
    outsider = house.client("outsider", session=False)
    for route in API:
        if route.startswith("api/media/") or "snapshot" in route:
            address = address_of(route, house)
            assert outsider.get(address, HTTP_RANGE="bytes=0-0").status_code == 404
            assert outsider.get(f"{address}?width=160").status_code == 404


def test_a_trashed_camera_is_not_found_for_anyone(house: House) -> None:
    Camera.objects.filter(slug="back_yard").update(deleted_at=timezone.now())
    for route, table in API.items():
        if table.get("GET") == SEEN or "snapshot" in route:
            assert ask(house, route, "GET", "chief") == 404, route
