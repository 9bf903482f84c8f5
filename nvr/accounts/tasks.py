"""Periodic tasks for accounts."""

from __future__ import annotations

from importlib import import_module

from celery import shared_task
from django.conf import settings


@shared_task(name="accounts.clear_sessions", ignore_result=True)
def clear_sessions() -> None:
    """Delete expired sessions, which Django keeps otherwise."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
