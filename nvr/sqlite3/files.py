"""The database's file: where it is, how it is opened without being made, and how it is made."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import quote

from django.db.backends.base.base import BaseDatabaseWrapper


def file_of(database: BaseDatabaseWrapper) -> Path | None:
    """The file that `database` is; None for a server, for one in memory, and for an address of SQLite's own."""
    name = str(database.settings_dict["NAME"])
    if database.vendor != "sqlite" or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)


def address(file: Path) -> str:
    """The address under which SQLite opens `file` for reading and writing, and never makes it."""
    return f"file:{quote(os.fsencode(file))}?mode=rw"


def create_if_missing(database: BaseDatabaseWrapper) -> Path | None:
    """Make the empty file that is a new database; returns it, or None if there was nothing to make.

    Where it cannot be made, the connection that opens it next says why.
    """
    file = file_of(database)
    if file is None or file.exists():
        return None
    with contextlib.suppress(OSError):
        file.touch()
        return file
    return None
