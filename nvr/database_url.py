"""Django's database settings from `DATABASE_URL`: SQLite or PostgreSQL."""

from __future__ import annotations

from typing import Any

import dj_database_url

from nvr.env import invalid_secret

ENGINES = {"django.db.backends.sqlite3", "django.db.backends.postgresql"}

POOL = {"min_size": 0, "max_size": 16, "timeout": 5, "max_idle": 300}  # timeout and max_idle in seconds


def database_from(url: str) -> dict[str, Any]:
    """Return Django's settings for `url`; raises `ImproperlyConfigured` without the URL (it may hold a password)."""
    example = "postgres://nvr:password@db.lan/nvr or sqlite:////srv/nvr/nvr.sqlite3"
    try:
        database: dict[str, Any] = dict(dj_database_url.parse(url))
    except (ValueError, KeyError) as error:
        raise invalid_secret("DATABASE_URL", f"an address such as {example}") from error
    is_named = database["NAME"] or (database.get("OPTIONS") or {}).get(
        "service"
    )  # a service of pg_service.conf names it
    if database["ENGINE"] not in ENGINES or not is_named or database.get("PORT") == 0:
        raise invalid_secret("DATABASE_URL", f"SQLite or PostgreSQL with the name of a database, such as {example}")
    return database


def share_connections(database: dict[str, Any]) -> None:
    """Let the web server's threads share a pool of PostgreSQL connections.

    Other processes keep one connection each: a pool does not survive a fork.
    """
    if database["ENGINE"].endswith("postgresql"):
        database["CONN_MAX_AGE"] = 0
        database["OPTIONS"]["pool"] = POOL
