"""The disk of the data folder is full to the last byte, really: facts go on, pictures wait, one line says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from media_serving.ingest import processor
from media_serving.models import Detection
from media_serving.thumbnails import rendering as thumbnails
from nvr.log_throttle import LogThrottle
from tests.disks import fill, small_disk
from tests.factories import folder_of, make_camera, put
from tests.ingest.conftest import scan_and_enter, uploads


@pytest.fixture
def full_disk(tmp_path, settings) -> Iterator[Path]:
    """The disk of thumbnails and kept copies; what fills it is the file `rubbish`."""
    with small_disk(tmp_path / "full", megabytes=1) as folder:
        settings.THUMBNAIL_DIR, settings.KEPT_DIR = folder / "thumbnails", folder / "kept"
        settings.THUMBNAIL_DIR.mkdir()
        fill(folder)
        yield folder


def walker(folder: Path, number: int) -> None:
    image = Image.new("RGB", (320, 240), (90, 110, 90))
    ImageDraw.Draw(image).rectangle((number * 30, 100, number * 30 + 30, 200), fill=(200, 40, 40))
    picture = folder / "made.tmp"
    image.save(picture, "JPEG", quality=90)
    put(folder, f"20260131_12000{number}.jpg", picture.read_bytes())


def test_on_a_full_disk_detections_are_stored_and_thumbnails_are_created_later(db, full_disk, monkeypatch, caplog):
    monkeypatch.setattr(thumbnails, "disk_full", LogThrottle(thumbnails.LOG_INTERVAL))
    camera = make_camera("Yard", detector="motion", motion_sensitivity=0.5)
    for number in range(8):
        walker(folder_of(camera), number)
    scan_and_enter(camera)

    processor.process_pending()
    thumbnails.make_pending()

    assert {state for state, _ in uploads(camera).values()} == {"done"}
    found = Detection.objects.count()
    assert found
    assert not Detection.objects.exclude(thumbnail_size_bytes=None).exists()
    assert [record.levelname for record in caplog.records if "thumbnail" in record.getMessage()] == ["ERROR"]
    assert not list((full_disk / "thumbnails").iterdir())

    (full_disk / "rubbish").unlink()
    assert thumbnails.make_pending() == found
    assert all(detection.thumbnail_path.stat().st_size for detection in Detection.objects.all())
