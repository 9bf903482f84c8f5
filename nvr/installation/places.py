"""The folders and the database file of this installation."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from nvr.private_files import DataLayout
from nvr.sqlite3.files import file_of


def data_layout() -> DataLayout:
    return DataLayout(settings.NVR_DATA_DIR, settings.NVR_CAMERA_ROOT, file_of(connection))
