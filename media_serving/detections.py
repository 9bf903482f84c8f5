"""Recording detections: a repeated report of the same detection is stored once."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from django.db import transaction

from cameras.models import Camera
from media_serving.events import attach, lock_camera
from media_serving.models import Detection, MediaType
from nvr.errors import Conflict, Invalid, NotFound
from nvr.media.files.content_types import is_image, is_video
from nvr.media.files.paths import normalise_folder

MAX_PATH = 4096


class DetectionDiffers(Conflict):
    """The detector has already used this `external_id` for a detection with other values."""

    def __init__(self, known: Detection, fields: list[str]) -> None:
        super().__init__(f"external_id was reported before, as detection {known.pk}, with another {', '.join(fields)}.")


@transaction.atomic
def report_detection(camera: Camera, values: dict[str, Any]) -> tuple[Detection, bool]:
    """Record a detection from column `values` and attach it to its event; return it and whether it is new.

    A repeated `source` and `external_id` return the existing detection. Raises `DetectionDiffers` if its values
    differ, and `NotFound` if the camera was trashed meanwhile.
    """
    # The camera's lock makes query and insert atomic: the second of two concurrent reports finds the first.
    if lock_camera(camera.pk).is_trashed:
        raise NotFound("Camera not found")
    known = _reported_before(camera, values)
    if known is not None:
        different = sorted(name for name, value in values.items() if getattr(known, name) != value)
        if different:
            raise DetectionDiffers(known, different)
        return known, False
    detection = Detection(camera=camera, **values)
    attach(detection)
    return detection, True


def path_inside(camera: Camera, text: str) -> str:
    """Return the absolute path for `text`: relative to the camera's folder, or absolute inside it.

    The file need not exist: a detector may report before an upload has ended, or after retention. Symlinks are
    checked when the file is served. Raises `Invalid`.
    """
    if ".." in text.split("/"):
        raise Invalid.field("file_path", "must not contain `..`.")
    path = normalise_folder(text if text.startswith("/") else f"{camera.folder_path}/{text}")
    if PurePosixPath(camera.folder_path) not in PurePosixPath(path).parents:
        raise Invalid.field("file_path", "must be inside the camera's folder.")
    if len(path) > MAX_PATH:
        raise Invalid.field("file_path", f"must not be longer than {MAX_PATH} characters, with its folder.")
    return path


def media_type_of(path: str) -> MediaType:
    """Return the media type for the path's extension. Raises `Invalid` unless it is a supported image or video."""
    if is_image(path):
        return MediaType.IMAGE
    if is_video(path):
        return MediaType.VIDEO
    raise Invalid.field("file_path", "must have the extension of a supported image or video, such as .jpg or .mp4.")


def _reported_before(camera: Camera, values: dict[str, Any]) -> Detection | None:
    if not values.get("external_id"):
        return None
    return camera.detections.filter(source=values["source"], external_id=values["external_id"]).first()
