"""How the taking in of files is going, for operators: what waits, what came, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, OuterRef, Subquery
from django.utils import timezone

from cameras.models import Camera
from media_serving.ingest.state import WATCHER
from media_serving.models import Upload, UploadState
from media_serving.models.uploads import UploadQuerySet
from nvr.health.models import Heartbeat

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

RETRY = "media_serving.change_upload"
FAILURES_SHOWN = 50
RATES = (("minute", timedelta(minutes=1)), ("hour", timedelta(hours=1)))
UNREAD = (UploadState.REJECTED, UploadState.FAILED)
OWED = (UploadState.WAITING, UploadState.WORKING)
STATE_WORDS = {
    UploadState.WAITING: "Waiting",
    UploadState.WORKING: "Being read",
    UploadState.DONE: "Done",
    UploadState.REJECTED: "Rejected",
    UploadState.FAILED: "Failed",
}


@dataclass(frozen=True)
class Rate:
    """How many files were done in the last `span` ("minute", "hour"), and how many arrived."""

    span: str
    done: int
    arrived: int


@dataclass(frozen=True)
class CameraRow:
    """A camera, what of it waits, and the file that came last, if ever one did."""

    name: str
    url: str
    waiting: int
    last_path: str
    last_at: datetime | None
    last_state: str
    last_word: str


def state_of_ingest(user: User | AnonymousUser) -> dict[str, Any]:
    """What `user` may see of it; the number of queries does not depend on how much there is."""
    now = timezone.now()
    heart = Heartbeat.objects.filter(name=WATCHER).first()
    mine = Upload.objects.visible_to(user)
    counts = dict(
        mine.order_by().exclude(state=UploadState.DONE).values_list("state").annotate(number=Count("pk")).order_by()
    )
    return {
        "waiting": counts.get(UploadState.WAITING, 0),
        "working": counts.get(UploadState.WORKING, 0),
        "unread": sum(counts.get(state, 0) for state in UNREAD),
        "oldest_at": mine.filter(state__in=OWED).order_by("received_at").values_list("received_at", flat=True).first(),
        "postponed": mine.filter(state=UploadState.WAITING, retry_at__gt=now).count(),
        "rates": [_rate(mine, name, now - span) for name, span in RATES],
        "watcher_is_alive": heart is not None and heart.is_alive,
        "cameras": cameras_with_last_file(user),
        "failures": failures(user),
    }


def cameras_with_last_file(user: User | AnonymousUser) -> list[CameraRow]:
    last = Upload.objects.filter(camera=OuterRef("pk"))  # newest first
    waiting = last.filter(state__in=OWED).order_by().values("camera").annotate(number=Count("pk")).values("number")
    rows = Camera.objects.visible_to(user).annotate(
        last_path=Subquery(last.values("path")[:1]),
        last_at=Subquery(last.values("received_at")[:1]),
        last_state=Subquery(last.values("state")[:1]),
        waiting=Subquery(waiting),
    )
    return [_row(camera) for camera in rows]


def failures(user: User | AnonymousUser) -> list[tuple[Upload, str]]:
    """The newest uploads of which nothing could be made, each with its state in a word."""
    rows = Upload.objects.visible_to(user).filter(state__in=UNREAD).select_related("camera")
    return [(row, STATE_WORDS[UploadState(row.state)]) for row in rows[:FAILURES_SHOWN]]


def _rate(uploads: UploadQuerySet, name: str, since: datetime) -> Rate:
    done, arrived = uploads.filter(done_at__gte=since), uploads.filter(received_at__gte=since)
    return Rate(name, done.count(), arrived.count())


def _row(camera: Any) -> CameraRow:
    return CameraRow(
        name=camera.name,
        url=camera.get_absolute_url(),
        waiting=camera.waiting or 0,
        last_path=camera.last_path or "",
        last_at=camera.last_at,
        last_state=camera.last_state or "",
        last_word=STATE_WORDS[UploadState(camera.last_state)] if camera.last_state else "",
    )
