"""A detector is one new module: it is offered in the form and the API, documented, and runs. Nothing lists it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from cameras import detector_choices
from cameras.models import Camera
from media_serving import detectors
from media_serving.models import Detection
from tests.factories import folder_of, jpeg, make_camera, put
from tests.ingest.test_working import process_all

MODULE = """
from media_serving.detectors import DetectedObject, DetectionResult


class HouseCats:
    name = "house_cats"
    width_px = 64

    def detect(self, frame, memory):
        width, height = frame.size
        return DetectionResult([DetectedObject("cat", 0.9, (1.0, 2.0, 3.0, 4.0))], b"memory", width, height)


def make(config):
    return HouseCats()
"""
SCHEMA = """
import json, sys
import django
from media_serving import detectors
detectors.__path__.append(sys.argv[1])
django.setup()
from nvr.api.schema_views import document
print(json.dumps(document("2"), default=str))
"""
ADD = "/admin/cameras/camera/add/"


@pytest.fixture
def house_cats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a detector whose module was added to the package."""
    (tmp_path / "house_cats.py").write_text(MODULE)
    monkeypatch.setattr(detectors, "__path__", [*detectors.__path__, str(tmp_path)])
    monkeypatch.setattr(detectors, "_factories", {})
    monkeypatch.setattr(detector_choices, "_labels", {})
    detectors.register_modules()
    yield "house_cats"
    sys.modules.pop("media_serving.detectors.house_cats", None)


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def options(page: str) -> dict[str, str]:
    select = re.search(r'<select name="detector".*?</select>', page, re.DOTALL)
    assert select
    return dict(re.findall(r'<option value="(\w*)"[^>]*>([^<]*)</option>', select[0]))


def form_data(page: Any) -> dict[str, Any]:
    """What a browser would send if nothing was edited."""
    form = page.context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)}


def test_the_form_offers_it(browser: Client, house_cats: str) -> None:
    assert options(browser.get(ADD).content.decode()) == {
        "house_cats": "House cats",
        "motion": "Motion",
        "none": "None",
        "people": "People",
    }


def test_the_form_stores_it(browser: Client, camera: Camera, house_cats: str) -> None:
    address = reverse("admin:cameras_camera_change", args=[camera.pk])

    response = browser.post(address, form_data(browser.get(address)) | {"detector": house_cats})

    assert response.status_code == 302, response.context["adminform"].form.errors
    camera.refresh_from_db()
    assert camera.detector == house_cats


def test_the_api_accepts_it_and_rejects_unknown_ones(api: APIClient, camera: Camera, house_cats: str) -> None:
    accepted = api.patch("/api/cameras/front_door", {"detector": house_cats}, format="json")
    rejected = api.patch("/api/cameras/front_door", {"detector": "dogs"}, format="json")

    assert accepted.json()["detector"] == house_cats
    assert (rejected.status_code, rejected["Content-Type"]) == (422, "application/problem+json")
    assert rejected.json()["errors"] == [
        {"field": "detector", "message": "must be one of house_cats, motion, none, people."}
    ]


def test_the_schema_lists_it(tmp_path: Path) -> None:
    """In a process of its own, which generates the schema once, after the start has registered the detectors."""
    (tmp_path / "house_cats.py").write_text(MODULE)
    environment = os.environ | {"NVR_DATA_DIR": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "nvr.settings"}
    command = [sys.executable, "-c", SCHEMA, str(tmp_path)]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout

    schemas = json.loads(output)["components"]["schemas"]
    assert schemas["DetectorEnum"]["enum"] == ["house_cats", "motion", "none", "people"]
    for serializer in ("CameraOut", "CameraInputRequest"):
        assert schemas[serializer]["properties"]["detector"] == {"$ref": "#/components/schemas/DetectorEnum"}


@pytest.mark.django_db
def test_it_runs_on_the_uploads_of_its_cameras(house_cats: str) -> None:
    camera = make_camera("Sofa", detector=house_cats)
    put(folder_of(camera), "20260131_120000.jpg", jpeg())

    assert process_all(camera) == {"20260131_120000.jpg": ("done", "")}
    (detection,) = Detection.objects.all()
    assert (detection.object_class, detection.source, detection.bbox_width) == ("cat", "house_cats", 3.0)


@pytest.mark.django_db
def test_it_needs_no_migration(house_cats: str) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.fixture
def orphan(admin: User) -> Camera:
    """A camera whose detector's module was deleted."""
    return make_camera("Front Door", detector="gone")


def test_without_its_module_uploads_wait(orphan: Camera) -> None:
    put(folder_of(orphan), "20260131_120000.jpg", jpeg())

    ((state, reason),) = process_all(orphan).values()

    assert state == "waiting"
    assert "There is no detector 'gone'" in reason


def test_without_its_module_the_form_asks_for_another(browser: Client, orphan: Camera) -> None:
    """Otherwise the browser would select the first detector, and saving anything would change the camera's."""
    address = reverse("admin:cameras_camera_change", args=[orphan.pk])
    page = browser.get(address)

    response = browser.post(address, form_data(page) | {"detector": "", "notes": "x"})

    assert options(page.content.decode())[""] == "gone (not installed)"
    assert list(response.context["adminform"].form.errors) == ["detector"]
    assert browser.post(address, form_data(page) | {"detector": "motion"}).status_code == 302


@pytest.mark.parametrize("name", ["", "Cats", "1cat", "big cats", "x" * 17])
def test_a_name_that_cannot_be_stored_or_shown_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 16"):
        detector_choices.register_detector(name, "Cats")
