"""Enter files in the ledger: each content of each file once, however often it is found."""

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
from media_serving.ingest.scanner import ScannedFile
from media_serving.models import Upload, UploadCopy, UploadState
from media_serving.models.uploads import digest_of, mtime_to_datetime, quoted, readable
from nvr.media.files.mtime import stored_mtime_ns

BATCH_SIZE = 500
NOT_REGULAR = "It is a link, a pipe or a device, not a regular file: it was not read."
FILE_REMOVED = "File was removed before it could be processed."
WAS_MISSING = Q(missing_since__isnull=False, state__in=[UploadState.WAITING, UploadState.REJECTED])
NOT_MEDIA = "Its name does not have the extension of a picture or a video."


def enter(camera: Camera, scanned_files: Iterable[ScannedFile]) -> int:
    """Enter the files that the ledger does not contain yet; return how many uploads wait for a worker because of it.

    A file that has not been processed and has changed since stays the same upload, with its new size and time.
    """
    rest, entered = iter(scanned_files), 0
    while batch := list(islice(rest, BATCH_SIZE)):
        entered += enter_batch(camera, {scanned_file.raw: scanned_file for scanned_file in batch})
    return entered


def enter_batch(camera: Camera, scanned_files: dict[bytes, ScannedFile]) -> int:
    """Enter files by name. Two processes may enter the same file at once: the database keeps one row."""
    now = timezone.now()
    new = find_new(camera, scanned_files)
    with transaction.atomic():
        changed = {row.path_digest: row for row in find_unfinished(camera, new)}
        fresh = [new_upload(camera, s, now) for s in new if digest_of(s.raw) not in changed]
        # The watcher and a worker may find the same file at the same time.
        Upload.objects.bulk_create(fresh, ignore_conflicts=True)
        for scanned_file in new:
            if row := changed.get(digest_of(scanned_file.raw)):
                reset(row, scanned_file)
    return sum(row.state == UploadState.WAITING for row in fresh) + len(changed)


def find_new(camera: Camera, scanned_files: dict[bytes, ScannedFile]) -> list[ScannedFile]:
    """The files without a row. Files that are not media are recorded once per name, whatever their content."""
    digests = {digest_of(raw): raw for raw in scanned_files}
    rows = Upload.objects.filter(camera=camera, path_digest__in=digests).exclude(WAS_MISSING)
    found = set(rows.values_list("path_digest", "size_bytes", "mtime_ns"))
    copies = UploadCopy.objects.filter(camera=camera, path_digest__in=digests).order_by()
    found.update(copies.values_list("path_digest", "size_bytes", "mtime_ns"))
    names = {digest for digest, _, _ in found}
    return [
        scanned_file
        for digest, raw in digests.items()
        if (scanned_file := scanned_files[raw])
        and (digest, scanned_file.size_bytes, stored_mtime_ns(scanned_file.mtime_ns)) not in found
        if is_candidate(scanned_file) or digest not in names
    ]


def is_candidate(scanned_file: ScannedFile) -> bool:
    return scanned_file.is_regular and is_media(scanned_file.raw)


def find_unfinished(camera: Camera, scanned_files: Sequence[ScannedFile]) -> list[Upload]:
    """Rows of the same files that have not been processed.

    Last come rows whose file was missing and is back unchanged, as on a disk that was unmounted for a while.
    """
    now = {
        (digest_of(scanned_file.raw), scanned_file.size_bytes, stored_mtime_ns(scanned_file.mtime_ns))
        for scanned_file in scanned_files
    }
    digests = [digest for digest, _, _ in now]
    rows = Upload.objects.select_for_update().filter(camera=camera, path_digest__in=digests)
    missing = [row for row in rows.filter(WAS_MISSING) if (row.path_digest, row.size_bytes, row.mtime_ns) in now]
    return [*rows.filter(state=UploadState.WAITING), *missing]


def names_in_progress(camera: Camera) -> set[bytes]:
    """Names below the camera's folder that a worker is processing: changes to them are entered when it is done."""
    return {row.below for row in Upload.objects.filter(camera=camera, state=UploadState.WORKING)}


def reset(row: Upload, scanned_file: ScannedFile) -> None:
    size_bytes, mtime_ns = scanned_file.size_bytes, stored_mtime_ns(scanned_file.mtime_ns)
    Upload.objects.filter(pk=row.pk).requeue(
        size_bytes=size_bytes, mtime_ns=mtime_ns, missing_since=None, block_digests=""
    )


def new_upload(camera: Camera, scanned_file: ScannedFile, now: datetime) -> Upload:
    path = readable(scanned_file.raw)
    captured = capture_time(FileFacts(path, mtime_to_datetime(scanned_file.mtime_ns), now), camera.zone)
    reason = "" if is_candidate(scanned_file) else NOT_MEDIA if scanned_file.is_regular else NOT_REGULAR
    return Upload(
        camera=camera,
        path=path,
        raw_path=quoted(scanned_file.raw),
        path_digest=digest_of(scanned_file.raw),
        size_bytes=scanned_file.size_bytes,
        mtime_ns=stored_mtime_ns(scanned_file.mtime_ns),
        state=UploadState.REJECTED if reason else UploadState.WAITING,
        reason=reason,
        received_at=now,
        captured_at=captured.at,
        capture_clue=captured.clue,
        capture_note=captured.note,
        clock_is_absurd=captured.is_absurd,
    )
