"""The status of ingest for operators: waiting, processed and failed uploads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, OuterRef, Q, Subquery, prefetch_related_objects
from django.utils import timezone

from cameras.models import Camera
from media_serving.ingest.state import WATCHER
from media_serving.kept_copies import kept_copies
from media_serving.models import CaptureClue, Upload, UploadState
from media_serving.models.uploads import UploadQuerySet
from nvr.audit.actor import Actor
from nvr.health.models import Heartbeat

RETRY = "media_serving.change_upload"
FAILURES_SHOWN = 50
RATES = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
NOT_PROCESSED = (UploadState.REJECTED, UploadState.FAILED)
PENDING = (UploadState.WAITING, UploadState.WORKING)
NONE = (0, None)
STATE_LABELS = {
    UploadState.WAITING: "Waiting",
    UploadState.WORKING: "Processing",
    UploadState.DONE: "Done",
    UploadState.REJECTED: "Rejected",
    UploadState.FAILED: "Failed",
}


@dataclass(frozen=True)
class Rate:
    """The number of files processed and received in the last `period` ("minute", "hour")."""

    period: str
    done: int
    arrived: int


@dataclass(frozen=True)
class CameraRow:
    """A camera with its number of waiting files and its newest file, if any.

    `capture_clue` is the source of the file's capture time, `clock_note` why more reliable clues were ignored.
    """

    name: str
    url: str
    waiting: int
    last_path: str
    last_at: datetime | None
    last_state: str
    last_state_label: str
    captured_at: datetime | None
    capture_clue: str
    clock_note: str


@dataclass(frozen=True)
class Postponed:
    """Uploads that failed and are retried later: the newest, and the total number."""

    newest: list[Upload]
    number: int


def ingest_status(user: Actor) -> dict[str, Any]:
    """Return the status visible to `user`; the number of queries is constant."""
    now = timezone.now()
    heartbeat = Heartbeat.objects.filter(name=WATCHER).first()
    mine = Upload.objects.visible_unordered(user)
    by_state = {state: (number, oldest_at) for state, number, oldest_at in _not_done(mine)}
    not_processed = sum(by_state.get(state, NONE)[0] for state in NOT_PROCESSED)
    postponed_uploads = postponed(mine, now)
    listed = failures(mine, postponed_uploads.newest)
    waiting, oldest_at = by_state.get(UploadState.WAITING, NONE)
    return {
        "waiting": waiting,
        "working": by_state.get(UploadState.WORKING, NONE)[0],
        "not_processed": not_processed,
        "oldest_at": oldest_at,
        "postponed": postponed_uploads.number,
        "rates": _rates(mine, now),
        "watcher_is_alive": heartbeat is not None and heartbeat.is_alive,
        "cameras": cameras_with_last_file(user),
        "failures": listed,
        "kept": kept_copies(user),
        "unlisted": not_processed + postponed_uploads.number - len(listed),
    }


def cameras_with_last_file(user: Actor) -> list[CameraRow]:
    last = Upload.objects.filter(camera=OuterRef("pk"))  # newest first
    rows = Camera.objects.visible_to(user).annotate(
        last_path=Subquery(last.values("path")[:1]),
        last_at=Subquery(last.values("received_at")[:1]),
        last_state=Subquery(last.values("state")[:1]),
        last_taken_at=Subquery(last.values("captured_at")[:1]),
        last_clue=Subquery(last.values("capture_clue")[:1]),
        last_note=Subquery(last.values("capture_note")[:1]),
    )
    by_state = Upload.objects.visible_unordered(user).exclude(state=UploadState.DONE).filter(state__in=PENDING)
    waiting = dict(by_state.annotate(key=F("camera_id") + 0).values_list("key").annotate(number=Count("pk")))
    return [_row(camera, waiting.get(camera.pk, 0)) for camera in rows]


def postponed(uploads: UploadQuerySet, now: datetime) -> Postponed:
    rows = uploads.postponed(now)
    newest = list(rows.order_by("-retry_at")[:FAILURES_SHOWN])
    return Postponed(newest, len(newest) if len(newest) < FAILURES_SHOWN else rows.count())


def failures(uploads: UploadQuerySet, postponed_uploads: Iterable[Upload]) -> list[tuple[Upload, str]]:
    """The newest rejected, failed and postponed uploads, each with the label of its state."""
    rows = uploads.exclude(state=UploadState.DONE).order_by("-received_at", "-pk")
    # A query per state: the index returns its newest without reading the others.
    found = [row for state in NOT_PROCESSED for row in rows.filter(state=state)[:FAILURES_SHOWN]]
    found += postponed_uploads
    found.sort(key=lambda row: (row.received_at, row.pk), reverse=True)
    found = found[:FAILURES_SHOWN]
    prefetch_related_objects(found, "camera")  # with a join, SQLite would walk all uploads of all cameras
    return [(row, STATE_LABELS[UploadState(row.state)]) for row in found]


def _not_done(uploads: UploadQuerySet) -> Iterable[tuple[str, int, datetime]]:
    """Return each state except done, its number of uploads, and when the oldest arrived."""
    rows = uploads.exclude(state=UploadState.DONE).values("state")
    return rows.annotate(number=Count("pk"), oldest_at=Min("received_at")).values_list("state", "number", "oldest_at")


def _rates(uploads: UploadQuerySet, now: datetime) -> list[Rate]:
    done, arrived = (_counts_since(uploads, name, now) for name in ("done_at", "received_at"))
    return [Rate(period, done[period], arrived[period]) for period in RATES]


def _counts_since(uploads: UploadQuerySet, field: str, now: datetime) -> dict[str, int]:
    """Return the number of uploads whose `field` is in each period of `RATES`; one query."""
    since = {period: Q(**{f"{field}__gte": now - length}) for period, length in RATES.items()}
    longest = uploads.filter(**{f"{field}__gte": now - max(RATES.values())})
    return longest.aggregate(**{period: Count("pk", filter=condition) for period, condition in since.items()})


def _row(camera: Any, waiting: int) -> CameraRow:
    return CameraRow(
        name=camera.name,
        url=camera.get_absolute_url(),
        waiting=waiting,
        last_path=camera.last_path or "",
        last_at=camera.last_at,
        last_state=camera.last_state or "",
        last_state_label=STATE_LABELS[UploadState(camera.last_state)] if camera.last_state else "",
        captured_at=camera.last_taken_at,
        capture_clue=CaptureClue(camera.last_clue).label if camera.last_clue else "",
        clock_note=camera.last_note or "",
    )
