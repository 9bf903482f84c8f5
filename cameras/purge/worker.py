"""Purges cameras in batches. Each batch is a short transaction, so that other writers are not blocked for long.

A camera whose rows fit into one batch is deleted in one transaction. Otherwise the first batch creates a `Purge` row,
and the purge can no longer be cancelled. The request runs the next few batches, then a worker continues; after a crash,
the next worker does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from django.db import transaction

from cameras.models import Camera, Purge
from cameras.signals import camera_purging
from nvr.audit.actor import RecordedActor
from nvr.audit.record import record
from nvr.jobs import worker
from nvr.jobs.models import JobState

Remover = Callable[[Camera, int], int]
_removers: list[Remover] = []

BATCH_SIZE = 2000  # rows per transaction: 0.2 s on SQLite
PAUSE_S = 0.1  # between batches: SQLite's waiting writers poll for the lock ten times a second
BATCHES_IN_REQUEST = 4  # while the user waits for the response
BATCHES_IN_TASK = 50  # then the worker can run other bulk tasks


def register_remover(remover: Remover) -> None:
    """Register `remover(camera, limit)`, which deletes up to `limit` of its app's rows in the caller's transaction.

    It returns how many it deleted; fewer than `limit` means that none are left. Removers run in reverse order of
    registration, because the rows of upper apps reference those of lower ones.
    """
    _removers.append(remover)


def purge_batch(camera: Camera, actor: RecordedActor) -> bool:
    """Delete the next batch of rows, and with the last batch the camera itself. The caller has locked the camera's row.

    Returns whether the camera has been deleted. The audit entry names the user who started the purge.
    """
    if not _delete_related_rows(camera):
        # In the transaction of the first batch: from now on the camera is incomplete and cannot be restored.
        Purge.objects.get_or_create(camera_id=camera.pk, defaults=asdict(actor))
        return False
    purge = Purge.objects.filter(camera=camera.pk).first()
    record(purge.started_by if purge else actor, "camera_purged", camera)
    camera_purging.send(Camera, camera=camera)
    camera.delete()
    return True


def continue_purge(pk: int, *, batches: int = BATCHES_IN_TASK) -> None:
    """Run up to `batches` batches of the purge `pk`, unless another process has its lease; a worker does the rest."""
    worker.run(Purge, pk, partial(run_batches, batches=batches))


def continue_in_request(camera_pk: int) -> bool:
    """Run a few batches of a purge that a user started or retries; return whether the camera has been deleted."""
    Purge.objects.filter(camera=camera_pk, state=JobState.FAILED).requeue()
    purge = Purge.objects.filter(camera=camera_pk).first()
    if purge is not None:
        continue_purge(purge.pk, batches=BATCHES_IN_REQUEST)
    return not Camera.everything.filter(pk=camera_pk).exists()


def run_batches(purge: Purge, batches: int) -> None:
    """Run batches until the camera is deleted, which deletes the purge; or release it for the next worker."""
    for _ in range(batches):
        time.sleep(PAUSE_S)
        if _next_batch(purge):
            return
    purge.release()


@transaction.atomic
def _next_batch(purge: Purge) -> bool:
    # The camera's row first, as in requests: in the other order, they and the worker could block each other.
    camera = Camera.everything.select_for_update().filter(pk=purge.camera_id).first()
    if camera is None:
        return True
    purge.confirm()
    return purge_batch(camera, purge.started_by)


def _delete_related_rows(camera: Camera) -> bool:
    """Delete up to `BATCH_SIZE` rows that reference the camera; returns whether none are left."""
    room = BATCH_SIZE
    for remover in reversed(_removers):
        room -= remover(camera, room)
        if room <= 0:
            return False
    return True
