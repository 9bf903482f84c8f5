"""One installation per data directory: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from pathlib import Path
from typing import IO

from nvr.supervision.guard import end_marked

ADDRESS_FILE = "listens_on"
RETRY_S = 0.5


class AlreadyRunning(Exception):
    """Another process holds the lock of this data directory."""


class Instance:
    """Holds the lock `file`; `mark` is the name that all processes of this run carry."""

    def __init__(self, file: IO[str], mark: str) -> None:
        self.file = file
        self.mark = mark

    @classmethod
    def begin(cls, run_dir: Path) -> Instance:
        """Take the lock, and end what a former run left; raises `AlreadyRunning`."""
        file = _lock(run_dir / "up.lock")
        _end_leftovers(file)
        mark = secrets.token_hex(16)
        file.seek(0)
        file.truncate()
        file.write(mark)
        file.flush()
        return cls(file, mark)

    @classmethod
    def inherited(cls, descriptor: int) -> Instance:
        """The one that this process took before it became another program."""
        file = os.fdopen(descriptor, "r+")
        file.seek(0)
        return cls(file, file.read())


def remember_address(run_dir: Path, address: str) -> None:
    """For `doctor`, which runs beside it."""
    (run_dir / ADDRESS_FILE).write_text(address)


def address_of_running(run_dir: Path) -> str:
    """Where the `up` of this data directory listens; empty if none runs."""
    try:
        with (run_dir / "up.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that ask are not taken for an instance
        return ""
    except FileNotFoundError:
        return ""
    except BlockingIOError:
        file_of_address = run_dir / ADDRESS_FILE
        return file_of_address.read_text() if file_of_address.exists() else ""


def _lock(path: Path) -> IO[str]:
    """Retries for a moment: `address_of_running` holds the lock while it asks."""
    file = path.open("a+")
    until = time.monotonic() + RETRY_S
    while not _is_taken(file):
        if time.monotonic() > until:
            file.close()
            raise AlreadyRunning(
                f"NVR already runs on {path.parent.parent}: stop it first, "
                "or give the second one a data folder of its own (NVR_DATA_DIR)."
            )
        time.sleep(0.01)
    return file


def _is_taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_leftovers(file: IO[str]) -> None:
    """A former supervisor and its guard may have been killed together: nobody else ends their parts."""
    file.seek(0)
    former = file.read().strip()
    if former:
        end_marked(former)
