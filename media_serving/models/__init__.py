"""Models of stored media: uploads, detections, events, clips, transcodes and tombstones."""

from media_serving.models.clips import ClipWork
from media_serving.models.events import (
    MAX_EVENT_LENGTH,
    MAX_NOTES,
    Detection,
    Event,
    MediaType,
    clip_path,
    thumbnail_path,
)
from media_serving.models.tombstones import Tombstone
from media_serving.models.transcodes import Transcode
from media_serving.models.uploads import CameraLease, CaptureClue, Upload, UploadCopy, UploadState

__all__ = [
    "MAX_EVENT_LENGTH",
    "MAX_NOTES",
    "CameraLease",
    "CaptureClue",
    "ClipWork",
    "Detection",
    "Event",
    "MediaType",
    "Tombstone",
    "Transcode",
    "Upload",
    "UploadCopy",
    "UploadState",
    "clip_path",
    "thumbnail_path",
]
