"""POST /api/cameras."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from cameras.models import Camera
from nvr.audit.models import AuditEntry
from tests.conftest import client_of
from tests.factories import make_user

CAMERAS = "/api/cameras"
FRONT = {"name": "Front Door Camera", "folder_path": "/export/foscam/front_door", "status": "online"}


def create(client: APIClient, **values: object):
    return client.post(CAMERAS, FRONT | values, format="json")


def test_a_camera_is_created_as_documented(api: APIClient) -> None:
    response = create(api)

    assert response.status_code == 201
    body = response.json()
    assert body["id"] == "front_door_camera"
    assert {key: body[key] for key in FRONT} == FRONT
    assert body["last_seen_at"] is None
    assert body["created_at"].endswith("Z") and len(body["created_at"]) == 20
    assert body["ingestion_mode"] == "ftp"
    assert body["rtsp_url"] is None
    assert body["stream_profile"] == "main"
    assert body["motion_sensitivity"] == 0.5
    assert (body["detect_every_frame"], body["detection_confidence"]) == (False, 0.5)
    assert (body["detection_classes"], body["detection_width"]) == ([], 768)


def test_only_name_and_folder_are_required(api: APIClient) -> None:
    response = api.post(CAMERAS, {"name": "x", "folder_path": "/x"}, format="json")

    assert response.status_code == 201
    assert response.json()["status"] == "online"


def test_every_field_is_stored_and_returned(api: APIClient, family: Group) -> None:
    values = {
        "status": "unknown",
        "ingestion_mode": "onvif",
        "rtsp_url": "rtsps://10.0.0.7:322/main",
        "stream_profile": "both",
        "motion_sensitivity": 0,
        "enabled": False,
        "time_zone": "Europe/Berlin",
        "groups": ["family"],
        "notes": "by the\nwindow",
        "detector": "none",
        "detect_every_frame": True,
        "detection_confidence": 0.25,
        "detection_classes": ["person", "dog"],
        "detection_width": 1280,
        "onvif_url": "http://10.0.0.7:8080/onvif/device_service",
        "public": False,
        "offline_after_seconds": 120,
    }

    created = create(api, rtsp_username="root", rtsp_password="hunter2", **values)

    assert created.status_code == 201, created.content
    body = api.get(f"{CAMERAS}/front_door_camera").json()
    assert body == created.json()
    assert {key: body[key] for key in values} == values
    assert not {"rtsp_password", "rtsp_username"} & body.keys()
    stored = Camera.objects.get()
    assert (stored.rtsp_username, stored.rtsp_password) == ("root", "hunter2")


def test_the_password_is_encrypted_at_rest(api: APIClient) -> None:
    from django.db import connection

    create(api, rtsp_password="hunter2")

    with connection.cursor() as cursor:
        cursor.execute("SELECT rtsp_password FROM cameras_camera")
        (stored,) = cursor.fetchone()
    assert stored
    assert "hunter2" not in stored


def test_name_and_folder_are_normalized(api: APIClient) -> None:
    body = create(api, name="  Yard  ", folder_path="/cams//yard/./a/").json()

    assert body["name"] == "Yard"
    assert body["folder_path"] == "/cams/yard/a"


def test_creating_is_audited_with_actor_and_address_and_without_the_password(api: APIClient) -> None:
    create(api, rtsp_password="hunter2")

    entry = AuditEntry.objects.get(action="camera_created")
    assert (entry.actor_name, entry.target_type, entry.target_name) == ("chief", "camera", "Front Door Camera")
    assert entry.address == "127.0.0.1"
    assert entry.changes["name"] == [None, "Front Door Camera"]
    assert "hunter2" not in json.dumps(entry.changes)


def test_the_groups_of_a_new_camera_are_audited(api: APIClient, family: Group) -> None:
    create(api, groups=["family"])

    assert AuditEntry.objects.get(action="camera_created").changes["groups"] == [None, ["family"]]


def test_a_rejected_camera_leaves_no_row_and_no_audit_entry(api: APIClient) -> None:
    assert create(api, motion_sensitivity=7).status_code == 422

    assert not Camera.everything.exists()
    assert not AuditEntry.objects.filter(target_type="camera").exists()


@pytest.mark.parametrize("permission", [(), ("cameras.view_all",), ("cameras.change_camera",)])
def test_creating_a_camera_requires_the_add_permission(db: None, permission: tuple[str, ...]) -> None:
    assert create(client_of(make_user("u", *permission))).status_code == 403
    assert not Camera.everything.exists()


def test_users_with_the_add_permission_may_create_cameras(db: None) -> None:
    assert create(client_of(make_user("u", "cameras.add_camera"))).status_code == 201


@pytest.mark.parametrize("given", [{}, {"groups": []}])
def test_a_user_limited_to_groups_adds_a_camera_to_these_groups(family: Group, given: dict[str, object]) -> None:
    Group.objects.create(name="strangers")
    client = client_of(make_user("u", "cameras.add_camera", groups=(family,)))

    body = create(client, **given).json()

    assert (body["groups"], body["public"]) == (["family"], False)
    assert client.get("/api/cameras/front_door_camera").status_code == 200
    assert AuditEntry.objects.get(action="camera_created").changes["groups"] == [None, ["family"]]


def test_requested_groups_are_used_even_if_the_user_is_in_others(family: Group) -> None:
    Group.objects.create(name="neighbours")
    client = client_of(make_user("u", "cameras.add_camera", groups=(family,)))

    assert create(client, groups=["neighbours"]).json()["groups"] == ["neighbours"]


def test_a_user_who_sees_all_cameras_adds_one_without_groups(family: Group) -> None:
    client = client_of(make_user("u", "cameras.add_camera", "cameras.view_all", groups=(family,)))

    response = create(client)
    assert (response.status_code, response.json()["groups"]) == (201, [])


def test_read_only_keys_change_nothing(api: APIClient) -> None:
    body = create(api, id="other", uuid="nonsense", created_at="1999-01-01T00:00:00Z").json()

    assert body["id"] == "front_door_camera"
    assert not body["created_at"].startswith("1999")


def test_an_unknown_key_is_rejected(api: APIClient) -> None:
    response = create(api, colour="red")

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["colour"]
    assert not Camera.objects.exists()


def test_a_public_camera_cannot_have_groups(api: APIClient, family: Group) -> None:
    response = create(api, public=True, groups=["family"])

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["public"]


def test_a_stream_requires_its_url(api: APIClient) -> None:
    for mode in ("rtsp", "onvif"):
        response = create(api, ingestion_mode=mode)

        assert response.status_code == 422
        assert [error["field"] for error in response.json()["errors"]] == ["rtsp_url"]
