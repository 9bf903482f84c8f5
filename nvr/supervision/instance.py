"""One running instance per data directory, by a lock that is released when its process ends."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

from nvr.supervision.guard import end_marked

ADDRESS_FILE = "listens_on"
RETRY_S = 0.5


class AlreadyRunning(Exception):
    """Another process holds the lock of this data directory."""


class Instance:
    """Holds the lock `file`; `mark` identifies all processes of this run."""

    def __init__(self, file: IO[str], mark: str) -> None:
        self.file = file
        self.mark = mark

    @classmethod
    def acquire(cls, run_dir: Path, mark: str) -> Instance:
        """Acquire the lock and end processes that a previous run left; raises `AlreadyRunning`."""
        file = _lock(run_dir / "up.lock")
        _end_leftovers(file)
        file.seek(0)
        file.truncate()
        file.write(mark)
        file.flush()
        return cls(file, mark)


def store_address(run_dir: Path, address: str) -> None:
    """Store the listening address for `doctor`, which runs as another process."""
    (run_dir / ADDRESS_FILE).write_text(address)


def address_of_running(run_dir: Path) -> str:
    """Return the address on which the `up` of this data directory listens; empty if none runs."""
    try:
        with (run_dir / "up.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: concurrent calls do not see each other
        return ""
    except FileNotFoundError:
        return ""
    except BlockingIOError:
        address_file = run_dir / ADDRESS_FILE
        return address_file.read_text() if address_file.exists() else ""


def _lock(path: Path) -> IO[str]:
    """Acquire the lock; retries for `RETRY_S`, since `address_of_running` locks the file briefly."""
    file = path.open("a+")
    deadline = time.monotonic() + RETRY_S
    while not _try_lock(file):
        if time.monotonic() > deadline:
            file.close()
            raise AlreadyRunning(
                f"NVR is already running on {path.parent.parent}: stop it first, "
                "or set another data folder for the second instance (NVR_DATA_DIR)."
            )
        time.sleep(0.01)
    return file


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_leftovers(file: IO[str]) -> None:
    """End processes of a previous run whose supervisor and guard were both killed."""
    file.seek(0)
    previous_mark = file.read().strip()
    if previous_mark:
        end_marked(previous_mark)
