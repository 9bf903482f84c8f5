"""Thumbnails of detections: the frame 320 pixels wide with the box, without labels over people."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from pathlib import Path

from django.conf import settings
from PIL import Image, ImageDraw

from media_serving.models import Detection, Upload
from media_serving.serving import uploaded_file
from nvr.errors import FULL, NvrError, StorageFull
from nvr.log_throttle import LogThrottle
from nvr.media.ffmpeg.video_frames import cached_frame
from nvr.media.files.atomic_write import write_to
from nvr.media.files.paths import StorageFault
from nvr.media.images import opening as images
from nvr.media.images.decoder import pictures

logger = logging.getLogger(__name__)

WIDTH_PX = 320
LINE_PX = 2
NO_THUMBNAIL = 0  # instead of a size: the picture is no longer available
BATCH_SIZE = 200
TIME_BUDGET_S = 40.0  # per run
COLOURS = {"person": (255, 170, 0), "motion": (60, 170, 255)}
OTHER = (190, 120, 255)
LOG_INTERVAL = timedelta(hours=1)
disk_full = LogThrottle(LOG_INTERVAL)


def make_thumbnails(upload: Upload) -> int:
    """Make the missing thumbnails of the upload's detections; return how many were made.

    Raises `StorageFault` and `StorageFull`, which leave them pending.
    """
    pending = upload.detections.filter(thumbnail_size_bytes=None).order_by("offset_ms", "pk")
    made = 0
    # Each frame is decoded once, however many objects it shows.
    for offset_ms, detections in groupby(pending, key=lambda detection: detection.offset_ms):
        made += make_for_frame(upload, offset_ms, list(detections))
    return made


def make_for_frame(upload: Upload, offset_ms: int | None, detections: list[Detection]) -> int:
    small = small_frame(upload, offset_ms)
    if small is None:
        mark_unavailable(detections)
        return 0
    return sum(save_thumbnail(detection, render_thumbnail(small.copy(), detection)) for detection in detections)


def small_frame(upload: Upload, offset_ms: int | None) -> Image.Image | None:
    """Return the scaled frame; None if it is no longer available. Raises `StorageFault`, `Unavailable`."""
    try:
        small = pictures.decode_rgb(frame_file(upload, offset_ms), WIDTH_PX)
        return Image.frombytes("RGB", (small.width, small.height), small.data)
    except NvrError as error:
        # Other errors pass: the thumbnail stays pending.
        if error.status not in {404, 422}:
            raise
        logger.info("no thumbnail upload=%s reason=%s", upload.pk, error.detail)
    return None


def frame_file(upload: Upload, offset_ms: int | None) -> Path:
    """Raises `NotFound` if the camera has overwritten the file, and the errors of `cached_frame`."""
    source = uploaded_file(upload, upload.camera).path
    return source if offset_ms is None else cached_frame(source, offset_ms=offset_ms)


def render_thumbnail(image: Image.Image, detection: Detection) -> bytes:
    if detection.bbox_x is not None and detection.frame_width:
        draw_box(image, detection, scale=image.width / detection.frame_width)
    return images.encode(image, "JPEG")


def draw_box(image: Image.Image, detection: Detection, *, scale: float) -> None:
    canvas, colour = ImageDraw.Draw(image), COLOURS.get(detection.object_class, OTHER)
    left, top = (detection.bbox_x or 0) * scale, (detection.bbox_y or 0) * scale
    right, bottom = left + (detection.bbox_width or 0) * scale, top + (detection.bbox_height or 0) * scale
    canvas.rectangle((left, top, right, bottom), outline=colour, width=LINE_PX)


def save_thumbnail(detection: Detection, data: bytes) -> bool:
    """Write the file, then the row: a row implies a complete file. Raises `StorageFull` and `StorageFault`."""
    try:
        with write_to(detection.thumbnail_path) as part:
            part.write_bytes(data)
    except OSError as error:
        if error.errno in FULL:
            if disk_full.should_log():
                logger.error("disk full, thumbnails are paused folder=%s", settings.THUMBNAIL_DIR)
            raise StorageFull("The disk is full: free space in the data folder.") from error
        raise StorageFault(f"The data folder does not respond: {error.strerror}.") from error
    if not Detection.objects.filter(pk=detection.pk).update(thumbnail_size_bytes=len(data)):
        detection.thumbnail_path.unlink(missing_ok=True)  # the camera was purged meanwhile
        return False
    return True


def mark_unavailable(detections: list[Detection]) -> None:
    Detection.objects.filter(pk__in=[d.pk for d in detections]).update(thumbnail_size_bytes=NO_THUMBNAIL)


def make_pending() -> int:
    """Make thumbnails that a crash or a full disk left missing, newest first; return how many were made.

    A camera whose folder does not respond is skipped for this run.
    """
    made, unavailable_cameras = 0, set[int]()
    for upload in pending_uploads(unavailable_cameras):
        try:
            made += make_thumbnails(upload)
        except StorageFull:
            break
        except Exception:
            logger.exception("no thumbnail upload=%s", upload.pk)
            unavailable_cameras.add(upload.camera_id)
    return made


def pending_uploads(unavailable_cameras: set[int]) -> Iterator[Upload]:
    """Yield uploads with a detection that has no thumbnail, newest first, for at most `TIME_BUDGET_S`.

    Uploads of `unavailable_cameras` are skipped; the caller may add cameras to the set meanwhile.
    """
    until, last = time.monotonic() + TIME_BUDGET_S, None
    while time.monotonic() < until:
        pending = Detection.objects.filter(thumbnail_size_bytes=None, upload__isnull=False).exclude(
            camera__in=unavailable_cameras
        )
        pks = pending.filter(upload__lt=last) if last else pending
        batch = list(pks.order_by("-upload_id").values_list("upload_id", flat=True).distinct()[:BATCH_SIZE])
        if not batch:
            return
        last = batch[-1]
        uploads = Upload.objects.filter(pk__in=batch).select_related("camera").order_by("-pk")
        yield from (upload for upload in uploads if upload.camera_id not in unavailable_cameras)
