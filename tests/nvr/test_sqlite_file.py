"""The SQLite file: opened where it is, never made by a connection, and looked at before each use."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import ConnectionHandler, OperationalError

from nvr.sqlite3.base import DatabaseWrapper
from nvr.sqlite3.files import create_if_missing

pytestmark = pytest.mark.django_db  # what they connect to is a file of their own


@pytest.fixture
def connect() -> Iterator[Callable[[Path], Any]]:
    opened: list[DatabaseWrapper] = []

    def run(file: Path) -> DatabaseWrapper:
        values = {"ENGINE": "nvr.sqlite3", "NAME": str(file), "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
        database = ConnectionHandler({"default": values})["default"]
        assert isinstance(database, DatabaseWrapper)
        opened.append(database)
        return database

    yield run
    for database in opened:
        database.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nvr.sqlite3"
    make_database(path, 7)
    return path


def make_database(path: Path, number: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE seen (number INTEGER); INSERT INTO seen VALUES ({number});")


def number_in(database: DatabaseWrapper) -> int:
    """As a request would read it."""
    database.close_if_unusable_or_obsolete()
    with database.cursor() as cursor:
        cursor.execute("SELECT number FROM seen")
        return int(cursor.fetchone()[0])


def test_a_connection_does_not_create_a_file(tmp_path: Path, connect: Callable[[Path], DatabaseWrapper]) -> None:
    with pytest.raises(OperationalError, match="does not exist"):
        number_in(connect(tmp_path / "away.sqlite3"))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b.sqlite3", "50%25?mode=memory#.sqlite3", "ü&.sqlite3"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path, connect: Callable[[Path], DatabaseWrapper]) -> None:
    make_database(tmp_path / name, 8)

    assert number_in(connect(tmp_path / name)) == 8
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_open_connection_detects_that_its_file_is_moved_away_and_back(
    file: Path, connect: Callable[[Path], DatabaseWrapper]
) -> None:
    database = connect(file)
    assert number_in(database) == 7

    file.rename(file.with_name("away"))
    for _ in range(2):
        with pytest.raises(OperationalError):
            number_in(database)
    assert not file.exists()

    file.with_name("away").rename(file)
    assert number_in(database) == 7


def test_an_open_connection_detects_that_its_file_was_replaced(
    file: Path, connect: Callable[[Path], DatabaseWrapper]
) -> None:
    database = connect(file)
    assert number_in(database) == 7

    make_database(file.with_name("restored"), 9)
    file.with_name("restored").replace(file)

    assert number_in(database) == 9


def test_an_open_connection_stays_open_while_its_file_is_in_place(
    file: Path, connect: Callable[[Path], DatabaseWrapper]
) -> None:
    database = connect(file)
    number_in(database)
    before = database.connection

    number_in(database)

    assert database.connection is before


def test_preparation_creates_the_file_once(tmp_path: Path, connect: Callable[[Path], DatabaseWrapper]) -> None:
    database = connect(tmp_path / "new.sqlite3")

    assert create_if_missing(database) == tmp_path / "new.sqlite3"
    assert create_if_missing(database) is None
    database.ensure_connection()


def test_a_missing_folder_is_reported_by_the_connection(
    tmp_path: Path, connect: Callable[[Path], DatabaseWrapper]
) -> None:
    database = connect(tmp_path / "nowhere" / "new.sqlite3")

    assert create_if_missing(database) is None
    with pytest.raises(OperationalError, match="does not exist"):
        database.ensure_connection()


def test_servers_and_in_memory_databases_have_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:shared?mode=memory&cache=shared"):
        database = ConnectionHandler({"default": {"ENGINE": "nvr.sqlite3", "NAME": name}})["default"]
        assert create_if_missing(database) is None
        database.ensure_connection()

    assert list(tmp_path.iterdir()) == []
