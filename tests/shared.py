"""What the processes of a test run make once and share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The file or folder `name` in the folder of the run. The first process that wants it makes it, the others wait."""
    path = Path(os.environ["TESTS_SHARED_DIR"]) / name
    with path.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = path.with_name(f"partial-{name}")
            make(partial)
            partial.rename(path)
    return path
