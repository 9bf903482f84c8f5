"""The state of ingest for health checks and pages: waiting, processing and failed uploads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet
from django.utils import timezone

from cameras.models import Camera
from media_serving.kept_copies import kept_copies
from media_serving.models import Upload, UploadState
from media_serving.models.uploads import UploadQuerySet
from nvr.audit.actor import Actor
from nvr.health.models import Heartbeat
from nvr.health.sections import Section

MAX_COUNT = 10_000  # larger numbers of waiting uploads need not be exact
WATCHER = "watcher"
BEHIND = timedelta(minutes=5)


@dataclass(frozen=True)
class IngestState:
    """`waiting` counts up to 10 000; `oldest_at` is when the longest waiting upload arrived."""

    waiting: int
    working: int
    failed: int
    oldest_at: datetime | None
    watcher_is_alive: bool


def ingest_state(uploads: UploadQuerySet | None = None) -> IngestState:
    """The state of `uploads`, or of all."""
    now = timezone.now()
    rows = Upload.objects.all() if uploads is None else uploads
    due = of_active_cameras(rows.due(now))
    # The redundant condition lets the partial index be used, which has no uploads that are done.
    failed = rows.exclude(state=UploadState.DONE).filter(state=UploadState.FAILED).order_by()
    heartbeat = Heartbeat.objects.filter(name=WATCHER).first()
    return IngestState(
        waiting=due[:MAX_COUNT].count(),
        working=rows.filter(state=UploadState.WORKING).count(),
        failed=failed.filter(received_at__gte=now - timedelta(days=1))[:MAX_COUNT].count(),
        # Files that are read in slices are being processed, even if it takes long.
        oldest_at=due.filter(block_digests="").order_by("received_at").values_list("received_at", flat=True).first(),
        watcher_is_alive=heartbeat is not None and heartbeat.is_alive,
    )


def of_active_cameras(uploads: QuerySet[Upload]) -> QuerySet[Upload]:
    """The uploads of enabled cameras: workers skip disabled and trashed cameras."""
    cameras = Camera.objects.filter(enabled=True).order_by().values("pk")
    # The sum keeps SQLite from scanning all uploads of these cameras.
    return uploads.order_by().annotate(owner=F("camera_id") + 0).filter(owner__in=cameras)


def section() -> Section:
    state = ingest_state()
    if not state.watcher_is_alive:
        detail = "Folder watcher is not running: start manage.py ingest."
        return Section("degraded", detail, is_stopped=True)
    if state.oldest_at and timezone.now() - state.oldest_at > BEHIND:
        return Section("degraded", "Uploads wait, some for more than five minutes.")
    return Section("ok", "Uploads are processed as they arrive.")


def figures(user: Actor) -> dict[str, Any]:
    """Uploads and copies of the cameras that `user` may see; the space used by copies is that of all cameras."""
    state, kept = ingest_state(Upload.objects.visible_unordered(user)), kept_copies(user)
    counts = {"waiting": state.waiting, "working": state.working, "failed": state.failed}
    return counts | {
        "kept_copies": kept.count,
        "kept_bytes": kept.size_bytes,
        "kept_limit_bytes": kept.limit_bytes,
    }
