"""The accounts' recurring work."""

from __future__ import annotations

from importlib import import_module

from celery import shared_task
from django.conf import settings


@shared_task(name="accounts.clear_sessions", ignore_result=True)
def clear_sessions() -> None:
    """Remove sessions that have expired; nobody else does."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
