"""The table of camera fields lists each field of the model, and the form, the admin and the API follow it."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from cameras.admin import SECTION_OPTIONS
from cameras.api.serializers import CameraInput, CameraOut
from cameras.fields import CAMERA_FIELDS, INTERNAL_FIELDS, SECRET_FIELDS, Section
from cameras.forms import CameraForm
from cameras.models import Camera
from nvr.audit.models import AuditEntry

NAMES = [field.name for field in CAMERA_FIELDS]
WRITABLE = {field.name for field in CAMERA_FIELDS if field.writable}


def test_each_model_field_is_either_in_the_table_or_internal() -> None:
    """A new field fails here until `CAMERA_FIELDS` says where it appears, or it is listed as internal."""
    columns = {field.name for field in [*Camera._meta.fields, *Camera._meta.many_to_many]}

    assert {*NAMES} | INTERNAL_FIELDS == columns
    assert not {*NAMES} & INTERNAL_FIELDS
    assert len(NAMES) == len({*NAMES})


def test_each_writable_field_is_in_the_form_and_accepted_by_the_api() -> None:
    secrets = {field.name for field in SECRET_FIELDS}

    assert {*CameraForm.base_fields} >= WRITABLE - secrets
    assert {f"{action}_{name}" for action in ("new", "forget") for name in secrets} <= {*CameraForm.base_fields}
    assert {name for name, field in CameraInput().fields.items() if not field.read_only} == WRITABLE


def test_each_shown_field_is_in_responses_and_documented(api: APIClient, camera: Camera) -> None:
    (item,) = api.get("/api/cameras").json()["items"]

    shown = {field.key or field.name for field in CAMERA_FIELDS if field.shown and not field.secret}
    assert {*item} == shown == {*CameraOut().fields}


@pytest.mark.parametrize("creating", [True, False], ids=["add", "change"])
def test_the_admin_shows_each_field_in_its_section(admin: User, camera: Camera, creating: bool) -> None:
    client = Client()
    client.force_login(admin)
    address = "admin:cameras_camera_add" if creating else "admin:cameras_camera_change"

    page = client.get(reverse(address, args=[] if creating else [camera.pk]))

    fieldsets = {title or "": {*options["fields"]} for title, options in page.context["adminform"].fieldsets}
    assert [*fieldsets] == [*Section] == [*SECTION_OPTIONS]
    for field in CAMERA_FIELDS:
        if field.section is not None:
            name = f"new_{field.name}" if field.secret else field.name
            assert (name in fieldsets[field.section]) == (field.writable or not creating), field


@pytest.mark.parametrize("name", [field.name for field in SECRET_FIELDS])
def test_a_secret_is_in_no_response_and_masked_in_the_audit(api: APIClient, camera: Camera, name: str) -> None:
    changed = api.patch("/api/cameras/front_door", {name: "hunter2"}, format="json")

    camera.refresh_from_db()
    assert getattr(camera, name) == "hunter2"
    assert b"hunter2" not in changed.content
    entry = AuditEntry.objects.get(action="camera_updated")
    assert json.dumps(entry.changes) == json.dumps({name: [None, "***"]})
