"""Reaching the broker without the Celery application, which stands above everything."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from celery import current_app


def connection_to_broker(*, timeout_s: float) -> AbstractContextManager[Any]:
    link: AbstractContextManager[Any] = current_app.connection_for_write(connect_timeout=timeout_s)
    return link
