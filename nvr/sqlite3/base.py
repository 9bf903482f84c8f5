"""Connections to a SQLite file that notice when it is moved away, replaced or put back.

SQLite by itself makes an empty database where it finds none, and a connection goes on with a file that has been moved:
what is written then is lost with it. Here a connection opens only what is there, and each request and task that uses
one first looks whether the file in its place is still the same. An absent database is told as one that does not answer.
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
    # Asked of the library, not of the file: `migrate` checks the models, and with them this, before it makes the file.
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
            # Before it is opened: a file that is replaced in between is then noticed at the next look.
            self.opened = identity(file)
            if self.opened is None:
                raise sqlite3.OperationalError(f"the file {file} is not there")
        return super().get_new_connection(conn_params)

    def prepare_database(self) -> None:
        """Called by `migrate` alone, before it connects."""
        create_if_missing(self)

    def is_usable(self) -> bool:
        """Asked once in each request or task, with CONN_HEALTH_CHECKS; costs one look at the file."""
        file = file_of(self)
        return file is None or identity(file) == self.opened


def identity(file: Path) -> Identity | None:
    """Device and inode of the file; None if it is not there or not to be reached."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
