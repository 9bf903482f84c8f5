"""`POST /api/detections`: a detector outside reports, once or several times."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.db import connection
from django.utils import timezone

from media_serving.models import Detection, Event
from nvr.accounts.models import ApiKey
from tests.conftest import client_of
from tests.factories import make_camera, make_user
from tests.media_serving.evidence import after, report

URL = "/api/detections"
BOX = {"x": 10, "y": 20.5, "width": 30, "height": 40}


def post(client, body):
    return client.post(URL, body, format="json")


@pytest.fixture
def reporter(family):
    """Sees the family's cameras and may report detections."""
    return client_of(make_user("reporter", "media_serving.add_detection", groups=(family,)))


def test_an_anonymous_request_is_401(stranger, camera):
    assert post(stranger, report(camera)).status_code == 401


def test_reporting_requires_the_permission_and_access_to_the_camera(reporter, member, camera, family_camera):
    assert post(client_of(member), report(family_camera)).status_code == 403
    assert post(reporter, report(family_camera)).status_code == 201
    assert post(reporter, report(camera)).status_code == 404
    assert post(reporter, report(camera, camera_id="nowhere")).status_code == 404
    assert Detection.objects.count() == 1


def test_a_read_only_key_cannot_report(admin, stranger, camera):
    _, text = ApiKey.objects.issue(user=admin, name="reader", read_only=True)

    assert stranger.post(URL, report(camera), format="json", HTTP_X_API_KEY=text).status_code == 403


def test_a_report_returns_the_detection_with_its_event(api, camera):
    response = post(
        api,
        report(camera, bbox=BOX, frame_width=640, frame_height=480, source="frigate", external_id="e1"),
    )

    assert response.status_code == 201
    body = response.json()
    event = Event.objects.get()
    assert body["event_id"] == event.pk
    assert body["bbox"] == BOX
    assert body["detected_at"] == "2026-01-31T12:00:00.500Z"
    assert body["file_path"] == f"{camera.folder_path}/a.jpg"
    assert (body["source"], body["external_id"]) == ("frigate", "e1")
    assert (event.started_at, event.ended_at) == (after(0.5), after(0.5))
    assert api.get(f"{URL}/{body['id']}").json() == body


def test_the_camera_may_be_given_by_its_uuid(api, camera):
    assert post(api, report(camera, camera_id=str(camera.uuid))).json()["camera_id"] == "front_door"


def test_a_current_detection_starts_an_open_event(api, camera):
    body = post(api, report(camera, detected_at=timezone.now().isoformat())).json()

    assert api.get(f"/api/events/{body['event_id']}").json()["ended_at"] is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31t12:00:00.123456z", "2026-01-31T12:00:00.123Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_timestamps_are_stored_in_utc_and_milliseconds(api, camera, given, kept):
    assert post(api, report(camera, detected_at=given)).json()["detected_at"] == kept


def test_a_clock_may_be_five_minutes_fast(api, camera):
    now = datetime.now(UTC)

    assert post(api, report(camera, detected_at=(now + timedelta(minutes=4)).isoformat())).status_code == 201
    assert post(api, report(camera, detected_at=(now + timedelta(minutes=6)).isoformat())).status_code == 422


@pytest.mark.parametrize(
    ("given", "below"),
    [("a.jpg", "a.jpg"), ("./day//one/b.mp4", "day/one/b.mp4"), ("{folder}/c.PNG", "c.PNG"), (" d .jpg", " d .jpg")],
)
def test_a_path_is_relative_to_the_cameras_folder_or_absolute_inside_it(api, camera, given, below):
    response = post(api, report(camera, file_path=given.format(folder=camera.folder_path)))

    assert response.json()["file_path"] == f"{camera.folder_path}/{below}"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd.jpg",
        "../other/a.jpg",
        "{folder}/../a.jpg",
        "{folder}",
        "{folder}_2/a.jpg",
        "/",
        ".",
        "a.exe",
        "a",
        "a\0.jpg",
        "",
        "x" * 4097,
        "y" * 4090 + ".jpg",
    ],
)
def test_a_path_outside_the_cameras_folder_is_422(api, camera, path):
    response = post(api, report(camera, file_path=path.format(folder=camera.folder_path)))

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["file_path"]


