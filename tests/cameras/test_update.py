"""PATCH /api/cameras/{id}."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from cameras import registry
from cameras.models import Camera
from nvr.audit.models import AuditEntry
from nvr.errors import Conflict
from tests.conftest import client_of
from tests.factories import make_camera, make_user

FRONT = "/api/cameras/front_door"


def updates() -> list[dict[str, list[object]]]:
    return [entry.changes for entry in AuditEntry.objects.filter(action="camera_updated")]


def test_only_the_given_fields_change(api: APIClient, camera: Camera) -> None:
    before = api.get(FRONT).json()

    response = api.patch(FRONT, {"name": "Front Door - Updated", "status": "offline"}, format="json")

    assert response.status_code == 200
    assert response.json() == before | {"name": "Front Door - Updated", "status": "offline"}
    assert api.get(FRONT).json() == response.json()


def test_the_id_never_changes(api: APIClient, camera: Camera) -> None:
    api.patch(FRONT, {"name": "Attic"}, format="json")

    assert api.get(FRONT).json()["name"] == "Attic"
    assert api.get("/api/cameras/attic").status_code == 404


def test_a_new_name_may_match_another_cameras_id(api: APIClient, camera: Camera) -> None:
    make_camera("Attic")

    assert api.patch(FRONT, {"name": "attic!"}, format="json").status_code == 200


def test_a_name_without_letters_is_allowed_since_the_id_stays(api: APIClient, camera: Camera) -> None:
    assert api.patch(FRONT, {"name": "???"}, format="json").status_code == 200
    assert api.patch(FRONT, {"name": "deleted"}, format="json").status_code == 200


def test_old_and_new_values_are_audited(api: APIClient, camera: Camera) -> None:
    api.patch(FRONT, {"name": "Door", "status": "online", "notes": "new"}, format="json")

    assert updates() == [{"name": ["Front Door", "Door"], "notes": ["", "new"]}]


def test_nothing_is_audited_when_nothing_changes(api: APIClient, camera: Camera) -> None:
    response = api.patch(FRONT, {"name": " Front Door ", "status": "online", "groups": []}, format="json")

    assert response.status_code == 200
    assert updates() == []
    assert api.patch(FRONT, {}, format="json").status_code == 200
    assert updates() == []


@pytest.mark.parametrize("empty", ["", None])
def test_a_password_is_set_replaced_and_removed_without_showing(
    api: APIClient, camera: Camera, empty: str | None
) -> None:
    api.patch(FRONT, {"rtsp_password": "hunter2"}, format="json")
    assert Camera.objects.get().rtsp_password == "hunter2"

    api.patch(FRONT, {"rtsp_password": " hunter3 "}, format="json")
    assert Camera.objects.get().rtsp_password == " hunter3 "

    api.patch(FRONT, {"name": "x"}, format="json")
    assert Camera.objects.get().rtsp_password == " hunter3 "

    api.patch(FRONT, {"rtsp_password": empty}, format="json")
    assert Camera.objects.get().rtsp_password is None
    assert "hunter" not in json.dumps(updates())
    assert [change["rtsp_password"] for change in updates() if "rtsp_password" in change] == [
        ["***", None],
        ["***", "***"],
        [None, "***"],
    ]


@pytest.mark.parametrize(
    "field",
    [
        "name",
        "folder_path",
        "status",
        "ingestion_mode",
        "stream_profile",
        "motion_sensitivity",
        "enabled",
        "groups",
        "public",
    ],
)
def test_null_for_a_field_that_must_have_a_value_is_422(api: APIClient, camera: Camera, field: str) -> None:
    response = api.patch(FRONT, {field: None}, format="json")

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_detection_settings_can_be_changed_except_in_version_1(api: APIClient, camera: Camera) -> None:
    values = {"detect_every_frame": True, "detection_confidence": 0.75, "detection_classes": ["person"]}

    changed = api.patch(FRONT, values | {"detection_width": 768}, format="json").json()
    api.patch(FRONT, values, format="json")

    assert {name: changed[name] for name in values} == values
    assert updates() == [
        {
            "detect_every_frame": [False, True],
            "detection_confidence": [0.5, 0.75],
            "detection_classes": [[], ["person"]],
        }
    ]
    assert len(api.get(FRONT, HTTP_ACCEPT="application/json; version=1").json()) == 6
    assert api.get("/api/cameras").json()["items"][0]["detection_classes"] == ["person"]
    assert api.get("/api/cameras", {"fields": "detection_width"}).status_code == 400


@pytest.mark.parametrize(
    ("field", "shown"), [("rtsp_url", None), ("onvif_url", None), ("time_zone", "UTC"), ("offline_after_seconds", None)]
)
def test_null_clears_an_optional_field(api: APIClient, camera: Camera, field: str, shown: object) -> None:
    filled = {"rtsp_url": "rtsp://h/", "onvif_url": "http://h/", "time_zone": "Asia/Tokyo", "offline_after_seconds": 9}
    api.patch(FRONT, filled, format="json")

    response = api.patch(FRONT, {field: None}, format="json")

    assert response.status_code == 200
    assert response.json()[field] == shown


def test_a_stored_stream_url_is_sufficient(api: APIClient, camera: Camera) -> None:
    assert api.patch(FRONT, {"ingestion_mode": "rtsp"}, format="json").status_code == 422
    api.patch(FRONT, {"rtsp_url": "rtsp://h/"}, format="json")

    assert api.patch(FRONT, {"ingestion_mode": "rtsp"}, format="json").status_code == 200
    assert api.patch(FRONT, {"rtsp_url": ""}, format="json").status_code == 422


def test_groups_are_replaced_and_audited_by_name(api: APIClient, camera: Camera, family: Group) -> None:
    response = api.patch(FRONT, {"groups": ["family", "family"]}, format="json")

    assert response.json()["groups"] == ["family"]
    assert response.json()["public"] is False
    assert updates() == [{"groups": [[], ["family"]]}]
    # The client did not request to make it public: losing its groups must not do so.
    assert api.patch(FRONT, {"groups": []}, format="json").json()["public"] is False
    assert api.patch(FRONT, {"public": True}, format="json").json()["public"] is True


def test_a_camera_with_groups_cannot_become_public(api: APIClient, camera: Camera, family: Group) -> None:
    api.patch(FRONT, {"groups": ["family"]}, format="json")

    assert api.patch(FRONT, {"public": True}, format="json").status_code == 422
    assert api.patch(FRONT, {"public": True, "groups": []}, format="json").status_code == 200
    assert api.patch(FRONT, {"groups": ["nobody"]}, format="json").status_code == 422


def test_changing_requires_the_permission_and_visibility(family: Group, family_camera: Camera, camera: Camera) -> None:
    member = client_of(make_user("m", groups=(family,)))
    editor = client_of(make_user("e", "cameras.change_camera", groups=(family,)))

    assert member.patch("/api/cameras/back_yard", {"notes": "x"}, format="json").status_code == 403
    assert editor.patch("/api/cameras/back_yard", {"notes": "x"}, format="json").status_code == 200
    assert editor.patch(FRONT, {"notes": "x"}, format="json").status_code == 404


def test_a_user_who_hides_a_camera_from_themselves_still_gets_a_response(family: Group, family_camera: Camera) -> None:
    editor = client_of(make_user("e", "cameras.change_camera", groups=(family,)))

    response = editor.patch("/api/cameras/back_yard", {"groups": []}, format="json")

    assert response.status_code == 200
    assert editor.get("/api/cameras/back_yard").status_code == 404


@pytest.mark.parametrize("method", ["put", "post"])
def test_put_and_post_on_a_camera_are_405(api: APIClient, camera: Camera, method: str) -> None:
    assert getattr(api, method)(FRONT, {}, format="json").status_code == 405


def test_an_unknown_or_trashed_camera_is_404(api: APIClient, camera: Camera) -> None:
    assert api.patch("/api/cameras/nobody", {"name": "x"}, format="json").status_code == 404
    api.delete(FRONT)
    assert api.patch(FRONT, {"name": "x"}, format="json").status_code == 404


def test_setting_a_status_clears_the_previous_reason(api: APIClient, camera: Camera) -> None:
    Camera.objects.filter(pk=camera.pk).update(status="offline", status_reason="Nothing has arrived for 24 hours.")

    assert api.patch(FRONT, {"status": "online"}, format="json").json()["status_reason"] == ""


def test_concurrent_changes_that_together_break_a_rule_are_a_conflict(admin: User, camera: Camera) -> None:
    """One client made it a stream while another, with the earlier state, removed its address."""
    registry.update_camera(admin, camera, {"ingestion_mode": "rtsp", "rtsp_url": "rtsp://h/"})

    with pytest.raises(Conflict):
        registry.update_camera(admin, camera, {"rtsp_url": ""})
