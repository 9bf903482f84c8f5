"""The pictures of an event, each once, with the boxes of its detections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.urls import reverse

from media_serving.addresses import thumbnail_url
from media_serving.event_words import percentage
from media_serving.models import Detection, Event

MAX_DETECTIONS = 1000
MAX_STILLS = 120
LABEL_SHARE = 32  # a label's font size is the picture's height divided by this


@dataclass(frozen=True)
class Box:
    """In the picture's pixels; the label is above the box, or inside if there is no space above."""

    x: float
    y: float
    width: float
    height: float
    label: str
    label_x: float
    label_y: float


@dataclass(frozen=True)
class Still:
    """One picture; `detection_id` is that of its most confident detection, and identifies it in URLs.

    Without `frame_width` its size in pixels is unknown: the boxes fit the original only.
    """

    detection_id: int
    at: datetime
    frame_width: int | None
    frame_height: int | None
    boxes: list[Box]
    label: str
    has_thumbnail: bool
    confidence: float

    @property
    def url(self) -> str:
        return reverse("api_detection_file", args=[self.detection_id])

    @property
    def small_url(self) -> str:
        return thumbnail_url(self.detection_id) if self.has_thumbnail else f"{self.url}?width=320"

    @property
    def large_url(self) -> str:
        return f"{self.url}?width=1280"

    @property
    def largest_px(self) -> float:
        return max((box.width * box.height for box in self.boxes), default=0)

    @property
    def label_px(self) -> int:
        return max(8, (self.frame_height or 480) // LABEL_SHARE)


@dataclass(frozen=True)
class Stills:
    """One page of an event's pictures, oldest first, starting at detection number `first`.

    `following` is the detection number at which the next page starts; None on the last page.
    """

    shown: list[Still]
    first: int
    following: int | None


def stills_of(event: Event, first: int = 0) -> Stills:
    """Return the pictures from detection number `first` on, counted from 0 by time; one query."""
    ordered = event.detections.order_by("detected_at", "file_path", "offset_ms", "pk")
    # One more than is shown tells whether there is another page.
    rows = list(ordered[first : first + MAX_DETECTIONS + 1])
    pictures = [list(found) for _, found in groupby(rows[:MAX_DETECTIONS], key=_picture)]
    if len(rows) > MAX_DETECTIONS and len(pictures) > 1:
        pictures.pop()  # some of its detections may not be among the rows
    pictures = pictures[:MAX_STILLS]
    end = first + sum(len(found) for found in pictures)
    return Stills([_still(found) for found in pictures], first, end if end < first + len(rows) else None)


def _picture(row: Detection) -> tuple[object, ...]:
    return row.detected_at, row.file_path, row.offset_ms


def best_still(stills: Sequence[Still]) -> Still | None:
    """Return the best picture: with boxes, then the highest confidence, then the largest box."""
    return max(stills, key=lambda still: (bool(still.boxes), still.confidence, still.largest_px), default=None)


def find_still(stills: Iterable[Still], detection_id: str | None) -> Still | None:
    return next((still for still in stills if str(still.detection_id) == detection_id), None)


def _still(found: list[Detection]) -> Still:
    best = max(found, key=lambda row: (bool(row.thumbnail_size_bytes), row.confidence))
    sized: Any = next((row for row in found if row.frame_width), best)
    return Still(
        detection_id=best.pk,
        at=best.detected_at,
        frame_width=sized.frame_width,
        frame_height=sized.frame_height,
        boxes=[_box(row, sized.frame_height) for row in found if row.bbox_x is not None],
        label=", ".join(_label(row) for row in found),
        has_thumbnail=bool(best.thumbnail_size_bytes),
        confidence=max(row.confidence for row in found),
    )


def _box(row: Any, frame_height: int | None) -> Box:
    letters_px = max(8, (frame_height or 480) // LABEL_SHARE)
    above = row.bbox_y - letters_px * 0.4
    fits = above >= letters_px
    x, y, width, height = (round(side, 1) for side in (row.bbox_x, row.bbox_y, row.bbox_width, row.bbox_height))
    label_x, label_y = (x, above) if fits else (x + letters_px * 0.3, y + letters_px * 1.2)
    return Box(x, y, width, height, _label(row), round(label_x, 1), round(label_y, 1))


def _label(row: Detection) -> str:
    return f"{row.object_class} {percentage(row.confidence)}"
