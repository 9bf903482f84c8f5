"""What is kept of stored media: uploads, detections, events, clips, conversions, and files that are to go."""

from media_serving.models.clips import ClipState, ClipWork
from media_serving.models.events import (
    LONGEST_EVENT,
    MAX_NOTES,
    Detection,
    Event,
    MediaType,
    clip_path,
    thumbnail_path,
)
from media_serving.models.playables import PlayableForm, PlayableState
from media_serving.models.tombstones import Tombstone
from media_serving.models.uploads import CameraTurn, Upload, UploadState

__all__ = [
    "LONGEST_EVENT",
    "MAX_NOTES",
    "CameraTurn",
    "ClipState",
    "ClipWork",
    "Detection",
    "Event",
    "MediaType",
    "PlayableForm",
    "PlayableState",
    "Tombstone",
    "Upload",
    "UploadState",
    "clip_path",
    "thumbnail_path",
]
