"""The key that signs sessions and encrypts camera passwords: created once, stored in the data directory."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def stored_key(file: Path) -> str:
    """Return the key in `file`; the first process creates it, with mode 0600."""
    try:
        if not file.exists():
            _create(file)
        return _read(file)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The secret key cannot be read or created ({file}: {error.strerror}): correct the owner and mode of the "
            "data folder, free or mount its disk, or set NVR_SECRET_KEY."
        ) from error


def _read(file: Path) -> str:
    key = file.read_bytes().decode(errors="replace").strip()
    if len(key) < 50 or "\ufffd" in key:
        raise ImproperlyConfigured(
            f"{file} contains no usable key: restore it from a backup, or delete it to create a new one."
        )
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
        os.link(draft, file)  # fails if another process was first: its key counts then
    except FileExistsError:
        pass
    except OSError:  # a file system without links, such as FAT and some shares
        _move_first(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _move_first(draft: Path, file: Path) -> None:
    """Rename `draft` to `file` unless another process created it first: a plain rename would replace its key."""
    lock = file.with_name(f".{file.name}.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not file.exists():
            draft.replace(file)
    lock.unlink(missing_ok=True)  # a process that still waits for the lock finds the key
