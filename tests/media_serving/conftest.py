"""What the tests of media serving share: pictures and videos of a camera, folders of their own, a worker's inbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app

from cameras.models import Camera
from tests import disks
from tests.factories import folder_of, jpeg, make_video, put
from tests.media_serving.ledger import enter_file
from tests.media_serving.stored import MEDIA, MJPEG, make_detection, make_event


@pytest.fixture
def own_folders(settings, tmp_path: Path) -> None:
    """Numbers come again from test to test: no thumbnail, clip or cached file of an earlier one may lie there."""
    settings.THUMBNAIL_DIR = tmp_path / "thumbnails"
    settings.CLIP_DIR = tmp_path / "clips"
    settings.CACHE_DIR = tmp_path / "cache"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds 2 MiB, really."""
    with disks.small_disk(tmp_path / "small", megabytes=2) as folder:
        yield folder


@pytest.fixture
def picture(camera: Camera) -> Path:
    return put(folder_of(camera), "2025/01/04/image_001.jpg", jpeg())


@pytest.fixture
def avi(camera: Camera) -> Path:
    """A video that no browser plays."""
    return make_video(folder_of(camera) / "v.avi", seconds=1, codec=MJPEG)


@pytest.fixture
def family_media(family_camera: Camera) -> list[str]:
    """One path of every route, of a camera that the group `family` may see."""
    picture = put(folder_of(family_camera), "a.jpg", jpeg())
    detection = make_detection(family_camera, picture, thumbnail=jpeg())
    event = make_event(family_camera, clip=b"0123456789")
    return [
        f"cameras/{family_camera.slug}/a.jpg",
        f"cameras/{family_camera.uuid}/a.jpg",
        f"cameras/{folder_of(family_camera).name}/a.jpg",
        f"cameras/{family_camera.slug}/a.jpg?width=160",
        f"thumbnails/detection_{detection.pk}_thumb.jpg",
        f"thumbnails/detection_{detection.pk}.jpg",
        f"detections/{detection.pk}",
        f"uploads/{enter_file(family_camera, picture).pk}",
        f"clips/{event.pk}_clip.mp4",
    ]


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """The row ids that were sent to the workers."""
    ids: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: ids.extend(args))
    return ids


@pytest.fixture
def request_video(api, camera, sent, django_capture_on_commit_callbacks):
    """Request a web playback version as a page would, and run the on-commit hooks."""

    def request(name: str = "v.avi", method: str = "get", **headers: str):
        with django_capture_on_commit_callbacks(execute=True):
            return getattr(api, method)(f"{MEDIA}cameras/{camera.slug}/{name}?playable=1", **headers)

    return request
