"""Periodic tasks: each app lists its own in `schedule.py`, as `SCHEDULE`, a dict of entries by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import module_has_submodule

Entry = dict[str, Any]


def every(seconds: float, task: str, queue: str, *args: str) -> Entry:
    """An entry for Celery beat. A message that no worker took within `seconds` expires, so that none pile up."""
    return {"task": task, "schedule": seconds, "args": args, "options": {"queue": queue, "expires": seconds}}


def entries() -> dict[str, Entry]:
    """The entries of all installed apps. Raises `ImproperlyConfigured` if two apps use the same name."""
    found: dict[str, Entry] = {}
    for config in apps.get_app_configs():
        if config.module is None or not module_has_submodule(config.module, "schedule"):
            continue
        for name, entry in import_module(f"{config.name}.schedule").SCHEDULE.items():
            if name in found:
                raise ImproperlyConfigured(f"Two apps schedule {name}: rename it in {config.name}.schedule.")
            found[name] = entry
    return found
