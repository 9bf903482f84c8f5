"""A write for which the database's disk has no room: SQLite's own error, from a database that may not grow."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from django.db import OperationalError

from nvr.api.errors import describe


class DiskFull(Exception):
    """As psycopg tells it."""

    sqlstate = "53100"


@pytest.fixture
def sqlite_full(tmp_path: Path) -> sqlite3.OperationalError:
    link = sqlite3.connect(tmp_path / "small.sqlite3")
    link.execute("PRAGMA max_page_count = 2")
    link.execute("CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError) as caught:
        link.execute("INSERT INTO t VALUES (?)", ("x" * 100_000,))
    link.close()
    return caught.value


def as_django_raises(cause: Exception) -> OperationalError:
    error = OperationalError(*cause.args)
    error.__cause__ = cause
    return error


def test_a_full_disk_is_reported_as_such(sqlite_full: sqlite3.OperationalError) -> None:
    for cause in (sqlite_full, DiskFull()):
        problem = describe(as_django_raises(cause))

        assert problem.status == 507
        assert problem.detail.startswith("The disk is full")
        assert "Retry-After" not in problem.headers


def test_every_other_database_error_is_503() -> None:
    problem = describe(as_django_raises(sqlite3.OperationalError("database is locked")))

    assert (problem.status, problem.headers) == (503, {"Retry-After": "5"})
