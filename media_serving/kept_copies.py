"""Kept copies of files that cameras overwrite: their count and size, and the removal of old ones.

A copy is removed when it is too old, or when all copies together are too large, oldest first. Copies that a kept event
needs are never removed. Detections stay recorded, and their picture is reported as gone.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from cameras.models import Camera
from media_serving.clips.footage import MAX_VIDEO_LENGTH, video_filter
from media_serving.models import MAX_EVENT_LENGTH, Detection, Event, Upload, UploadState
from media_serving.tombstones import schedule_deletion
from nvr.audit.actor import Actor

logger = logging.getLogger(__name__)

BATCH: Final = 200
MIB: Final = 2**20
STRAY_S: Final = 86_400.0  # a copy is written before its row is updated
IN_USE: Final = Q(is_kept=True)
# Workers write the copies of these again under the same name: a tombstone would remove the new copy.
PENDING: Final = (UploadState.WAITING, UploadState.WORKING)


@dataclass(frozen=True)
class KeptCopies:
    """`oldest_at` is when the oldest copy arrived; `limit_bytes` and `max_age` are settings.

    `size_bytes` counts all cameras, which share the space; `count` and `oldest_at` may be limited to the cameras that a
    user may see.
    """

    count: int
    size_bytes: int
    oldest_at: datetime | None
    limit_bytes: int
    max_age: timedelta


def kept_copies(user: Actor | None = None) -> KeptCopies:
    counted = Q() if user is None else Q(camera__in=Camera.objects.visible_to(user).order_by().values("pk"))
    found = kept().aggregate(
        count=Count("pk", filter=counted),
        size_bytes=Sum("size_bytes"),
        oldest_at=Min("received_at", filter=counted),
    )
    return KeptCopies(
        count=found["count"],
        size_bytes=found["size_bytes"] or 0,
        oldest_at=found["oldest_at"],
        limit_bytes=settings.NVR_KEPT_MB * MIB,
        max_age=settings.NVR_KEPT_MAX_AGE,
    )


def kept() -> QuerySet[Upload]:
    return Upload.objects.filter(IN_USE).order_by()


def why_no_room(size_bytes: int) -> str:
    """The reason why no copy of that size may be made now; empty if it may. Raises OSError."""
    if size_bytes > settings.NVR_KEPT_MB * MIB:
        return "it is larger than NVR_KEPT_MB"
    settings.KEPT_DIR.mkdir(parents=True, exist_ok=True)
    # Copies are the least important use of the disk: they never take the last free space.
    if shutil.disk_usage(settings.KEPT_DIR).free - size_bytes < settings.NVR_KEPT_FREE_MB * MIB:
        return "the disk has less than NVR_KEPT_FREE_MB free"
    return ""


def trim(now: datetime | None = None) -> int:
    """Remove copies that are too old or exceed the size limit; return how many."""
    now = now or timezone.now()
    state = kept_copies()
    too_old = remove_oldest(kept().filter(received_at__lt=now - state.max_age), now)
    excess = kept_copies().size_bytes - state.limit_bytes if too_old else state.size_bytes - state.limit_bytes
    return too_old + (remove_oldest(kept(), now, excess_bytes=excess) if excess > 0 else 0)


def remove_oldest(rows: QuerySet[Upload], now: datetime, *, excess_bytes: int | None = None) -> int:
    """Remove the oldest of `rows` until `excess_bytes` are freed (None: all); return how many.

    Copies that kept events need stay.
    """
    removed, freed = 0, 0
    while excess_bytes is None or freed < excess_bytes:
        oldest = list(not_needed(rows).order_by("received_at", "pk")[:BATCH])
        batch = up_to(oldest, None if excess_bytes is None else excess_bytes - freed)
        if not batch:
            break
        freed += remove(batch, now)
        removed += len(batch)
    if removed:
        logger.info("kept copies removed count=%s bytes=%s", removed, freed)
    return removed


def up_to(rows: list[Upload], size_bytes: int | None) -> list[Upload]:
    """The first of `rows` that have at least `size_bytes` in total; None means all."""
    if size_bytes is None:
        return rows
    selected, total = [], 0
    for row in rows:
        if total >= size_bytes:
            break
        selected.append(row)
        total += row.size_bytes
    return selected


def remove(rows: list[Upload], now: datetime) -> int:
    """Update the rows, and delete the files after the commit; return the number of bytes."""
    with transaction.atomic():
        # Check again: a user may have marked an event as kept since.
        removable = list(not_needed(kept().filter(pk__in=[row.pk for row in rows])).select_for_update(of=("self",)))
        Upload.objects.filter(pk__in=[row.pk for row in removable]).update(is_kept=False, copy_removed_at=now)
        schedule_deletion(row.kept_path for row in removable)
    return sum(row.size_bytes for row in removable)


def not_needed(rows: QuerySet[Upload]) -> QuerySet[Upload]:
    """Exclude pending uploads, and those that a kept event needs for a detection or for its clip."""
    detections = Detection.objects.filter(upload=OuterRef("pk"), event__keep=True)
    shown = Exists(detections) | Exists(kept_events_from(timedelta(0)))
    return (
        rows.exclude(state__in=PENDING)
        .exclude(shown)
        .exclude(video_filter() & Q(Exists(kept_events_from(MAX_VIDEO_LENGTH))))
    )


def kept_events_from(length: timedelta) -> QuerySet[Event]:
    """Kept events that a file may show, if it was recorded from its `captured_at` on for `length`."""
    padding = settings.NVR_CLIP_PADDING
    return Event.objects.filter(
        camera=OuterRef("camera"),
        keep=True,
        last_detected_at__gte=OuterRef("captured_at") - padding,
        started_at__gte=OuterRef("captured_at") - (padding + MAX_EVENT_LENGTH),
        started_at__lte=OuterRef("captured_at") + (padding + length),
    ).order_by()


def remove_strays() -> None:
    """Delete copies without a row, which a crash between the copy and the row update leaves behind."""
    before = time.time() - STRAY_S
    for folder in settings.KEPT_DIR.glob("*/"):
        if folder.name.isdecimal():
            for batch in batches_of_copies(folder, before):
                known = set(kept().filter(pk__in=batch).values_list("pk", flat=True))
                schedule_deletion(path for pk, path in batch.items() if pk not in known)


def batches_of_copies(folder: Path, before: float) -> Iterator[dict[int, Path]]:
    batch: dict[int, Path] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            number = entry.name.partition(".")[0]
            if number.isdecimal() and entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < before:
                batch[int(number)] = Path(entry.path)
            if len(batch) >= BATCH:
                yield batch
                batch = {}
    if batch:
        yield batch
