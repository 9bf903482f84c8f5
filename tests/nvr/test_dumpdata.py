"""`manage.py dumpdata` writes no password in the clear, and `loaddata` reads what it wrote."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from cameras.models import Camera
from cameras.registry import create_camera, update_camera
from cameras.secrets import is_unreadable
from nvr.accounts.models import ApiKey
from nvr.audit.models import AuditEntry
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "hunter2 äöü"


@pytest.fixture
def camera() -> Camera:
    chief = make_user("chief", is_superuser=True)
    stream = {"ingestion_mode": "rtsp", "rtsp_url": "rtsp://192.0.2.1/live", "rtsp_username": "viewer"}
    camera = create_camera(
        chief, {"name": "Front Door", "folder_path": "/cams/front", "rtsp_password": "hunter1", **stream}
    )
    update_camera(chief, camera, {"rtsp_password": SECRET})
    create_camera(chief, {"name": "Back Yard", "folder_path": "/cams/back"})
    return Camera.objects.get(pk=camera.pk)


def dumped(**options: Any) -> str:
    output = StringIO()
    call_command("dumpdata", stdout=output, **options)
    return output.getvalue()


@pytest.mark.parametrize("format", ["json", "jsonl", "xml"])
def test_the_dump_contains_no_secret(camera: Camera, format: str) -> None:
    _, key = ApiKey.objects.issue(user=make_user("phone"), name="phone")

    text = dumped(format=format)

    assert "front_door" in text
    for secret in ("hunter", json.dumps(SECRET).strip('"'), PASSWORD, key, key.split("_", 2)[2]):
        assert secret not in text


@pytest.mark.parametrize("natural", [False, True])
def test_the_dump_can_be_loaded(camera: Camera, tmp_path: Path, natural: bool) -> None:
    options = {"use_natural_foreign_keys": True, "use_natural_primary_keys": True} if natural else {}
    dump = tmp_path / "dump.json"
    dump.write_text(dumped(**options))
    entries = AuditEntry.objects.count()
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=not natural)

    call_command("loaddata", str(dump), verbosity=0)

    assert Camera.objects.get(slug="front_door").rtsp_password == SECRET
    assert not Camera.objects.get(slug="back_yard").rtsp_password
    assert AuditEntry.objects.count() == entries
    assert dumped(**options).count("front_door") == dump.read_text().count("front_door")


def test_under_another_key_secrets_stay_encrypted_and_nothing_is_lost(camera: Camera, tmp_path: Path) -> None:
    dump = tmp_path / "dump.json"
    dump.write_text(dumped())
    token = next(
        row["fields"]["rtsp_password"]
        for row in json.loads(dump.read_text())
        if row["fields"].get("slug") == "front_door"
    )
    dump.write_text(dump.read_text().replace(token, token[:-8] + "AAAAAAA="))

    call_command("loaddata", str(dump), verbosity=0)

    assert is_unreadable(Camera.objects.get(slug="front_door").rtsp_password)
