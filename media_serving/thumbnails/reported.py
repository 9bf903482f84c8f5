"""Thumbnails of externally reported detections, made once the reported file exists."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone
from PIL import Image

from media_serving.models import Detection
from media_serving.serving import detection_source
from media_serving.thumbnails.rendering import WIDTH_PX, mark_unavailable, render_thumbnail, save_thumbnail
from nvr.errors import Invalid, NvrError, StorageFull
from nvr.media.ffmpeg.video_frames import NoFrame, cached_frame
from nvr.media.files.content_types import is_video
from nvr.media.images.decoder import pictures

logger = logging.getLogger(__name__)

BATCH_SIZE = 500
TIME_BUDGET_S = 5.0  # per run: clips share the workers
COMPLETE_WITHIN = timedelta(minutes=15)  # after its report an existing file is readable, or never will be


def make_pending() -> int:
    """Make the thumbnails that can be made now, newest first; return how many.

    A report may arrive before its file: it is retried for NVR_INCOMPLETE_UPLOAD_TIMEOUT.
    """
    made = 0
    for detection in pending_until(time.monotonic() + TIME_BUDGET_S):
        try:
            made += save_thumbnail(detection, render_thumbnail(small_frame(detection), detection))
        except StorageFull:
            break
        except NvrError as error:
            handle_failure(detection, error)
    return made


def handle_failure(detection: Detection, error: NvrError) -> None:
    logger.debug("no thumbnail yet detection=%s reason=%s", detection.pk, error.detail)
    # A file may be unreadable because it is still being written.
    if isinstance(error, (Invalid, NoFrame)) and timezone.now() - detection.received_at > COMPLETE_WITHIN:
        mark_unavailable([detection])


def pending_until(until: float) -> Iterator[Detection]:
    """Yield all pending detections in batches, so that thousands of missing files do not block older ones."""
    batch: list[Detection] = []
    while batch := list(pending(before=batch[-1] if batch else None)[:BATCH_SIZE]):
        for detection in batch:
            if time.monotonic() > until:
                return
            yield detection


def pending(*, before: Detection | None = None) -> QuerySet[Detection]:
    since = timezone.now() - settings.NVR_INCOMPLETE_UPLOAD_TIMEOUT
    rows = Detection.objects.filter(thumbnail_size_bytes=None, upload=None, received_at__gte=since)
    if before is not None:
        at = before.received_at
        rows = rows.filter(Q(received_at__lt=at) | Q(pk__lt=before.pk), received_at__lte=at)
    return rows.select_related("camera").order_by("-received_at", "-pk")


def small_frame(detection: Detection) -> Image.Image:
    """Return the scaled picture or video frame of the detection. Raises `NvrError`."""
    file = detection_source(detection).path
    picture = cached_frame(file, offset_ms=detection.offset_ms or 0) if is_video(file.name) else file
    small = pictures.decode_rgb(picture, WIDTH_PX)
    if detection.frame_width is None:  # the box is in pixels of the picture itself
        detection.frame_width = round(small.width * max(small.full_size) / max(small.width, small.height))
    return Image.frombytes("RGB", (small.width, small.height), small.data)
