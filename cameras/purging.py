"""Purging in batches: each a short transaction, so that whoever else writes gets in between.

A camera of one batch goes in one transaction. Else the first batch leaves a `Purge` row behind, and from then on the
camera can only be purged further: by the request for a moment, then by a worker, and after a crash by the next one.
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
BATCH_SIZE = 2000  # rows in one transaction: a fifth of a second on SQLite
PAUSE_S = 0.1  # SQLite's waiting writers look ten times a second whether it is their turn
BATCHES_IN_REQUEST = 4  # for which somebody waits
BATCHES_IN_TASK = 50  # then other bulk work has its turn
LEASE = timedelta(seconds=60)


def register_remover(remover: Remover) -> None:
    """Have `remover(camera, limit)` delete up to `limit` of its app's rows, in a transaction of the caller's.

    It answers how many it deleted; fewer than `limit` says that none are left. Who joins later is asked earlier,
    since the rows of upper apps point at those of lower ones.
    """
    _removers.append(remover)


def purge_batch(camera: Camera, asker: Asker) -> bool:
    """Delete the next batch of a camera whose row the caller has locked; with the last one, the camera.

    Answers whether the camera is gone. The audit names who asked first.
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
    """Go on with a purge that was begun, for so many batches, unless somebody is at it; then a worker takes over.

    Answers whether the camera is gone. Whatever stops this, the purge is taken up again when the lease has ended.
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
    """Send again what a lost message, a dead worker or an absent broker left half purged."""
    for purge in Purge.objects.filter(leased_until__lte=timezone.now()):
        send(purge.camera_id)


def send(camera_pk: int) -> None:
    """Tell the workers. If the broker is away the purge waits: what is owed is sent again later."""
    try:
        current_app.send_task(TASK, args=[camera_pk], queue="bulk")
    except (OperationalError, OSError) as error:
        logger.warning("broker away, purge waits camera=%s error=%s", camera_pk, type(error).__name__)


def _delete_related_rows(camera: Camera) -> bool:
    """Whether nothing hangs on the camera any more after up to `BATCH_SIZE` further rows were deleted."""
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
