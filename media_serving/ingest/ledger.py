"""Entering files in the ledger: each content of each file once, whoever saw it and however often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from cameras.models import Camera
from media_serving.ingest.capture_time import FileFacts, capture_time
from media_serving.ingest.names import is_media
from media_serving.ingest.scanner import Sighting
from media_serving.models import Upload, UploadCopy, UploadState
from media_serving.models.uploads import digest_of, mtime_to_datetime, quoted, readable, stored_mtime_ns

BATCH_SIZE = 500
NOT_REGULAR = "It is not a regular file but a link, a pipe or a device: nothing of it was read."
GONE = "File was removed before it could be processed."
WAS_MISSING = Q(missing_since__isnull=False, state__in=[UploadState.WAITING, UploadState.REJECTED])
NOT_MEDIA = "Its name does not end like that of a picture or a video."


def enter(camera: Camera, sightings: Iterable[Sighting]) -> int:
    """Enter what the ledger does not know yet; answers how many uploads now wait for a worker because of it.

    A file that is not finished yet and has changed since is the same upload, with its new size and time.
    """
    rest, entered = iter(sightings), 0
    while part := list(islice(rest, BATCH_SIZE)):
        entered += enter_some(camera, {sighting.raw: sighting for sighting in part})
    return entered


def enter_some(camera: Camera, sightings: dict[bytes, Sighting]) -> int:
    """Two who enter the same file at once do not matter: the database keeps one."""
    now = timezone.now()
    new = unknown(camera, sightings)
    with transaction.atomic():
        changed = {row.path_digest: row for row in unfinished(camera, new)}
        fresh = [entry(camera, s, now) for s in new if digest_of(s.raw) not in changed]
        Upload.objects.bulk_create(fresh, ignore_conflicts=True)
        for sighting in new:
            if row := changed.get(digest_of(sighting.raw)):
                reset(row, sighting)
    return sum(row.state == UploadState.WAITING for row in (*fresh, *changed.values()))


def unknown(camera: Camera, sightings: dict[bytes, Sighting]) -> list[Sighting]:
    """Those that no row tells of. What is no picture or video is known by its name alone: it is told once."""
    digests = {digest_of(raw): raw for raw in sightings}
    rows = Upload.objects.filter(camera=camera, path_digest__in=digests).exclude(WAS_MISSING)
    found = set(rows.values_list("path_digest", "size_bytes", "mtime_ns"))
    copies = UploadCopy.objects.filter(camera=camera, path_digest__in=digests).order_by()
    found.update(copies.values_list("path_digest", "size_bytes", "mtime_ns"))
    names = {digest for digest, _, _ in found}
    return [
        sighting
        for digest, raw in digests.items()
        if (sighting := sightings[raw])
        and (digest, sighting.size_bytes, stored_mtime_ns(sighting.mtime_ns)) not in found
        if is_candidate(sighting) or digest not in names
    ]


def is_candidate(sighting: Sighting) -> bool:
    return sighting.is_regular and is_media(sighting.raw)


def unfinished(camera: Camera, sightings: Sequence[Sighting]) -> list[Upload]:
    """Rows of the same files that nothing was made of yet; last those that were missing and are there again as they
    were, as on a disk that was unmounted for a while."""
    now = {(digest_of(sighting.raw), sighting.size_bytes, stored_mtime_ns(sighting.mtime_ns)) for sighting in sightings}
    digests = [digest for digest, _, _ in now]
    rows = Upload.objects.select_for_update().filter(camera=camera, path_digest__in=digests)
    missing = [row for row in rows.filter(WAS_MISSING) if (row.path_digest, row.size_bytes, row.mtime_ns) in now]
    return [*rows.filter(state=UploadState.WAITING), *missing]


def in_hand(camera: Camera) -> set[bytes]:
    """Names below the camera's folder that a worker reads now: what they become is told when it is done with them."""
    return {row.below for row in Upload.objects.filter(camera=camera, state=UploadState.WORKING)}


def reset(row: Upload, sighting: Sighting) -> None:
    row.size_bytes, row.mtime_ns = sighting.size_bytes, stored_mtime_ns(sighting.mtime_ns)
    row.state, row.retry_at, row.reason, row.attempts = UploadState.WAITING, None, "", 0
    row.missing_since, row.block_digests = None, ""
    row.save(
        update_fields=[
            "size_bytes",
            "mtime_ns",
            "state",
            "retry_at",
            "reason",
            "attempts",
            "missing_since",
            "block_digests",
        ]
    )


def entry(camera: Camera, sighting: Sighting, now: datetime) -> Upload:
    path = readable(sighting.raw)
    taken = capture_time(FileFacts(path, mtime_to_datetime(sighting.mtime_ns), now), camera.zone)
    reason = "" if is_candidate(sighting) else NOT_MEDIA if sighting.is_regular else NOT_REGULAR
    return Upload(
        camera=camera,
        path=path,
        raw_path=quoted(sighting.raw),
        path_digest=digest_of(sighting.raw),
        size_bytes=sighting.size_bytes,
        mtime_ns=stored_mtime_ns(sighting.mtime_ns),
        state=UploadState.REJECTED if reason else UploadState.WAITING,
        reason=reason,
        received_at=now,
        captured_at=taken.at,
        capture_clue=taken.clue,
        capture_note=taken.note,
        clock_is_absurd=taken.is_absurd,
    )
