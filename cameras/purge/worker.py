"""Purges cameras in batches. Each batch is a short transaction, so that other writers are not blocked for long.

A camera whose rows fit into one batch is deleted in one transaction. Otherwise the first batch creates a `Purge` row,
and the purge can no longer be cancelled. The request runs the next few batches, then a worker continues; after a crash,
the next worker does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta

from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from cameras.models import Camera, Purge
from cameras.signals import camera_purging
from nvr.audit.record import Asker, record

logger = logging.getLogger(__name__)

Remover = Callable[[Camera, int], int]
_removers: list[Remover] = []

TASK = "cameras.go_on_purging"
BATCH_SIZE = 2000  # rows per transaction: 0.2 s on SQLite
PAUSE_S = 0.1  # between batches: SQLite's waiting writers poll for the lock ten times a second
BATCHES_IN_REQUEST = 4  # while the user waits for the response
BATCHES_IN_TASK = 50  # then the worker can run other bulk tasks
LEASE = timedelta(seconds=60)


def register_remover(remover: Remover) -> None:
    """Register `remover(camera, limit)`, which deletes up to `limit` of its app's rows in the caller's transaction.

    It returns how many it deleted; fewer than `limit` means that none are left. Removers run in reverse order of
    registration, because the rows of upper apps reference those of lower ones.
    """
    _removers.append(remover)


def purge_batch(camera: Camera, asker: Asker) -> bool:
    """Delete the next batch of rows, and with the last batch the camera itself. The caller has locked the camera's row.

    Returns whether the camera has been deleted. The audit entry names the user who started the purge.
    """
    if not _delete_related_rows(camera):
        Purge.objects.get_or_create(camera_id=camera.pk, defaults=asdict(asker))
        return False
    purge = Purge.objects.filter(camera=camera.pk).first()
    record(purge.asker if purge else asker, "camera_purged", camera)
    camera_purging.send(Camera, camera=camera)
    camera.delete()
    return True


def resume(camera_pk: int, *, batches: int) -> bool:
    """Run up to `batches` batches of a started purge, unless another process has the lease; a worker does the rest.

    Returns whether the camera has been deleted. If this is interrupted, the purge resumes when the lease has expired.
    """
    if not _claim(camera_pk):
        return not Camera.everything.filter(pk=camera_pk).exists()
    for _ in range(batches):
        time.sleep(PAUSE_S)
        if _next_batch(camera_pk):
            return True
    Purge.objects.filter(camera=camera_pk).update(leased_until=timezone.now())
    transaction.on_commit(lambda: send(camera_pk))
    return False


def send_pending() -> None:
    """Dispatch unfinished purges whose lease has expired: a message was lost, a worker died or the broker was down."""
    for purge in Purge.objects.filter(leased_until__lte=timezone.now()):
        send(purge.camera_id)


def send(camera_pk: int) -> None:
    """Dispatch the purge to a worker. If the broker is unavailable, `send_pending` dispatches it later."""
    try:
        current_app.send_task(TASK, args=[camera_pk], queue="bulk")
    except (OperationalError, OSError) as error:
        logger.warning("broker unavailable, purge deferred camera=%s error=%s", camera_pk, type(error).__name__)


def _delete_related_rows(camera: Camera) -> bool:
    """Delete up to `BATCH_SIZE` rows that reference the camera; returns whether none are left."""
    room = BATCH_SIZE
    for remover in reversed(_removers):
        room -= remover(camera, room)
        if room <= 0:
            return False
    return True


def _claim(camera_pk: int) -> bool:
    now = timezone.now()
    free = Purge.objects.filter(camera=camera_pk, leased_until__lte=now)
    return bool(free.update(leased_until=now + LEASE))


@transaction.atomic
def _next_batch(camera_pk: int) -> bool:
    camera = Camera.everything.select_for_update().filter(pk=camera_pk).first()
    if camera is None:
        return True
    purge = Purge.objects.get(camera=camera_pk)
    purge.leased_until = timezone.now() + LEASE
    purge.save(update_fields=["leased_until"])
    return purge_batch(camera, purge.asker)
