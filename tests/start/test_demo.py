"""`manage.py demo`: cameras that show something."""

from __future__ import annotations

import itertools
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from PIL import Image, ImageChops
from pytest_django import Settings

from cameras.models import Camera
from nvr.demo.cameras import KEPT_PICTURES, demo_cameras
from nvr.demo.scenes import SCENES, draw

pytestmark = pytest.mark.django_db


@pytest.fixture
def camera_root(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.NVR_CAMERA_ROOT = tmp_path
    monkeypatch.setattr("nvr.management.commands.demo.INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("nvr.management.commands.demo.signal.signal", lambda *_: None)
    return tmp_path


def run(pictures: int) -> str:
    output = StringIO()
    call_command("demo", "--pictures", str(pictures), stdout=output)
    return output.getvalue()


def test_it_adds_cameras_and_gives_each_a_picture(camera_root: Path) -> None:
    said = run(1)

    assert Camera.objects.count() == len(SCENES) >= 3
    assert said.count("Added the camera") == len(SCENES)
    for camera in Camera.objects.all():
        (picture,) = Path(camera.folder_path).iterdir()
        assert picture.is_relative_to(camera_root)
        with Image.open(picture) as image:
            assert (image.format, image.size) == ("JPEG", (1280, 720))


def test_a_second_run_adds_no_camera(camera_root: Path) -> None:
    run(1)

    assert "Added" not in run(1)
    assert Camera.objects.count() == len(SCENES)


def test_old_pictures_go_and_foreign_files_stay(camera_root: Path) -> None:
    camera = demo_cameras()[0]
    camera.register()
    for number in range(KEPT_PICTURES + 5):
        (camera.folder / f"demo-20200101-{number:06}.jpg").touch()
    (camera.folder / "mine.jpg").touch()

    camera.forget_old()

    names = sorted(path.name for path in camera.folder.iterdir())
    assert len(names) == KEPT_PICTURES + 1
    assert "mine.jpg" in names and names[0] == "demo-20200101-000005.jpg"


@pytest.mark.parametrize("name", SCENES)
def test_every_scene_moves(name: str) -> None:
    pictures = [draw(SCENES[name], 1_790_000_000.0 + second) for second in (0, 5, 10)]

    for former, latter in itertools.pairwise(pictures):
        assert ImageChops.difference(former.crop((0, 0, 1280, 660)), latter.crop((0, 0, 1280, 660))).getbbox()
