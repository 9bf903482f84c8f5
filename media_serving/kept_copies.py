"""The copies of what cameras have overwritten: how many there are, how much room they may take, and which go first.

A copy goes when it is too old, or when all together are too large; the oldest first, and never one that an event needs
which is to be kept. What was detected stays on record, and its picture says that it is gone.
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
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from cameras.models import Camera
from media_serving.clips.footage import MAX_VIDEO_LENGTH, video_filter
from media_serving.models import MAX_EVENT_LENGTH, Detection, Event, Upload, UploadState
from media_serving.tombstones import schedule_deletion

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

logger = logging.getLogger(__name__)

BATCH: Final = 200
MIB: Final = 2**20
STRAY_S: Final = 86_400.0  # a copy is written before its row says so
IN_USE: Final = Q(is_kept=True)
# A worker writes the copy of these again, under the same name: a tombstone would remove the new one.
PENDING: Final = (UploadState.WAITING, UploadState.WORKING)


@dataclass(frozen=True)
class KeptCopies:
    """`oldest_at` is when the oldest one arrived; `limit_bytes` and `max_age` are the operator's.

    `size_bytes` is of all cameras, which share the room; the other two may be of those that a user may see.
    """

    count: int
    size_bytes: int
    oldest_at: datetime | None
    limit_bytes: int
    max_age: timedelta


def kept_copies(user: User | AbstractBaseUser | AnonymousUser | None = None) -> KeptCopies:
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
    """Why no copy of that size is made now; empty if one is. Raises OSError."""
    if size_bytes > settings.NVR_KEPT_MB * MIB:
        return "it is larger than NVR_KEPT_MB"
    settings.KEPT_DIR.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(settings.KEPT_DIR).free - size_bytes < settings.NVR_KEPT_FREE_MB * MIB:
        return "the disk has less than NVR_KEPT_FREE_MB free"
    return ""


def trim(now: datetime | None = None) -> int:
    """Remove the copies that are too old or too many; how many."""
    now = now or timezone.now()
    state = kept_copies()
    too_old = remove_oldest(kept().filter(received_at__lt=now - state.max_age), now)
    excess = kept_copies().size_bytes - state.limit_bytes if too_old else state.size_bytes - state.limit_bytes
    return too_old + (remove_oldest(kept(), now, excess_bytes=excess) if excess > 0 else 0)


def remove_oldest(rows: QuerySet[Upload], now: datetime, *, excess_bytes: int | None = None) -> int:
    """Of `rows`, until `excess_bytes` are gone (None: all); how many. Those that kept events need stay."""
    removed, freed = 0, 0
    while excess_bytes is None or freed < excess_bytes:
        oldest = list(not_needed(rows).order_by("received_at", "pk")[:BATCH])
        some = up_to(oldest, None if excess_bytes is None else excess_bytes - freed)
        if not some:
            break
        freed += remove(some, now)
        removed += len(some)
    if removed:
        logger.info("kept copies removed count=%s bytes=%s", removed, freed)
    return removed


def up_to(rows: list[Upload], size_bytes: int | None) -> list[Upload]:
    """The first of `rows` that have that many bytes together."""
    if size_bytes is None:
        return rows
    some, total = [], 0
    for row in rows:
        if total >= size_bytes:
            break
        some.append(row)
        total += row.size_bytes
    return some


def remove(rows: list[Upload], now: datetime) -> int:
    """The rows say so first; the files go when that is committed. How many bytes."""
    with transaction.atomic():
        # Asked again: somebody may have marked an event since.
        still = list(not_needed(kept().filter(pk__in=[row.pk for row in rows])).select_for_update(of=("self",)))
        Upload.objects.filter(pk__in=[row.pk for row in still]).update(is_kept=False, copy_removed_at=now)
        schedule_deletion(row.kept_path for row in still)
    return sum(row.size_bytes for row in still)


def not_needed(rows: QuerySet[Upload]) -> QuerySet[Upload]:
    """Without pending uploads, and without those that a kept event needs: for a detection, or for its clip."""
    detections = Detection.objects.filter(upload=OuterRef("pk"), event__keep=True)
    shown = Exists(detections) | Exists(kept_events_from(timedelta(0)))
    return (
        rows.exclude(state__in=PENDING)
        .exclude(shown)
        .exclude(video_filter() & Q(Exists(kept_events_from(MAX_VIDEO_LENGTH))))
    )


def kept_events_from(length: timedelta) -> QuerySet[Event]:
    """Events to be kept of which a file's pictures, taken from its `captured_at` on for `length`, may show some."""
    padding = settings.NVR_CLIP_PADDING
    return Event.objects.filter(
        camera=OuterRef("camera"),
        keep=True,
        last_detected_at__gte=OuterRef("captured_at") - padding,
        started_at__gte=OuterRef("captured_at") - (padding + MAX_EVENT_LENGTH),
        started_at__lte=OuterRef("captured_at") + (padding + length),
    ).order_by()


def remove_strays() -> None:
    """Files in the folders of copies that no row tells of: a crash left them between the copy and the record."""
    before = time.time() - STRAY_S
    for folder in settings.KEPT_DIR.glob("*/"):
        if folder.name.isdecimal():
            for some in batches_of_copies(folder, before):
                known = set(kept().filter(pk__in=some).values_list("pk", flat=True))
                schedule_deletion(path for pk, path in some.items() if pk not in known)


def batches_of_copies(folder: Path, before: float) -> Iterator[dict[int, Path]]:
    some: dict[int, Path] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            number = entry.name.partition(".")[0]
            if number.isdecimal() and entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < before:
                some[int(number)] = Path(entry.path)
            if len(some) >= BATCH:
                yield some
                some = {}
    if some:
        yield some