def test_the_media_type_depends_on_the_extension(api, camera):
    assert post(api, report(camera, file_path="a.MKV", offset_ms=1500)).json()["media_type"] == "video"
    assert post(api, report(camera, file_path="a.gif")).json()["media_type"] == "image"
    assert post(api, report(camera, file_path="a.gif", media_type="video")).status_code == 422


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("camera_id", None),
        ("camera_id", 7),
        ("camera_id", "a\0b"),
        ("detected_at", None),
        ("detected_at", 1769860800),
        ("detected_at", "2026-01-31T12:00:00"),
        ("detected_at", "0001-01-01T00:00:00+14:00"),
        ("detected_at", "9999-12-31T23:59:59-14:00"),
        ("file_path", None),
        ("file_path", ["a.jpg"]),
        ("object_class", ""),
        ("object_class", "x" * 65),
        ("object_class", "per\0son"),
        ("object_class", None),
        ("confidence", None),
        ("confidence", "0.5"),
        ("confidence", True),
        ("confidence", 1.01),
        ("confidence", -0.01),
        ("bbox", [1, 2, 3, 4]),
        ("bbox.width", {"x": 1, "y": 2, "height": 4}),
        ("bbox.width", BOX | {"width": 0}),
        ("bbox.x", BOX | {"x": -1}),
        ("bbox.y", BOX | {"y": 1e30}),
        ("bbox.height", BOX | {"height": None}),
        ("media_type", "sound"),
        ("media_type", None),
        ("source", ""),
        ("source", None),
        ("source", "x" * 65),
        ("external_id", "x" * 256),
        ("external_id", 7),
        ("offset_ms", 10),
        ("offset_ms", -1),
        ("offset_ms", 2**31),
        ("offset_ms", 1.5),
        ("frame_width", 640),
        ("frame_width", 0),
        ("frame_height", 10**9),
    ],
)
def test_an_invalid_value_is_422_and_names_the_field(api, camera, field, value):
    body = report(camera) | {field.split(".")[0]: value}

    response = post(api, body)

    assert response.status_code == 422
    assert any(error["field"].startswith(field) for error in response.json()["errors"])
    assert not Detection.objects.exists()


def test_a_box_must_be_inside_the_frame(api, camera):
    frame = {"frame_width": 40, "frame_height": 61}

    assert post(api, report(camera, bbox=BOX, **frame)).status_code == 201
    assert post(api, report(camera, bbox=BOX | {"width": 31}, **frame)).status_code == 422
    assert post(api, report(camera, bbox=BOX | {"y": 30}, **frame)).status_code == 422


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"text"', b'{"confidence": NaN}', b'{"a": "\\ud800"}'])
def test_an_invalid_body_is_422(api, db, data):
    response = api.generic("POST", URL, data, content_type="application/json")

    assert response.status_code == 422


def test_huge_numbers_are_422(api, camera):
    text = orjson.dumps(report(camera)).replace(b"0.75", b"1" + b"0" * 400)

    assert api.generic("POST", URL, text, content_type="application/json").status_code == 422


def test_another_content_type_is_415(api, camera):
    assert api.post(URL, report(camera), format="multipart").status_code == 415


def test_a_repeated_report_returns_the_first_detection(api, camera):
    body = report(camera, external_id="e1", bbox=BOX)
    first = post(api, body)

    again = post(api, body | {"file_path": f"{camera.folder_path}/./a.jpg"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert Event.objects.get().detection_count == 1


@pytest.mark.parametrize("change", [{"confidence": 0.5}, {"file_path": "b.jpg"}, {"bbox": None}])
def test_a_different_report_with_the_same_external_id_is_409(api, camera, change):
    body = report(camera, external_id="e1", bbox=BOX)
    post(api, body)

    response = post(api, body | change)

    assert response.status_code == 409
    assert Detection.objects.count() == 1


def test_the_same_external_id_of_another_source_or_camera_is_another_detection(api, camera, family_camera):
    bodies = [
        report(camera, external_id="e1"),
        report(camera, external_id="e1", source="frigate"),
        report(family_camera, external_id="e1"),
    ]

    assert [post(api, body).status_code for body in bodies] == [201, 201, 201]


def test_reports_without_an_external_id_are_always_new(api, camera):
    for name in ({}, {"external_id": None}, {"external_id": ""}):
        response = post(api, report(camera, **name))
        assert (response.status_code, response.json()["external_id"]) == (201, None)


@pytest.mark.django_db(transaction=True)
def test_of_many_concurrent_equal_reports_one_is_new():
    camera = make_camera("Crossing")
    reporter = client_of(make_user("reporter", is_superuser=True))
    key = reporter._credentials
    start, answers = threading.Barrier(8), []

    def send() -> None:
        client = type(reporter)()
        client.credentials(**key)
        start.wait()
        try:
            answers.append(post(client, report(camera, external_id="e1")))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Event.objects.get().detection_count == Detection.objects.count() == 1
