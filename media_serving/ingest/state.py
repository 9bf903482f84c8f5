"""How ingest is doing: what waits, how fast it goes, what failed; for the health answer and for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, QuerySet
from django.utils import timezone

from cameras.models import Camera
from media_serving.kept_copies import kept_copies
from media_serving.models import Upload, UploadState
from nvr.health.models import Heartbeat
from nvr.health.sections import Section

COUNTED = 10_000  # nobody needs to know more exactly how many wait
WATCHER = "watcher"
BEHIND = timedelta(minutes=5)


@dataclass(frozen=True)
class IngestState:
    """`waiting` up to 10 000; `oldest_at` is since when the one that waits longest has been there."""

    waiting: int
    postponed: int
    working: int
    failed: int
    done_last_minute: int
    oldest_at: datetime | None
    watcher_is_alive: bool


def ingest_state() -> IngestState:
    now = timezone.now()
    due = workable(Upload.objects.due(now))
    postponed = workable(Upload.objects.postponed(now))
    failed = Upload.objects.exclude(state=UploadState.DONE).filter(state=UploadState.FAILED).order_by()
    heart = Heartbeat.objects.filter(name=WATCHER).first()
    return IngestState(
        waiting=due[:COUNTED].count(),
        postponed=postponed[:COUNTED].count(),
        working=Upload.objects.filter(state=UploadState.WORKING).count(),
        failed=failed.filter(received_at__gte=now - timedelta(days=1))[:COUNTED].count(),
        done_last_minute=Upload.objects.filter(done_at__gte=now - timedelta(minutes=1)).order_by()[:COUNTED].count(),
        # What is read in slices is being worked on, though it takes its time.
        oldest_at=due.filter(block_digests="").order_by("received_at").values_list("received_at", flat=True).first(),
        watcher_is_alive=heart is not None and heart.is_alive,
    )


def workable(uploads: QuerySet[Upload]) -> QuerySet[Upload]:
    """Those of cameras that are neither in the trash nor switched off: no worker may read the others."""
    cameras = Camera.objects.filter(enabled=True).order_by().values("pk")
    # As a sum, or SQLite walks all that the cameras ever delivered.
    return uploads.order_by().annotate(owner=F("camera_id") + 0).filter(owner__in=cameras)


def section() -> Section:
    state = ingest_state()
    kept = kept_copies()
    facts = {"waiting": state.waiting, "working": state.working, "failed": state.failed}
    facts |= {"kept_copies": kept.count, "kept_bytes": kept.size_bytes, "kept_limit_bytes": kept.limit_bytes}
    if not state.watcher_is_alive:
        return Section("degraded", "Nobody watches the cameras' folders: start manage.py ingest.", facts)
    if state.oldest_at and timezone.now() - state.oldest_at > BEHIND:
        return Section("degraded", f"{state.waiting} uploads wait, some for more than five minutes.", facts)
    return Section("ok", "Uploads are read as they come.", facts)
