"""Where this installation keeps what."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from nvr.private_files import Places
from nvr.sqlite3.files import file_of


def places() -> Places:
    return Places(settings.NVR_DATA_DIR, settings.NVR_CAMERA_ROOT, file_of(connection))
