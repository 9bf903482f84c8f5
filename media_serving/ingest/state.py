"""How ingest is doing: what waits, how fast it goes, what failed; for the health answer and for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F, QuerySet
from django.utils import timezone

from cameras.models import Camera
from media_serving.kept_copies import kept_copies
from media_serving.models import Upload, UploadState
from media_serving.models.uploads import UploadQuerySet
from nvr.health.models import Heartbeat
from nvr.health.sections import Section

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

COUNTED = 10_000  # nobody needs to know more exactly how many wait
WATCHER = "watcher"
BEHIND = timedelta(minutes=5)


@dataclass(frozen=True)
class IngestState:
    """`waiting` up to 10 000; `oldest_at` is since when the one that waits longest has been there."""

    waiting: int
    working: int
    failed: int
    oldest_at: datetime | None
    watcher_is_alive: bool


def ingest_state(uploads: UploadQuerySet | None = None) -> IngestState:
    """Of `uploads`, or of all."""
    now = timezone.now()
    every = Upload.objects.all() if uploads is None else uploads
    due = workable(every.due(now))
    failed = every.exclude(state=UploadState.DONE).filter(state=UploadState.FAILED).order_by()
    heart = Heartbeat.objects.filter(name=WATCHER).first()
    return IngestState(
        waiting=due[:COUNTED].count(),
        working=every.filter(state=UploadState.WORKING).count(),
        failed=failed.filter(received_at__gte=now - timedelta(days=1))[:COUNTED].count(),
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
    if not state.watcher_is_alive:
        detail = "Folder watcher is not running: start manage.py ingest."
        return Section("degraded", detail, is_stopped=True)
    if state.oldest_at and timezone.now() - state.oldest_at > BEHIND:
        return Section("degraded", "Uploads wait, some for more than five minutes.")
    return Section("ok", "Uploads are read as they come.")


def figures(user: User | AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    """Uploads and copies of the cameras that `user` may see; how full the room for copies is concerns all of them."""
    state, kept = ingest_state(Upload.objects.visible_unordered(user)), kept_copies(user)
    facts = {"waiting": state.waiting, "working": state.working, "failed": state.failed}
    return facts | {
        "kept_copies": kept.count,
        "kept_bytes": kept.size_bytes,
        "kept_limit_bytes": kept.limit_bytes,
    }
