"""`GET /api/detections`: what was found on cameras that one may see."""

from __future__ import annotations

import pytest

from cameras import registry
from nvr.api.pagination import encode_cursor
from tests.conftest import client_of
from tests.media_serving.evidence import LONG_AGO, after, detect

URL = "/api/detections"


def ids(response):
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["items"]]


def test_a_detection_has_the_documented_keys(api, camera):
    detection = detect(
        camera,
        after(0.5),
        bbox_x=1,
        bbox_y=2,
        bbox_width=3,
        bbox_height=4.5,
        frame_width=640,
        frame_height=480,
        source="frigate",
        external_id="x1",
    )

    assert api.get(f"{URL}/{detection.pk}").json() == {
        "id": detection.pk,
        "camera_id": "front_door",
        "event_id": detection.event_id,
        "detected_at": "2026-01-31T12:00:00.500Z",
        "file_path": f"{camera.folder_path}/a.jpg",
        "media_type": "image",
        "object_class": "person",
        "confidence": 0.8,
        "bbox": {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.5},
        "thumbnail_url": None,
        "source": "frigate",
        "external_id": "x1",
        "offset_ms": None,
        "frame_width": 640,
        "frame_height": 480,
    }


def test_the_list_contains_the_same_items_newest_first(api, camera):
    old, new = (detect(camera, after(seconds)) for seconds in (0, 5))

    response = api.get(URL)

    assert ids(response) == [new.pk, old.pk]
    assert response.json()["items"][0] == api.get(f"{URL}/{new.pk}").json()
    assert response.json()["pagination"] == {"next_cursor": None, "has_more": False, "limit": 50}


def test_the_thumbnail_url_is_set_once_there_is_a_thumbnail(api, camera):
    detection = detect(camera, LONG_AGO, thumbnail_size_bytes=1234)

    expected = f"/api/media/thumbnails/detection_{detection.pk}_thumb.jpg"
    assert api.get(f"{URL}/{detection.pk}").json()["thumbnail_url"] == expected


def test_paging_loses_and_repeats_nothing_when_timestamps_are_equal(api, camera):
    made = {detect(camera, after(n // 4)).pk for n in range(11)}

    seen, cursor = [], None
    while True:
        response = api.get(URL, {"limit": 3} | ({"cursor": cursor} if cursor else {}))
        seen += ids(response)
        cursor = response.json()["pagination"]["next_cursor"]
        if cursor is None:
            break

    assert len(seen) == 11
    assert set(seen) == made


def test_filters_narrow_the_list(api, camera, family_camera):
    car = detect(camera, after(0), object_class="car", confidence=0.5)
    person = detect(camera, after(10), confidence=0.9)
    other = detect(family_camera, after(20), confidence=0.3)

    assert ids(api.get(URL, {"camera_id": "front_door"})) == [person.pk, car.pk]
    assert ids(api.get(URL, {"camera_id": str(camera.uuid)})) == [person.pk, car.pk]
    assert ids(api.get(URL, {"camera_id": "nowhere"})) == []
    assert ids(api.get(URL, {"object_class": "car"})) == [car.pk]
    assert ids(api.get(URL, {"min_confidence": "0.5"})) == [person.pk, car.pk]
    assert ids(api.get(URL, {"from": "2026-01-31T12:00:10Z"})) == [other.pk, person.pk]
    assert ids(api.get(URL, {"to": "2026-01-31T12:00:10.000Z"})) == [person.pk, car.pk]
    assert ids(api.get(URL, {"from": "2026-01-31T13:00:01+01:00", "to": "2026-01-31T12:00:19Z"})) == [person.pk]
    assert ids(api.get(URL, {"from": "0001-01-01T00:00:00Z"})) == [other.pk, person.pk, car.pk]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "2026-01-31T12:00:00"),
        ("from", "2026-01-31 12:00:00 02:00"),
        ("from", "yesterday"),
        ("to", "2026-13-01T00:00:00Z"),
        ("to", ""),
        ("min_confidence", "1.1"),
        ("min_confidence", "-0.1"),
        ("min_confidence", "nan"),
        ("min_confidence", "inf"),
        ("min_confidence", "0_1"),
        ("min_confidence", "½"),
        ("min_confidence", "9" * 5000),
        ("object_class", ""),
        ("object_class", "x" * 65),
        ("object_class", "a\0b"),
        ("camera_id", "a\0b"),
        ("camera_id", ""),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "ten"),
        ("limit", "9" * 5000),
        ("cursor", "nonsense"),
        ("cursor", ""),
        ("cursor", encode_cursor("9999-12-31T23:59:59-23:59", 1)),
        ("cursor", encode_cursor("0001-01-01T00:00:00+23:59", 1)),
    ],
)
def test_an_invalid_filter_value_is_422_and_names_the_field(api, name, value):
    response = api.get(URL, {name: value})

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [name]


def test_a_range_with_its_end_before_its_start_is_422(api):
    assert api.get(URL, {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}).status_code == 422


def test_the_number_of_queries_does_not_grow_with_the_list(api, camera, django_assert_num_queries):
    detect(camera, LONG_AGO)
    api.get(URL)  # notes that the key was used
    with django_assert_num_queries(2):  # the key, the rows
        assert len(ids(api.get(URL))) == 1
    for seconds in range(20):
        detect(camera, after(seconds))
    with django_assert_num_queries(2):
        assert len(ids(api.get(URL))) == 21
    with django_assert_num_queries(3):  # and the camera
        api.get(URL, {"camera_id": "front_door", "object_class": "person", "limit": 5})


def test_an_unknown_detection_is_404(api, db):
    for name in ("1", "9" * 30):
        response = api.get(f"{URL}/{name}")
        assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert api.get(f"{URL}/one").status_code == 404


# Who sees what


def test_only_detections_of_visible_cameras_are_found(member, outsider, camera, family_camera):
    hidden, shown = detect(camera, after(0)), detect(family_camera, after(1))

    assert ids(client_of(member).get(URL)) == [shown.pk]
    assert ids(client_of(member).get(URL, {"camera_id": "front_door"})) == []
    assert client_of(member).get(f"{URL}/{hidden.pk}").status_code == 404
    assert client_of(member).get(f"{URL}/{shown.pk}").status_code == 200
    assert ids(client_of(outsider).get(URL)) == []
    assert client_of(outsider).get(f"{URL}/{shown.pk}").status_code == 404


def test_trashing_a_camera_hides_its_detections_until_it_is_restored(api, admin, camera):
    detection = detect(camera, LONG_AGO)

    registry.trash_camera(admin, camera)
    assert ids(api.get(URL)) == []
    assert api.get(f"{URL}/{detection.pk}").status_code == 404

    registry.restore_camera(admin, camera)
    assert ids(api.get(URL)) == [detection.pk]


def test_an_anonymous_request_is_401(stranger, camera):
    detection = detect(camera, LONG_AGO)

    for response in (stranger.get(URL), stranger.get(f"{URL}/{detection.pk}")):
        assert response.status_code == 401
        assert response["WWW-Authenticate"]
