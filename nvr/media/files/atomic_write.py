"""Write files atomically: under a temporary name first, then renamed to the target."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

PART_SUFFIX = ".part"


@contextmanager
def temporary_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path next to `target`; removes the file if it still exists when the block ends.

    For callers that replace `target` themselves. Creates a missing folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a rename is only atomic within one file system.
    part = target.with_name(f"{secrets.token_hex(8)}{PART_SUFFIX}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def write_to(target: Path) -> Iterator[Path]:
    """Yield a temporary path next to `target`; it replaces `target` afterwards, or is removed if the block raised.

    Of several concurrent writers, the last one wins. Creates a missing folder.
    """
    with temporary_path(target) as part:
        yield part
        part.replace(target)


def remove_abandoned_parts(folder: Path, *, older_than: timedelta = timedelta(days=1)) -> int:
    """Remove temporary files of killed writers from `folder` (not from subfolders); return their number."""
    limit, removed = time.time() - older_than.total_seconds(), 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:  # one at a time: there may be millions
        for entry in entries:
            if entry.name.endswith(PART_SUFFIX):
                removed += remove_if_older(Path(entry.path), limit)
    return removed


def remove_if_older(part: Path, limit: float) -> bool:
    """Remove `part` if it is older than `limit` (s since 1970); return whether it was removed."""
    with suppress(FileNotFoundError):  # its writer has just finished
        if part.stat().st_mtime < limit:
            part.unlink()
            return True
    return False
