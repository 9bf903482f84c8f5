"""Creating and migrating the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from nvr.installation.database_copies import copy_aside
from nvr.sqlite3.files import create_if_missing


def pending_migrations() -> list[str]:
    """Return the names of the unapplied migrations, in order."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def migrate(report: Callable[[str], None]) -> None:
    """Apply pending migrations; first create the SQLite file if there is none, otherwise copy it."""
    if created := create_if_missing(connection):
        report(f"There was no database at {created}: a new, empty one was created.")
    pending = pending_migrations()
    if not pending:
        return
    # The operator backs up a database server; a new database has nothing to copy.
    if connection.vendor == "sqlite" and connection.introspection.table_names():
        copy = copy_aside(Path(str(connection.settings_dict["NAME"])), settings.NVR_DATA_DIR / "backups")
        if copy:
            report(f"The database was copied to {copy}.")
    report(f"Applying {len(pending)} database migrations.")
    call_command("migrate", interactive=False, verbosity=0)
