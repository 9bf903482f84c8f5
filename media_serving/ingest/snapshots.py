"""Copy a picture that is constantly rewritten into memory, where it no longer changes."""

from __future__ import annotations

import os
import time
from typing import BinaryIO, Final

from django.conf import settings

from media_serving.ingest.digests import FileChanged
from media_serving.models import Upload, UploadState
from nvr.media.files.identity import FileIdentity
from nvr.media.files.mtime import stored_mtime_ns
from nvr.media.files.paths import translate_os_errors

ATTEMPTS: Final = 5
RECHECK_S: Final = 0.25  # between two checks that the file has not changed


def read_into_memory(file: BinaryIO) -> tuple[BinaryIO, os.stat_result]:
    """Copy the bytes into a file in memory, and return it with the file's stat result at that time.

    Raises `FileChanged` if the file is written to all the time.
    """
    with translate_os_errors():
        for _ in range(ATTEMPTS):
            before = os.fstat(file.fileno())
            data = os.pread(file.fileno(), before.st_size, 0)
            if was_written_recently(before):
                time.sleep(RECHECK_S)
            after = os.fstat(file.fileno())
            if FileIdentity.of(before) == FileIdentity.of(after) and len(data) == before.st_size:
                return in_memory(data), before
    raise FileChanged


def was_written_recently(file_stat: os.stat_result) -> bool:
    return abs(time.time_ns() - file_stat.st_ctime_ns) < settings.NVR_UPLOAD_STABLE_TIME.total_seconds() * 1e9


def in_memory(data: bytes) -> BinaryIO:
    file = os.fdopen(os.memfd_create("picture"), "w+b", buffering=0)
    file.write(data)
    file.seek(0)
    return file


def adopt(upload: Upload, file_stat: os.stat_result) -> None:
    """Set the upload's size and time to those of the file that was read.

    Call it in a transaction. Raises `FileChanged` if another upload already represents this content.
    """
    others = Upload.objects.of_file(upload.camera_id, upload.below).exclude(pk=upload.pk)
    others = others.filter(size_bytes=file_stat.st_size, mtime_ns=stored_mtime_ns(file_stat.st_mtime_ns))
    if others.exclude(state=UploadState.WAITING).exists():
        raise FileChanged
    others.delete()
    upload.size_bytes, upload.mtime_ns = file_stat.st_size, stored_mtime_ns(file_stat.st_mtime_ns)
    upload.save(update_fields=["size_bytes", "mtime_ns"])
