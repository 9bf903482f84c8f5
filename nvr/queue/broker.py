"""A connection to the broker without importing `nvr.celery`, which is in a higher layer."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from celery import current_app


def connection_to_broker(*, timeout_s: float) -> AbstractContextManager[Any]:
    connection: AbstractContextManager[Any] = current_app.connection_for_write(connect_timeout=timeout_s)
    return connection
