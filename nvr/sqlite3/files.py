"""The SQLite file: its path, its address for opening without creating it, and its creation."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import quote

from django.db.backends.base.base import BaseDatabaseWrapper


def file_of(database: BaseDatabaseWrapper) -> Path | None:
    """Return the file of `database`; None for a server, an in-memory database and a `file:` address."""
    name = str(database.settings_dict["NAME"])
    if database.vendor != "sqlite" or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)


def address(file: Path) -> str:
    """Return the URI with which SQLite opens `file` for reading and writing without creating it."""
    return f"file:{quote(os.fsencode(file))}?mode=rw"


def create_if_missing(database: BaseDatabaseWrapper) -> Path | None:
    """Create an empty database file; return it, or None if it exists or cannot be created.

    If it cannot be created, the next connection reports the reason.
    """
    file = file_of(database)
    if file is None or file.exists():
        return None
    with contextlib.suppress(OSError):
        file.touch()
        return file
    return None
