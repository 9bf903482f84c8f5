"""What is kept of stored media: detections, events, conversions, and files that are to go."""

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

__all__ = [
    "LONGEST_EVENT",
    "MAX_NOTES",
    "Detection",
    "Event",
    "MediaType",
    "PlayableForm",
    "PlayableState",
    "Tombstone",
    "clip_path",
    "thumbnail_path",
]
