"""Thumbnails of what programs outside reported: of pictures and videos, that are there or come later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from PIL import Image

from media_serving.models import Detection
from media_serving.thumbnails import reported as reported_thumbnails
from tests.factories import folder_of, make_camera, put
from tests.films import numbered_still, numbered_video
from tests.media_serving.evidence import report

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


def reported(api, camera, **values) -> Detection:
    return Detection.objects.get(pk=api.post("/api/detections", report(camera, **values), format="json").json()["id"])


def brightness(detection: Detection, at: tuple[float, float]) -> int:
    """Return the thumbnail's brightness at a position given as fractions of its sides."""
    with Image.open(detection.thumbnail_path) as image:
        return image.convert("L").getpixel((int(image.width * at[0]), int(image.height * at[1])))


def test_a_reported_picture_gets_a_thumbnail(api, camera):
    put(folder_of(camera), "a.jpg", numbered_still(0, (640, 480)))
    box = {"x": 160, "y": 120, "width": 320, "height": 240}
    plain = reported(api, camera)
    boxed = reported(api, camera, bbox=box, frame_width=640, frame_height=480)
    of_the_picture_itself = reported(api, camera, bbox=box)

    assert reported_thumbnails.make_pending() == 3

    assert brightness(plain, (0.749, 0.5)) < 20
    for detection in (boxed, of_the_picture_itself):
        assert brightness(detection, (0.749, 0.5)) > 100
    url = api.get(f"/api/detections/{plain.pk}").json()["thumbnail_url"]
    assert api.get(url)["Content-Type"] == "image/jpeg"
    assert reported_thumbnails.make_pending() == 0


def test_a_reported_video_gets_a_thumbnail_of_the_frame_at_its_offset(api, camera):
    numbered_video(folder_of(camera) / "v.mp4")
    early, late = (reported(api, camera, file_path="v.mp4", offset_ms=offset) for offset in (0, 9000))

    assert reported_thumbnails.make_pending() == 2
    assert brightness(late, (0.5, 0.5)) > brightness(early, (0.5, 0.5)) + 100


def test_a_file_may_arrive_later_than_its_report_but_not_days_later(api, camera):
    detection, forgotten = reported(api, camera), reported(api, camera)
    Detection.objects.filter(pk=forgotten.pk).update(received_at=timezone.now() - timedelta(days=1))
    picture = numbered_still(50, (640, 480))
    assert reported_thumbnails.make_pending() == 0

    put(folder_of(camera), "a.jpg", picture[:400])
    assert reported_thumbnails.make_pending() == 0
    put(folder_of(camera), "a.jpg", picture)
    assert reported_thumbnails.make_pending() == 1

    assert detection.thumbnail_path.exists()
    assert not forgotten.thumbnail_path.exists()


def test_an_unreadable_file_is_abandoned_once_it_should_be_complete(api, camera):
    put(folder_of(camera), "a.jpg", b"no picture at all")
    fresh, old, missing = reported(api, camera), reported(api, camera), reported(api, camera, file_path="b.jpg")
    longer_ago = timezone.now() - timedelta(minutes=16)
    Detection.objects.filter(pk__in=[old.pk, missing.pk]).update(received_at=longer_ago)

    assert reported_thumbnails.make_pending() == 0

    assert set(reported_thumbnails.pending()) == {fresh, missing}


def test_reports_without_a_file_do_not_block_older_ones(api, camera, monkeypatch):
    monkeypatch.setattr(reported_thumbnails, "BATCH_SIZE", 2)
    put(folder_of(camera), "a.jpg", numbered_still(50))
    reported(api, camera)
    missing = [reported(api, camera, file_path=f"{number}.jpg") for number in range(5)]
    Detection.objects.filter(pk__in=[each.pk for each in missing]).update(received_at=timezone.now())

    assert reported_thumbnails.make_pending() == 1


def test_a_run_has_a_time_limit(api, camera, monkeypatch):
    put(folder_of(camera), "a.jpg", numbered_still(50))
    for _ in range(3):
        reported(api, camera)
    monkeypatch.setattr(reported_thumbnails, "TIME_BUDGET_S", 0.0)

    assert reported_thumbnails.make_pending() < 3


def test_only_files_of_the_cameras_own_folder_are_shown(api, camera, tmp_path):
    nested = make_camera("Nested", folder_path=f"{camera.folder_path}/nested")
    put(folder_of(nested), "a.jpg", numbered_still(50))
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(numbered_still(50))
    (folder_of(camera) / "link.jpg").symlink_to(secret)
    for path in ("nested/a.jpg", "link.jpg"):
        reported(api, camera, file_path=path)
    assert reported_thumbnails.make_pending() == 0

    put(folder_of(camera), "own.jpg", numbered_still(50))
    reported(api, camera, file_path="own.jpg")
    assert reported_thumbnails.make_pending() == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the query plans are in SQLite's format")
def test_pending_reports_are_found_by_a_partial_index(db):
    plan = reported_thumbnails.pending().explain()

    assert "report_without_thumbnail" in plan
