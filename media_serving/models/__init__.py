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
from media_serving.models.playables import PlayableForm
from media_serving.models.tombstones import Tombstone
from media_serving.models.uploads import CameraTurn, CaptureClue, Upload, UploadCopy, UploadState
from media_serving.models.work import WorkState

__all__ = [
    "MAX_EVENT_LENGTH",
    "MAX_NOTES",
    "CameraTurn",
    "CaptureClue",
    "ClipWork",
    "Detection",
    "Event",
    "MediaType",
    "PlayableForm",
    "Tombstone",
    "Upload",
    "UploadCopy",
    "UploadState",
    "WorkState",
    "clip_path",
    "thumbnail_path",
]
