"""Keep copies of files that the camera is likely to overwrite.

A camera that reuses a file name overwrites the previous file. From the second upload of a name on, the bytes are
copied to the data directory before they are processed, so that detections in them can still be shown.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import BinaryIO

from django.db.models import Count

from media_serving.kept_copies import why_no_room
from media_serving.models import Upload
from nvr.errors import FULL
from nvr.log_throttle import LogThrottle
from nvr.media.files.atomic_write import write_to
from nvr.media.files.paths import StorageFault
from nvr.media.files.sparse import copy_sparse

logger = logging.getLogger(__name__)

no_space_log = LogThrottle(timedelta(minutes=10))


def reused_names(uploads: list[Upload]) -> set[int]:
    """Primary keys of the uploads whose file name was used before; all of one camera, in one query."""
    if not uploads:
        return set()
    rows = Upload.objects.filter(camera=uploads[0].camera_id, path_digest__in=[row.path_digest for row in uploads])
    several = rows.values("path_digest").annotate(times=Count("pk")).filter(times__gt=1).order_by()
    digests = set(several.values_list("path_digest", flat=True))
    return {row.pk for row in uploads if row.path_digest in digests}


def keep(upload: Upload, file: BinaryIO) -> bool:
    """Copy the file, replacing any earlier copy; return False if there is no space for it.

    A full disk does not prevent detections from being recorded. Raises `StorageFault` for other errors.
    """
    try:
        if reason := why_no_room(upload.size_bytes):
            if no_space_log.should_log():
                logger.warning("no copy kept upload=%s reason=%s", upload.pk, reason)
            return False
        with write_to(upload.kept_path) as part, part.open("wb") as copy:
            copy_sparse(file, copy)
    except OSError as error:
        if error.errno not in FULL:
            raise StorageFault(f"No copy could be kept in the data folder: {error.strerror or error}.") from error
        logger.warning("no copy kept, the disk is full upload=%s", upload.pk)
        return False
    return True
