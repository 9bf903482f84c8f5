"""API version 1 under the same URLs, selected by `Accept`."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from cameras.models import Camera
from tests.factories import make_camera

CAMERAS = "/api/cameras"
V1 = {"HTTP_ACCEPT": "application/json; version=1"}
SIX = {"id", "name", "folder_path", "status", "created_at", "last_seen_at"}


def test_the_list_has_the_keys_cameras_and_count(api: APIClient, camera: Camera) -> None:
    body = api.get(CAMERAS, **V1).json()

    assert body.keys() == {"cameras", "count"}
    assert body["count"] == 1
    assert body["cameras"][0].keys() == SIX
    assert body["cameras"][0]["id"] == str(camera.uuid)


def test_all_cameras_are_listed_regardless_of_limit(api: APIClient) -> None:
    for number in range(3):
        make_camera(f"cam{number}")

    body = api.get(f"{CAMERAS}?limit=1", **V1).json()

    assert body["count"] == len(body["cameras"]) == 3


@pytest.mark.parametrize(
    ("status", "names"), [("online", ["on"]), ("offline", ["off", "un"]), ("error", ["er"]), ("unknown", [])]
)
def test_unknown_is_returned_and_filtered_as_offline(api: APIClient, status: str, names: list[str]) -> None:
    for name, value in (("on", "online"), ("off", "offline"), ("er", "error"), ("un", "unknown")):
        make_camera(name, status=value)

    cameras = api.get(f"{CAMERAS}?status={status}", **V1).json()["cameras"]

    assert [camera["name"] for camera in cameras] == names
    assert {camera["status"] for camera in cameras} <= {status}


def test_create_read_and_update_return_six_fields_and_the_uuid(api: APIClient) -> None:
    created = api.post(CAMERAS, {"name": "Yard", "folder_path": "/yard"}, format="json", **V1)
    address = f"{CAMERAS}/{created.json()['id']}"
    changed = api.patch(address, {"status": "offline"}, format="json", **V1)

    assert created.status_code == 201
    assert created.json().keys() == SIX
    assert created.json()["status"] == "online"
    assert changed.json()["status"] == "offline"
    assert api.get(address, **V1).json() == changed.json()
    assert api.get(f"{CAMERAS}/yard", **V1).json() == changed.json()
    assert api.delete(address, **V1).status_code == 204
    assert api.post(f"{address}/restore", **V1).json() == changed.json()


def test_a_taken_name_is_409_as_in_version_2(api: APIClient, camera: Camera) -> None:
    response = api.post(CAMERAS, {"name": "Front Door", "folder_path": "/x"}, format="json", **V1)

    assert response.status_code == 409
    assert response.headers["Content-Type"] == "application/problem+json"


def test_the_snapshot_is_an_attachment_in_version_1_and_inline_in_version_2(
    api: APIClient, camera: Camera, pictures: list[str]
) -> None:
    snapshot = f"{CAMERAS}/front_door/snapshot"

    assert api.get(snapshot, **V1)["Content-Disposition"] == 'attachment; filename="c.jpg"'
    assert api.get(snapshot, HTTP_ACCEPT="image/*; version=1")["Content-Disposition"].startswith("attachment")
    assert api.get(snapshot)["Content-Disposition"] == 'inline; filename="c.jpg"'
    assert api.get(snapshot, HTTP_ACCEPT="image/avif,image/webp,*/*;q=0.8")["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize("version", ["3", "0", "one", "1.0", '"', "2;version=1"])
@pytest.mark.parametrize("address", [CAMERAS, f"{CAMERAS}/front_door", f"{CAMERAS}/front_door/snapshot"])
def test_an_unknown_version_is_406(api: APIClient, camera: Camera, address: str, version: str) -> None:
    response = api.get(address, HTTP_ACCEPT=f"application/json; version={version}")

    if version == "2;version=1":
        assert response.status_code in {200, 404, 406}
    else:
        assert response.status_code == 406
        assert response.headers["Content-Type"] == "application/problem+json"


def test_the_versions_are_cached_separately(api: APIClient, camera: Camera) -> None:
    for _ in range(2):
        assert "cameras" in api.get(CAMERAS, **V1).json()
        assert "items" in api.get(CAMERAS).json()
        assert "items" in api.get(CAMERAS, HTTP_ACCEPT="application/json; version=2").json()


def test_vary_contains_accept(api: APIClient, camera: Camera) -> None:
    assert "Accept" in api.get(CAMERAS)["Vary"]
