"""`manage.py demo`: cameras with drawn pictures, and a memory card to review."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from PIL import Image, ImageChops
from pytest_django import Settings

from cameras.models import Camera
from media_serving.detectors import DetectorConfig, Frame, detector_for
from nvr.demo.cameras import KEPT_PICTURES, VIDEO_S, DemoCamera, demo_cameras
from nvr.demo.card import shots
from nvr.demo.scenes import Scene, barn_at_night, draw, driveway, front_door, garden
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.processes import FfmpegMissing
from nvr.media.images import opening as images
from reviewer.models import ReviewPath

pytestmark = pytest.mark.django_db

# No animal is visible; afterwards one passes every 34 s in the garden and every 52 s at the barn.
WITHOUT_ANIMALS = 1_790_000_108.0 - 12


@pytest.fixture
def camera_root(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.NVR_CAMERA_ROOT = tmp_path
    monkeypatch.setattr("nvr.management.commands.demo.INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("nvr.management.commands.demo.signal.signal", lambda *_: None)
    return tmp_path


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the memory card, which takes seconds."""
    monkeypatch.setattr("nvr.management.commands.demo.make_card", lambda stop: False)


def run(pictures: int) -> str:
    output = StringIO()
    call_command("demo", "--pictures", str(pictures), stdout=output)
    return output.getvalue()


@pytest.mark.usefixtures("no_card")
def test_it_adds_cameras_and_gives_each_a_picture(camera_root: Path) -> None:
    output = run(1)

    assert Camera.objects.count() == len(demo_cameras()) >= 5
    assert output.count("Added the camera") == len(demo_cameras())
    kinds = set()
    for camera in Camera.objects.all():
        (file,) = Path(camera.folder_path).iterdir()
        assert file.is_relative_to(camera_root)
        kinds.add(file.suffix)
        if file.suffix == ".jpg":
            with Image.open(file) as image:
                assert (image.format, image.size) == ("JPEG", (1280, 720))
        else:
            assert ffmpeg.probe(file).duration == VIDEO_S
    assert kinds == {".jpg", ".mp4"}


@pytest.mark.usefixtures("no_card")
def test_a_second_run_adds_no_camera(camera_root: Path) -> None:
    run(1)

    assert "Added" not in run(1)
    assert Camera.objects.count() == len(demo_cameras())


def test_old_pictures_are_deleted_and_other_files_stay(camera_root: Path) -> None:
    camera = demo_cameras()[0]
    camera.register()
    for number in range(KEPT_PICTURES + 5):
        (camera.folder / f"demo-20200101-{number:06}.jpg").touch()
    (camera.folder / "mine.jpg").touch()

    camera.delete_old()

    names = sorted(path.name for path in camera.folder.iterdir())
    assert len(names) == KEPT_PICTURES + 1
    assert "mine.jpg" in names and names[0] == "demo-20200101-000005.jpg"


@pytest.mark.slow
def test_it_adds_a_card_to_review_once(camera_root: Path) -> None:
    assert "Added the memory card" in run(1)

    (path,) = ReviewPath.objects.all()
    card = Path(path.path)
    assert card.is_relative_to(camera_root)
    assert not list(card.rglob("*.frames")) and not list(camera_root.rglob("*.part"))
    pictures, videos = sorted(card.rglob("*.JPG")), sorted(card.rglob("*.MP4"))
    assert len(pictures) >= 40 and len(videos) == 2
    assert all(ffmpeg.probe(video).duration == 3 for video in videos)
    assert len({picture.stat().st_mtime for picture in pictures}) == len(pictures)
    assert max(picture.stat().st_mtime for picture in pictures) < time.time()
    pictures[0].unlink()
    path.delete()
    assert "Added" not in run(1)
    assert not pictures[0].exists() and not ReviewPath.objects.exists()


def test_it_has_day_and_night(camera_root: Path) -> None:
    by_night = {shot.scene is barn_at_night for shot in shots(datetime.now(UTC))}

    assert by_night == {True, False}


