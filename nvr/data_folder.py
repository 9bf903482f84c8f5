"""The data folder: made for us alone, and the one that `manage.py up` prepared: its disk may have gone away since."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def check_same(lock: Path, mark: str) -> None:
    """Raises `ImproperlyConfigured` unless `lock` holds the `mark` of the run that this process is a part of.

    A part that is started again while the disk is away would make a folder, and a secret key, of its own: it would go
    on with that key when the disk is back. One that ends is started again until the disk is there.
    """
    try:
        found = lock.read_text()
    except OSError:
        found = ""
    if found != mark:
        raise ImproperlyConfigured(
            f"{lock.parent.parent} is not the data folder that NVR was started with: mount its disk again."
        )


def make_private(*folders: Path) -> None:
    """Make what is missing of our own folders; raises `ImproperlyConfigured` where that cannot be."""
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.scandir(folder).close()
        except OSError as error:
            raise ImproperlyConfigured(
                f"The data folder cannot be used ({folder}: {error.strerror}): correct its owner and mode, free or "
                "mount its disk, or choose another with NVR_DATA_DIR."
            ) from error
