"""The copy of the SQLite file before it is migrated."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from nvr.errors import StorageFull
from nvr.installation.database_copies import copy_aside


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "nvr.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE seen (number INTEGER); INSERT INTO seen VALUES (7);"
        )
    return path


def numbers(path: Path) -> list[tuple[int]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT number FROM seen").fetchall()


def test_a_copy_contains_recent_writes_of_another_connection(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database)) as other:
        other.execute("INSERT INTO seen VALUES (8)")
        other.commit()

        copy = copy_aside(database, tmp_path / "backups")

    assert copy is not None
    assert numbers(copy) == [(7,), (8,)]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_the_newest_three_copies_are_kept(database: Path, tmp_path: Path) -> None:
    copies = [copy_aside(database, tmp_path / "backups") for _ in range(5)]

    assert sorted((tmp_path / "backups").iterdir()) == copies[2:]


def test_a_database_that_does_not_exist_yet_is_not_copied(tmp_path: Path) -> None:
    assert copy_aside(tmp_path / "nvr.sqlite3", tmp_path / "backups") is None


def test_a_copy_that_fails_leaves_no_partial_file_and_reports_the_reason(database: Path, tmp_path: Path) -> None:
    database.write_bytes(b"this is no database" * 1000)

    with pytest.raises(StorageFull, match="could not be copied"):
        copy_aside(database, tmp_path / "backups")

    assert list((tmp_path / "backups").iterdir()) == []
