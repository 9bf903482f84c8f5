"""A small picture for each detection: the frame at 320 pixels, with the box and what it is."""

from __future__ import annotations

import logging
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from media_serving.models import Detection, Upload
from nvr.errors import NvrError
from nvr.media import images
from nvr.media.cached_files import FULL
from nvr.media.parts import write_to
from nvr.media.video_frames import frame_of

logger = logging.getLogger(__name__)

WIDTH_PX = 320
LINE_PX = 2
LABEL_PX = 13
NONE_TO_BE_HAD = 0  # instead of a size: the picture itself cannot be had any more
TOGETHER = 200
COLOURS = {"person": (255, 170, 0), "motion": (60, 170, 255)}
OTHER = (190, 120, 255)


def make_thumbnails(upload: Upload) -> int:
    """Those of the upload's detections that have none yet; how many were made. A full disk leaves them owed."""
    owed = upload.detections.filter(thumbnail_size_bytes=None).order_by("offset_ms", "pk")
    made = 0
    for offset_ms, detections in groupby(owed, key=lambda detection: detection.offset_ms):
        made += draw_all(upload, offset_ms, list(detections))
    return made


def draw_all(upload: Upload, offset_ms: int | None, detections: list[Detection]) -> int:
    try:
        with images.opened(frame_file(upload, offset_ms)) as image:
            small = images.fitted(image, WIDTH_PX, image.width + image.height).convert("RGB")
        return sum(keep(detection, drawn(small.copy(), detection)) for detection in detections)
    except NvrError as error:
        logger.info("no thumbnail upload=%s reason=%s", upload.pk, error.detail)
        if error.status in {404, 422}:
            give_up(detections)
    except OSError as error:
        if error.errno not in FULL:
            raise
        logger.warning("no thumbnail, the disk is full upload=%s", upload.pk)
    return 0


def frame_file(upload: Upload, offset_ms: int | None) -> Path:
    """Raises `NoSuchFile` and what cutting a frame raises."""
    source = upload.kept_path if upload.is_kept else upload.file
    return source if offset_ms is None else frame_of(source, offset_ms=offset_ms)


def drawn(image: Image.Image, detection: Detection) -> bytes:
    if detection.bbox_x is not None and detection.frame_width:
        draw_box(image, detection, scale=image.width / detection.frame_width)
    return images.encoded(image, "JPEG")


def draw_box(image: Image.Image, detection: Detection, *, scale: float) -> None:
    canvas, colour = ImageDraw.Draw(image), COLOURS.get(detection.object_class, OTHER)
    left, top = (detection.bbox_x or 0) * scale, (detection.bbox_y or 0) * scale
    right, bottom = left + (detection.bbox_width or 0) * scale, top + (detection.bbox_height or 0) * scale
    canvas.rectangle((left, top, right, bottom), outline=colour, width=LINE_PX)
    text = f"{detection.object_class} {detection.confidence:.0%}"
    font = ImageFont.load_default(LABEL_PX)
    box = canvas.textbbox((0, 0), text, font=font)
    height, width = box[3] + 3, box[2] + 6
    left = max(0.0, min(left, image.width - width))
    above = top - height if top >= height else top
    canvas.rectangle((left, above, left + width, above + height), fill=colour)
    canvas.text((left + 3, above), text, fill=(0, 0, 0), font=font)


def keep(detection: Detection, data: bytes) -> bool:
    """The file first: a row that names one implies that it is whole. Raises OSError."""
    with write_to(detection.thumbnail_path) as part:
        part.write_bytes(data)
    if not Detection.objects.filter(pk=detection.pk).update(thumbnail_size_bytes=len(data)):
        detection.thumbnail_path.unlink(missing_ok=True)  # the camera was purged meanwhile
        return False
    return True


def give_up(detections: list[Detection]) -> None:
    Detection.objects.filter(pk__in=[d.pk for d in detections]).update(thumbnail_size_bytes=NONE_TO_BE_HAD)


def make_owed() -> int:
    """What a crash or a full disk left without a thumbnail, the latest first; how many were made."""
    owed = Detection.objects.filter(thumbnail_size_bytes=None, upload__isnull=False)
    pks = owed.order_by("-upload_id").values_list("upload_id", flat=True).distinct()[:TOGETHER]
    uploads = Upload.objects.filter(pk__in=list(pks)).select_related("camera")
    return sum(make_thumbnails(upload) for upload in uploads)
