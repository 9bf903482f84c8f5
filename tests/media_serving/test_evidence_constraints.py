"""What the database itself refuses to hold."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from media_serving.models import Detection, Event, Tombstone
from tests.media_serving.evidence import LONG_AGO, after, detect

BOX = {"bbox_x": 1, "bbox_y": 2, "bbox_width": 3, "bbox_height": 4}
WRONG_DETECTIONS = {
    "confidence above one": {"confidence": 1.01},
    "confidence below zero": {"confidence": -0.01},
    "no class": {"object_class": ""},
    "no source": {"source": ""},
    "a relative path": {"file_path": "a.jpg"},
    "an unknown media type": {"media_type": "sound"},
    "half a box": {"bbox_width": None, "bbox_height": None},
    "a box without a width": BOX | {"bbox_width": 0},
    "a box left of the frame": BOX | {"bbox_x": -1},
    "half a frame": {"frame_height": None},
    "a frame without height": {"frame_width": 640, "frame_height": 0},
}
WRONG_EVENTS = {
    "backwards": {"last_detected_at": after(-1)},
    "ended before its last detection": {"last_detected_at": after(5), "ended_at": after(4)},
    "a clip of unknown age": {"clip_size_bytes": 5},
    "a clip of unknown size": {"clip_created_at": after(9)},
    "an empty clip": {"clip_created_at": after(9), "clip_size_bytes": 0},
}


@pytest.mark.parametrize("values", WRONG_DETECTIONS.values(), ids=WRONG_DETECTIONS)
def test_an_invalid_detection_is_rejected(camera, values):
    detection = detect(camera, LONG_AGO, **BOX, frame_width=640, frame_height=480)

    with pytest.raises(IntegrityError), transaction.atomic():
        Detection.objects.filter(pk=detection.pk).update(**values)


@pytest.mark.parametrize("values", WRONG_EVENTS.values(), ids=WRONG_EVENTS)
def test_an_invalid_event_is_rejected(camera, values):
    plain = {"started_at": LONG_AGO, "last_detected_at": LONG_AGO}

    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.create(camera=camera, **(plain | values))


def test_an_external_id_is_unique_for_camera_and_source(camera, family_camera):
    detect(camera, LONG_AGO, source="frigate", external_id="7")
    detect(camera, LONG_AGO, source="other", external_id="7")
    detect(family_camera, LONG_AGO, source="frigate", external_id="7")

    with pytest.raises(IntegrityError), transaction.atomic():
        detect(camera, LONG_AGO, source="frigate", external_id="7")


def test_detections_without_an_external_id_may_be_equal(camera):
    for _ in range(2):
        detect(camera, LONG_AGO)

    assert Detection.objects.count() == 2


def test_cameras_and_events_with_detections_cannot_be_deleted(camera):
    event = detect(camera, LONG_AGO).event

    with pytest.raises(ProtectedError):
        camera.delete()
    with pytest.raises(ProtectedError):
        event.delete()


def test_a_tombstone_has_an_absolute_path(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        Tombstone.objects.create(path="clips/1_clip.mp4")
