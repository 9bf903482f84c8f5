"""Collecting static files, only if one of them has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def fingerprint() -> str:
    """Return a hash that changes when a static file is added, removed or edited, or the storage backend changes."""
    backend = str(settings.STORAGES["staticfiles"])
    lines = sorted(_files())
    return hashlib.sha256("\n".join([backend, *lines]).encode(errors="surrogateescape")).hexdigest()


def _files() -> Iterator[str]:
    for finder in get_finders():
        for name, storage in finder.list([]):
            stat = Path(storage.path(name)).stat()
            yield f"{name} {stat.st_size} {stat.st_mtime_ns}"


def collect_if_changed() -> bool:
    """Collect static files if any has changed; return whether they were collected."""
    # Collecting takes seconds, comparing sizes and times a few milliseconds.
    stamp = settings.RUN_DIR / "static-files"
    current = fingerprint()
    if stamp.is_file() and stamp.read_text() == current and settings.STATIC_ROOT.is_dir():
        return False
    call_command("collectstatic", interactive=False, verbosity=0)
    # Only now: an interrupted collection is repeated.
    stamp.write_text(current)
    return True
