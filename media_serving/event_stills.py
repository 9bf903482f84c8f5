"""The pictures of an event, each once, with the boxes of what was found in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.urls import reverse

from media_serving.api.representation import thumbnail_url
from media_serving.models import Detection, Event

MOST_DETECTIONS = 2000
MOST_STILLS = 120
LABEL_SHARE = 26  # a label's letters are the picture's height divided by this


@dataclass(frozen=True)
class Box:
    """In the picture's pixels; the label stands above the box, or within it where there is no room above."""

    x: float
    y: float
    width: float
    height: float
    label: str
    label_x: float
    label_y: float


@dataclass(frozen=True)
class Still:
    """One picture; `detection_id` is its surest detection's, by which addresses name it.

    Without `frame_width` its size in pixels is not known: the boxes fit the original only.
    """

    detection_id: int
    at: datetime
    frame_width: int | None
    frame_height: int | None
    boxes: list[Box]
    words: str
    has_thumbnail: bool
    confidence: float

    @property
    def url(self) -> str:
        return reverse("api_detection_file", args=[self.detection_id])

    @property
    def small_url(self) -> str:
        return thumbnail_url(self.detection_id) if self.has_thumbnail else f"{self.url}?width=320"

    @property
    def label_px(self) -> int:
        return max(8, (self.frame_height or 480) // LABEL_SHARE)


def stills_of(event: Event) -> list[Still]:
    """The event's pictures, oldest first; of a very long list the first ones."""
    rows = list(event.detections.order_by("detected_at", "file_path", "offset_ms", "pk")[:MOST_DETECTIONS])
    pictures = groupby(rows, key=lambda row: (row.detected_at, row.file_path, row.offset_ms))
    return [_still(list(found)) for _, found in pictures][:MOST_STILLS]


def best_of(stills: Sequence[Still]) -> Still | None:
    """The one that shows the event best: something drawn on it, and the detector was sure of it."""
    return max(stills, key=lambda still: (bool(still.boxes), still.confidence), default=None)


def chosen_from(stills: Iterable[Still], detection_id: str | None) -> Still | None:
    return next((still for still in stills if str(still.detection_id) == detection_id), None)


def _still(found: list[Detection]) -> Still:
    surest = max(found, key=lambda row: (bool(row.thumbnail_size_bytes), row.confidence))
    sized: Any = next((row for row in found if row.frame_width), surest)
    return Still(
        detection_id=surest.pk,
        at=surest.detected_at,
        frame_width=sized.frame_width,
        frame_height=sized.frame_height,
        boxes=[_box(row, sized.frame_height) for row in found if row.bbox_x is not None],
        words=", ".join(_label(row) for row in found),
        has_thumbnail=bool(surest.thumbnail_size_bytes),
        confidence=max(row.confidence for row in found),
    )


def _box(row: Any, frame_height: int | None) -> Box:
    letters_px = max(8, (frame_height or 480) // LABEL_SHARE)
    above = row.bbox_y - letters_px * 0.4
    fits = above >= letters_px
    return Box(
        x=row.bbox_x,
        y=row.bbox_y,
        width=row.bbox_width,
        height=row.bbox_height,
        label=_label(row),
        label_x=row.bbox_x if fits else row.bbox_x + letters_px * 0.3,
        label_y=above if fits else row.bbox_y + letters_px * 1.2,
    )


def _label(row: Detection) -> str:
    return f"{row.object_class} {row.confidence:.2f}"
