"""Pictures that lack only their last bytes, which every viewer shows: read when nothing more comes for a moment."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.utils import timezone
from PIL import Image

from cameras.models import Camera
from media_serving.ingest import processor
from media_serving.models import Detection, Upload
from tests.factories import folder_of, jpeg, make_camera, put
from tests.ingest.conftest import uploads
from tests.ingest.test_working import process_all


def saved(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg(96, 64))).save(buffer, kind)
    return buffer.getvalue()


LACKING = {
    "a.jpg": jpeg()[:-2],
    "tail.jpg": jpeg()[:-2] + b"dhav\x59\x19\x01\x00",
    "trailer.jpg": jpeg()[:-2] + b"\0\0SEFH" + bytes(600) + b"SEFT",
    "a.png": saved("PNG")[:-12],
    "a.gif": saved("GIF")[:-1],
}


def quiet_since(seconds: int) -> None:
    """Nothing has come for so long, nor had when the file was first seen."""
    Upload.objects.update(received_at=timezone.now() - timedelta(seconds=seconds), retry_at=None)


@pytest.mark.parametrize("name", LACKING)
def test_a_picture_without_its_last_bytes_is_processed_after_a_wait(porch, name):
    put(folder_of(porch), name, LACKING[name], age_s=300)

    state, reason = process_all(porch)[name]
    assert (state, "lacks its last bytes" in reason) == ("waiting", True)

    quiet_since(60)
    processor.process_pending()
    assert uploads(porch) == {name: ("done", "")}


@pytest.mark.parametrize("cut", [3, 200, 1000])
def test_a_picture_with_missing_rows_keeps_waiting(porch, cut):
    put(folder_of(porch), "a.jpg", jpeg()[:-cut], age_s=300)
    process_all(porch)

    quiet_since(600)
    processor.process_pending()

    assert uploads(porch)["a.jpg"][0] == "waiting"


def test_the_wait_is_a_setting(porch, settings):
    settings.NVR_INGEST_END_WAIT = timedelta(0)
    put(folder_of(porch), "a.jpg", jpeg()[:-2], age_s=300)

    assert process_all(porch) == {"a.jpg": ("done", "")}


def test_a_repaired_picture_has_detections_and_a_thumbnail(db, settings):
    settings.NVR_INGEST_END_WAIT = timedelta(0)
    yard: Camera = make_camera("Yard", detector="motion")
    for number, x in enumerate((0, 0, 150)):
        buffer, image = io.BytesIO(), Image.new("RGB", (320, 240), (90, 110, 90))
        image.paste((20, 20, 20), (x, 100, x + 40, 200))
        image.save(buffer, "JPEG", quality=90)
        put(folder_of(yard), f"20260131_12000{number}.jpg", buffer.getvalue()[:-2], age_s=300)

    assert {state for state, _ in process_all(yard).values()} == {"done"}
    detection = Detection.objects.first()
    assert detection is not None
    assert (detection.frame_width, detection.frame_height) == (320, 240)
    assert detection.thumbnail_size_bytes
