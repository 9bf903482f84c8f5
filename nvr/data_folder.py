"""The data folder: private, and the same one that `manage.py up` prepared, since its disk may be unmounted later."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def check_same(lock: Path, mark: str) -> None:
    """Raise `ImproperlyConfigured` unless `lock` contains the `mark` of the run to which this process belongs.

    A process that restarts while the disk is unmounted would create another folder with another secret key, and keep
    that key when the disk is mounted again. A process that ends here is restarted until the disk is mounted.
    """
    try:
        stored = lock.read_text()
    except OSError:
        stored = ""
    if stored != mark:
        raise ImproperlyConfigured(
            f"{lock.parent.parent} is not the data folder that NVR was started with: mount its disk again."
        )


def make_private(*folders: Path) -> None:
    """Create the missing folders with mode 0700; raises `ImproperlyConfigured` if a folder cannot be used."""
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.scandir(folder).close()
        except OSError as error:
            raise ImproperlyConfigured(
                f"The data folder cannot be used ({folder}: {error.strerror}): correct its owner and mode, free or "
                "mount its disk, or choose another with NVR_DATA_DIR."
            ) from error
