"""Camera leases and processing order: one worker per camera, several cameras in parallel.

For each camera, the newest hour is processed first, and within it the oldest file: after an outage, current pictures
appear at once, and the events of each hour are created in order.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from cameras.models import Camera
from media_serving import leases
from media_serving.models import CameraTurn, Upload, UploadState
from media_serving.models.uploads import LARGE_BYTES

LEASE = timedelta(seconds=10)  # renewed while the worker runs; after a kill, the camera is free again after this time
BATCH = 32
WORKERS_DIED = "Every worker that processed this file died."


class LeaseLost(Exception):
    """Another worker has acquired the camera: the current results must not be written."""


def cameras_with_work(now: datetime) -> list[int]:
    """Ids of enabled cameras with uploads to process; the one that was leased longest ago comes first."""
    # Two index lookups per camera, however many uploads wait: with `Exists`, PostgreSQL reads all of them.
    own = Upload.objects.filter(camera=OuterRef("pk"))
    due = Subquery(own.due(now).order_by("-captured_at").values("pk")[:1])
    processing = Subquery(own.filter(state=UploadState.WORKING).order_by().values("pk")[:1])
    has_work = Q(due__isnull=False) | Q(processing__isnull=False)
    live = Camera.objects.filter(enabled=True).annotate(due=due, processing=processing).filter(has_work)
    return list(live.order_by(F("turn__taken_at").asc(nulls_first=True), "pk").values_list("pk", flat=True))


@contextmanager
def camera_lease(camera_id: int) -> Iterator[CameraTurn | None]:
    """Yield the camera's lease, or None if another worker holds it; release it at the end."""
    lease = acquire(camera_id)
    if lease is None:
        yield None
        return
    try:
        # A long video takes longer than the lease lasts.
        with leases.lease_renewal(f"camera={camera_id}", lambda: renew(lease), every=LEASE / 4):
            yield lease
    finally:
        CameraTurn.objects.filter(pk=lease.pk, holder=lease.holder).update(leased_until=timezone.now(), holder="")


def renew(lease: CameraTurn) -> bool:
    """Extend the lease by `LEASE`; return False if another worker holds it."""
    held = CameraTurn.objects.filter(pk=lease.pk, holder=lease.holder)
    return bool(held.update(leased_until=timezone.now() + LEASE))


def acquire(camera_id: int) -> CameraTurn | None:
    """Acquire the camera's lease; None if another worker holds it."""
    now, holder = timezone.now(), f"{leases.WORKER}.{secrets.token_hex(8)}"
    lease, _ = CameraTurn.objects.get_or_create(camera_id=camera_id, defaults={"leased_until": now})
    # A lease that ends later than possible was acquired before the clock was set back.
    expired = Q(leased_until__lte=now) | Q(leased_until__gt=now + 3 * LEASE)
    free = CameraTurn.objects.filter(expired, pk=lease.pk, holder=lease.holder)
    if not free.update(leased_until=now + LEASE, holder=holder, taken_at=now):
        return None
    release_expired(camera_id, all_died=bool(lease.holder) and not lease.holder.startswith(leases.WORKER))
    lease.refresh_from_db()
    return lease


def confirm_lease(lease: CameraTurn) -> None:
    """Renew the lease inside a transaction. Raises `LeaseLost` if another worker holds it."""
    if not renew(lease):
        raise LeaseLost


def release_expired(camera_id: int, *, all_died: bool) -> None:
    """Return a dead worker's uploads to the waiting state; fail a file after several dead workers.

    With `all_died`, the whole installation stopped: a power cut, an upgrade or a manual kill.
    """
    lost = Upload.objects.filter(camera=camera_id, state=UploadState.WORKING)
    limit = leases.MAX_RESTARTS if all_died else leases.MAX_ATTEMPTS
    lost.filter(attempts__gte=limit).update(state=UploadState.FAILED, reason=WORKERS_DIED)
    lost.update(state=UploadState.WAITING)


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
    others = processing.filter(camera__turn__leased_until__gt=now).exclude(camera=camera_id)
    return others.order_by().count() < settings.NVR_INGEST_LARGE_FILES


def has_large_file_slot(lease: CameraTurn) -> bool:
    """Whether the camera may start a large file. Call it in a transaction: a row lock serializes the workers."""
    CameraTurn.objects.select_for_update().order_by("pk").first()
    return may_start_large_file(lease.camera_id, timezone.now())


def start_processing(lease: CameraTurn, upload: Upload) -> bool:
    """Mark the upload as being processed.

    Returns False if it is no longer waiting, or if it is large and too many large files are being processed.
    """
    with transaction.atomic():
        confirm_lease(lease)
        if upload.size_bytes > LARGE_BYTES and not has_large_file_slot(lease):
            return False
        waiting = Upload.objects.filter(pk=upload.pk, state=UploadState.WAITING)
        updated = waiting.update(state=UploadState.WORKING, attempts=F("attempts") + 1)
    upload.attempts += 1
    return bool(updated)
