"""The bytes of an upload: their digest, and a copy of those that the camera is about to overwrite.

A camera that uses a name again overwrites what was there. From the second time on that a name is seen, its bytes are
copied to the data directory before anything is made of them, so that what was detected can still be shown.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, Final

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from media_serving.ingest.ledger import stamp
from media_serving.models import Upload, UploadState
from media_serving.tombstones import bury
from nvr.errors import FULL, Conflict
from nvr.media.parts import write_to
from nvr.media.paths import StorageFault, named_errors

logger = logging.getLogger(__name__)

BLOCK_BYTES: Final = 2**20


class Changed(Conflict):
    """The file is not the one any more that was entered: it is still being written, or another took its name.

    `facts` are of what is there now, once somebody has looked.
    """

    facts: os.stat_result | None = None


def check_same(upload: Upload, file: BinaryIO) -> None:
    """Raises `Changed` if the open file was written to since it was entered."""
    with named_errors():
        facts = os.fstat(file.fileno())
    if (facts.st_size, stamp(facts)) != (upload.size_bytes, upload.mtime_ns):
        raise Changed


def digest_of(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    with named_errors():
        for block in blocks(file):
            digest.update(block)
    return digest.hexdigest()


def blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK_BYTES):
        yield block


def used_again(uploads: list[Upload]) -> set[int]:
    """Primary keys of those whose name has been used before; of one camera, in one query."""
    if not uploads:
        return set()
    rows = Upload.objects.filter(camera=uploads[0].camera_id, path_digest__in=[row.path_digest for row in uploads])
    several = rows.values("path_digest").annotate(times=Count("pk")).filter(times__gt=1).order_by()
    digests = set(several.values_list("path_digest", flat=True))
    return {row.pk for row in uploads if row.path_digest in digests}


def keep(upload: Upload, file: BinaryIO) -> bool:
    """Whether there is a copy now, in place of any earlier one; a full disk is no reason not to record what was seen.

    Raises `StorageFault`.
    """
    try:
        with write_to(upload.kept_path) as part, part.open("wb") as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy, BLOCK_BYTES)
    except OSError as error:
        if error.errno not in FULL:
            raise StorageFault(f"No copy could be kept in the data folder: {error.strerror or error}.") from error
        logger.warning("no copy kept, the disk is full upload=%s", upload.pk)
        return False
    return True


def same_content(upload: Upload, digest: str) -> Upload | None:
    """The same bytes under the same name, delivered again shortly after: no other upload but that one."""
    again = Upload.objects.of_file(upload.camera_id, upload.below).filter(content_digest=digest)
    since = timezone.now() - settings.NVR_INGEST_DEDUPE
    return next((row for row in again if is_lately_done(row, since) and row.pk != upload.pk), None)


def is_lately_done(upload: Upload, since: datetime) -> bool:
    return upload.state == UploadState.DONE and upload.received_at >= since


def merge(upload: Upload, into: Upload) -> None:
    """Forget `upload`; the other one stands for the file as it is now."""
    size_bytes, mtime_ns = upload.size_bytes, upload.mtime_ns
    if upload.is_kept:
        bury([upload.kept_path])
    Upload.objects.filter(pk=upload.pk).delete()
    Upload.objects.filter(pk=into.pk).update(size_bytes=size_bytes, mtime_ns=mtime_ns)
