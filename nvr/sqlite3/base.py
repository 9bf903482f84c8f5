"""Connections to a SQLite file that detect when it is moved, replaced or restored.

By default SQLite creates an empty database if the file is missing, and a connection keeps using a file that has been
moved, so that later writes are lost. Here a connection opens only an existing file, and each request and task first
checks that the file at its path is still the same one. A missing file counts as a database that does not respond.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base, features

from nvr.sqlite3.files import address, create_if_missing, file_of

Identity = tuple[int, int]


def library_knows_json() -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("SELECT JSON('{}')")
        except sqlite3.OperationalError:
            return False
    return True


class DatabaseFeatures(features.DatabaseFeatures):
    # Checked without the file, since `migrate` runs the model checks, which need this, before it creates the file.
    supports_json_field = library_knows_json()


class DatabaseWrapper(base.DatabaseWrapper):
    features_class = DatabaseFeatures
    opened: Identity | None = None

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        file = file_of(self)
        return params if file is None else params | {"database": address(file)}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        file = file_of(self)
        if file is not None:
            # Read before opening, so that a file that is replaced in between is detected at the next check.
            self.opened = identity(file)
            if self.opened is None:
                raise sqlite3.OperationalError(f"the file {file} does not exist")
        return super().get_new_connection(conn_params)

    def prepare_database(self) -> None:
        """Create the file if it is missing; only `migrate` calls this, before it connects."""
        create_if_missing(self)

    def is_usable(self) -> bool:
        """Check that the file is the same; called once per request or task (CONN_HEALTH_CHECKS), costs one `stat`."""
        file = file_of(self)
        return file is None or identity(file) == self.opened


def identity(file: Path) -> Identity | None:
    """Return device and inode of the file; None if it is missing or inaccessible."""
    try:
        file_stat = file.stat()
    except OSError:
        return None
    return file_stat.st_dev, file_stat.st_ino