def test_cameras_are_fed_even_if_the_memory_card_cannot_be_created(
    camera_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object, **__: object) -> bytes:
        raise FfmpegMissing

    monkeypatch.setattr("nvr.demo.films.run", missing)

    assert "Uploading to" in run(1)
    assert "The memory card was not created" in capsys.readouterr().err
    assert not ReviewPath.objects.exists()
    assert not (camera_root / "demo/trail_camera").exists()


@pytest.mark.parametrize("scene", [front_door, garden, driveway, barn_at_night])
def test_in_every_scene_something_passes_within_a_minute(scene: Scene) -> None:
    pictures = [draw(scene, 1_790_000_000.0 + second) for second in range(0, 60, 5)]

    inside = [picture.crop((0, 0, 1280, 660)) for picture in pictures]
    assert any(ImageChops.difference(earlier, later).getbbox() for earlier, later in itertools.pairwise(inside))


@pytest.mark.slow
@pytest.mark.parametrize("camera", [camera for camera in demo_cameras() if camera.settings["detector"] == "people"])
def test_the_detector_finds_the_walking_person(camera: DemoCamera, tmp_path: Path) -> None:
    """It finds at most the one walker, and nothing while nobody is there."""
    config = DetectorConfig(confidence=float(str(camera.settings["detection_confidence"])))
    detector, memory, counts = detector_for(config), b"", []
    for number in range(24):
        at = datetime.fromtimestamp(1_790_000_000 + 2 * number, UTC)
        path = tmp_path / "picture.jpg"
        draw(camera.scene, at.timestamp()).save(path, "JPEG", quality=80)
        with images.open_image(path) as image:
            result = detector.detect(Frame(image, at), memory)
        memory = result.memory
        counts.append(len(config.accepted(result.objects)))

    assert max(counts) == 1
    assert 4 <= sum(counts) < len(counts)


@pytest.mark.parametrize("camera", [camera for camera in demo_cameras() if camera.settings["detector"] == "motion"])
def test_a_fully_visible_animal_is_detected_in_place(camera: DemoCamera, tmp_path: Path) -> None:
    """Without an animal, nothing is detected."""
    detector, memory, reported, alone = detector_for(DetectorConfig(detector="motion")), b"", [], []
    path = tmp_path / "picture.jpg"
    empty = draw(camera.scene, WITHOUT_ANIMALS)
    for second in range(1, 61):
        at = datetime.fromtimestamp(WITHOUT_ANIMALS + second, UTC)
        picture = draw(camera.scene, at.timestamp())
        picture.save(path, "JPEG", quality=80)
        with images.open_image(path) as image:
            result = detector.detect(Frame(image, at), memory)
        memory = result.memory
        animal = changed_box(picture, empty)
        if animal is None:
            alone.append(bool(result.objects))
        elif animal[0] > 0 and animal[2] < picture.width:
            reported.append(any(overlap(found.box, animal) > 0.5 for found in result.objects if found.box))

    assert len(reported) >= 20 and sum(reported) >= 0.9 * len(reported)
    assert len(alone) >= 20 and not any(alone)


def changed_box(picture: Image.Image, empty: Image.Image) -> tuple[int, ...] | None:
    """Left, top, right, bottom; without the time in the corner, and without noise."""
    difference = ImageChops.difference(picture, empty).crop((0, 0, 1280, 660)).convert("L").reduce(8)
    box = difference.point(lambda level: 255 * (level > 10)).getbbox()
    return tuple(8 * side for side in box) if box else None


def overlap(found: tuple[float, ...], there: tuple[int, ...]) -> float:
    """Return the intersection over union of both boxes."""
    x, y, width, height = found
    left, top, right, bottom = there
    across = max(0.0, min(x + width, right) - max(x, left))
    down = max(0.0, min(y + height, bottom) - max(y, top))
    return across * down / (width * height + (right - left) * (bottom - top) - across * down)
