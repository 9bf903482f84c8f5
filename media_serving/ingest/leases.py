"""Camera leases and processing order: one worker per camera, several cameras in parallel.

For each camera, the newest hour is processed first, and within it the oldest file: after an outage, current pictures
appear at once, and the events of each hour are created in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from cameras.models import Camera
from media_serving.models import CameraLease, Upload, UploadState
from media_serving.models.uploads import LARGE_BYTES
from nvr.jobs.models import is_of_this_worker
from nvr.jobs.worker import lease_renewal

BATCH = 32
WORKERS_DIED = "Every worker that processed this file died."


def cameras_with_work(now: datetime) -> list[int]:
    """Ids of enabled cameras with uploads to process; the one that was leased longest ago comes first."""
    # Two index lookups per camera, however many uploads wait: with `Exists`, PostgreSQL reads all of them.
    own = Upload.objects.filter(camera=OuterRef("pk"))
    due = Subquery(own.due(now).order_by("-captured_at").values("pk")[:1])
    processing = Subquery(own.filter(state=UploadState.WORKING).order_by().values("pk")[:1])
    has_work = Q(due__isnull=False) | Q(processing__isnull=False)
    live = Camera.objects.filter(enabled=True).annotate(due=due, processing=processing).filter(has_work)
    return list(live.order_by(F("lease__acquired_at").asc(nulls_first=True), "pk").values_list("pk", flat=True))


@contextmanager
def camera_lease(camera_id: int) -> Iterator[CameraLease | None]:
    """Yield the camera's lease, or None if another worker holds it; release it at the end."""
    lease = acquire(camera_id)
    if lease is None:
        yield None
        return
    try:
        # A long video takes longer than the lease lasts.
        with lease_renewal(lease):
            yield lease
    finally:
        lease.release()


def acquire(camera_id: int) -> CameraLease | None:
    """Acquire the camera's lease and recover the uploads of a worker that died with it; None if another holds it."""
    lease, _ = CameraLease.objects.get_or_create(camera_id=camera_id)
    former_worker = lease.worker
    if not lease.acquire(acquired_at=timezone.now()):
        return None
    requeue_after_death(camera_id, former_worker)
    lease.refresh_from_db()  # another worker may have had it since it was read, and written the detector's memory
    return lease


def requeue_after_death(camera_id: int, former_worker: str) -> None:
    """Return a dead worker's uploads to the waiting state; fail a file after several dead workers.

    If `former_worker` was another worker, the whole installation stopped: a power cut, an upgrade or a manual kill.
    """
    lost = Upload.objects.filter(camera=camera_id, state=UploadState.WORKING)
    all_died = bool(former_worker) and not is_of_this_worker(former_worker)
    lost.requeue_after_death(limit=Upload.MAX_RESTARTS if all_died else Upload.MAX_ATTEMPTS, reason=WORKERS_DIED)


def next_batch(camera_id: int, now: datetime) -> list[Upload]:
    """The oldest files of the newest hour that has uploads; files that are read in slices come last.

    Large files are left out while too many of other cameras are being processed.
    """
    due = Upload.objects.due(now).filter(camera=camera_id)
    if not may_start_large_file(camera_id, now):
        due = due.filter(size_bytes__lte=LARGE_BYTES)
    newest = due.order_by("-captured_at", "-pk").values_list("captured_at", flat=True).first()
    if newest is None:
        return []
    hour = newest.replace(minute=0, second=0, microsecond=0)
    rows = due.filter(captured_at__gte=hour).select_related("camera").order_by("captured_at", "pk")[:BATCH]
    return sorted(rows, key=lambda row: bool(row.block_digests))


def may_start_large_file(camera_id: int, now: datetime) -> bool:
    """Whether a worker may start on a large file: otherwise those of a few cameras could block all others."""
    processing = Upload.objects.filter(state=UploadState.WORKING, size_bytes__gt=LARGE_BYTES)
    others = processing.filter(camera__lease__leased_until__gt=now).exclude(camera=camera_id)
    return others.order_by().count() < settings.NVR_INGEST_LARGE_FILES


def has_large_file_slot(lease: CameraLease) -> bool:
    """Whether the camera may start a large file. Call it in a transaction: a row lock serializes the workers."""
    CameraLease.objects.select_for_update().order_by("pk").first()
    return may_start_large_file(lease.camera_id, timezone.now())


def start_processing(lease: CameraLease, upload: Upload) -> bool:
    """Mark the upload as being processed.

    Returns False if it is no longer waiting, or if it is large and too many large files are being processed.
    """
    with transaction.atomic():
        lease.confirm()
        if upload.size_bytes > LARGE_BYTES and not has_large_file_slot(lease):
            return False
        waiting = Upload.objects.filter(pk=upload.pk, state=UploadState.WAITING)
        updated = waiting.update(state=UploadState.WORKING, attempts=F("attempts") + 1)
    upload.attempts += 1
    return bool(updated)
