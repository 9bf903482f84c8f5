"""Whose uploads are worked on, and in which order: one worker at a camera, several cameras at a time.

Within a camera the newest hour comes first, and within it the oldest picture: after an outage one sees at once what
happens now, and each hour's events form in their order.
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

LEASE = timedelta(seconds=10)  # renewed while the worker lives: a killed one's camera is free again after this
BATCH = 32
DIED = "Each worker that read this file died."


class TurnLost(Exception):
    """Another worker has taken the camera over: what is being done now must not be written."""


def cameras_with_work(now: datetime) -> list[int]:
    """Who waits longest for a turn comes first."""
    # Two looks into indexes for each camera, however many uploads wait: `Exists` has PostgreSQL read all of them.
    own = Upload.objects.filter(camera=OuterRef("pk"))
    due = Subquery(own.due(now).order_by("-captured_at").values("pk")[:1])
    in_hand = Subquery(own.filter(state=UploadState.WORKING).order_by().values("pk")[:1])
    has_work = Q(due__isnull=False) | Q(in_hand__isnull=False)
    live = Camera.objects.filter(enabled=True).annotate(due=due, in_hand=in_hand).filter(has_work)
    return list(live.order_by(F("turn__taken_at").asc(nulls_first=True), "pk").values_list("pk", flat=True))


@contextmanager
def turn_of(camera_id: int) -> Iterator[CameraTurn | None]:
    """The turn, if nobody else has it; given back at the end."""
    turn = take(camera_id)
    if turn is None:
        yield None
        return
    try:
        # A long video takes longer than the lease.
        with leases.lease_renewal(f"turn={camera_id}", lambda: renew(turn), every=LEASE / 4):
            yield turn
    finally:
        CameraTurn.objects.filter(pk=turn.pk, holder=turn.holder).update(leased_until=timezone.now(), holder="")


def renew(turn: CameraTurn) -> bool:
    """Whether the turn is still ours, for another `LEASE`."""
    ours = CameraTurn.objects.filter(pk=turn.pk, holder=turn.holder)
    return bool(ours.update(leased_until=timezone.now() + LEASE))


def take(camera_id: int) -> CameraTurn | None:
    now, holder = timezone.now(), f"{leases.WORKER}.{secrets.token_hex(8)}"
    turn, _ = CameraTurn.objects.get_or_create(camera_id=camera_id, defaults={"leased_until": now})
    # A lease that ends later than any does was taken before the clock was put back.
    lapsed = Q(leased_until__lte=now) | Q(leased_until__gt=now + 3 * LEASE)
    free = CameraTurn.objects.filter(lapsed, pk=turn.pk, holder=turn.holder)
    if not free.update(leased_until=now + LEASE, holder=holder, taken_at=now):
        return None
    release_lapsed(camera_id, all_died=bool(turn.holder) and not turn.holder.startswith(leases.WORKER))
    turn.refresh_from_db()
    return turn


def hold(turn: CameraTurn) -> None:
    """Make sure, inside of a transaction, that the turn is still ours, and keep it. Raises `TurnLost`."""
    if not renew(turn):
        raise TurnLost


def release_lapsed(camera_id: int, *, all_died: bool) -> None:
    """What a dead worker had in hand waits again; a file that killed several is given up.

    With `all_died` the worker went with its whole installation: by a power cut, an upgrade, somebody's kill.
    """
    lost = Upload.objects.filter(camera=camera_id, state=UploadState.WORKING)
    most = leases.MAX_RESTARTS if all_died else leases.MAX_ATTEMPTS
    lost.filter(attempts__gte=most).update(state=UploadState.FAILED, reason=DIED)
    lost.update(state=UploadState.WAITING)


def next_batch(camera_id: int, now: datetime) -> list[Upload]:
    """Of the newest hour that has work, the oldest files; what is read in slices comes last.

    Without large files, while others' are in hand.
    """
    due = Upload.objects.due(now).filter(camera=camera_id)
    if not may_begin_large(camera_id, now):
        due = due.filter(size_bytes__lte=LARGE_BYTES)
    newest = due.order_by("-captured_at", "-pk").values_list("captured_at", flat=True).first()
    if newest is None:
        return []
    hour = newest.replace(minute=0, second=0, microsecond=0)
    rows = due.filter(captured_at__gte=hour).select_related("camera").order_by("captured_at", "pk")[:BATCH]
    return sorted(rows, key=lambda row: bool(row.block_digests))


def may_begin_large(camera_id: int, now: datetime) -> bool:
    """Whether a worker may take a long video in hand: else those of a few cameras keep all others waiting."""
    in_hand = Upload.objects.filter(state=UploadState.WORKING, size_bytes__gt=LARGE_BYTES)
    others = in_hand.filter(camera__turn__leased_until__gt=now).exclude(camera=camera_id)
    return others.order_by().count() < settings.NVR_INGEST_LARGE_FILES


def has_large_slot(turn: CameraTurn) -> bool:
    """Whether the camera may begin with a large file, two workers asking one after the other; in a transaction."""
    CameraTurn.objects.select_for_update().order_by("pk").first()
    return may_begin_large(turn.camera_id, timezone.now())


def begin(turn: CameraTurn, upload: Upload) -> bool:
    """Note that the file is in hand; False if it is not waiting any more, or large while others' are in hand."""
    with transaction.atomic():
        hold(turn)
        if upload.size_bytes > LARGE_BYTES and not has_large_slot(turn):
            return False
        waiting = Upload.objects.filter(pk=upload.pk, state=UploadState.WAITING)
        begun = waiting.update(state=UploadState.WORKING, attempts=F("attempts") + 1)
    upload.attempts += 1
    return bool(begun)
