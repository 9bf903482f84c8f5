"""The key that signs sessions and encrypts camera passwords: made once, kept in the data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def stored_key(file: Path) -> str:
    """The key in `file`; made on the first call with mode 0600, by whichever process comes first."""
    try:
        return _read(file)
    except FileNotFoundError:
        _create(file)
        return _read(file)


def _read(file: Path) -> str:
    key = file.read_text().strip()
    if len(key) < 50:
        raise ImproperlyConfigured(f"{file} holds no usable key: restore it from a backup, or delete it to begin anew.")
    return key


def _create(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_urlsafe(60) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, file)  # fails if another process was first: then its key is the one
    except FileExistsError:
        pass
    finally:
        draft.unlink()
