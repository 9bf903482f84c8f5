"""A picture whose name is rewritten all the time, as it was at one moment: in memory, where nobody writes to it."""

from __future__ import annotations

import os
import time
from typing import BinaryIO, Final

from django.conf import settings

from media_serving.ingest.digests import Changed
from media_serving.models import Upload, UploadState
from media_serving.models.uploads import stored_mtime_ns
from nvr.media.files.paths import translate_os_errors

ATTEMPTS: Final = 5
ALIKE_S: Final = 0.25  # between two looks that see the same


def snapshot_of(file: BinaryIO) -> tuple[BinaryIO, os.stat_result]:
    """The bytes in a file in memory, and what the file was then. Raises `Changed` if it is written to all the time."""
    with translate_os_errors():
        for _ in range(ATTEMPTS):
            before = os.fstat(file.fileno())
            data = os.pread(file.fileno(), before.st_size, 0)
            if is_written_lately(before):
                time.sleep(ALIKE_S)
            if is_alike(before, os.fstat(file.fileno())) and len(data) == before.st_size:
                return in_memory(data), before
    raise Changed


def is_written_lately(facts: os.stat_result) -> bool:
    return abs(time.time_ns() - facts.st_ctime_ns) < settings.NVR_UPLOAD_STABLE_TIME.total_seconds() * 1e9


def is_alike(before: os.stat_result, now: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) == (now.st_size, now.st_mtime_ns)


def in_memory(data: bytes) -> BinaryIO:
    file = os.fdopen(os.memfd_create("picture"), "w+b", buffering=0)
    file.write(data)
    file.seek(0)
    return file


def adopt(upload: Upload, facts: os.stat_result) -> None:
    """The upload is what the file was when read. In a transaction; raises `Changed` if another upload is that."""
    others = Upload.objects.of_file(upload.camera_id, upload.below).exclude(pk=upload.pk)
    others = others.filter(size_bytes=facts.st_size, mtime_ns=stored_mtime_ns(facts.st_mtime_ns))
    if others.exclude(state=UploadState.WAITING).exists():
        raise Changed
    others.delete()
    upload.size_bytes, upload.mtime_ns = facts.st_size, stored_mtime_ns(facts.st_mtime_ns)
    upload.save(update_fields=["size_bytes", "mtime_ns"])
