"""Bringing the database up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from nvr.installation.database_copies import copy_aside
from nvr.sqlite3.files import make_if_missing


def pending_migrations() -> list[str]:
    """Names of the migrations that the database has not seen, in their order."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def migrate(say: Callable[[str], None]) -> None:
    """Apply what is pending; a SQLite file is made if there is none, and else copied aside first."""
    if made := make_if_missing(connection):
        say(f"There was no database at {made}: a new, empty one was made.")
    pending = pending_migrations()
    if not pending:
        return
    if connection.vendor == "sqlite" and connection.introspection.table_names():
        copy = copy_aside(Path(str(connection.settings_dict["NAME"])), settings.NVR_DATA_DIR / "backups")
        if copy:
            say(f"The database was copied to {copy}.")
    say(f"Applying {len(pending)} database migrations.")
    call_command("migrate", interactive=False, verbosity=0)
