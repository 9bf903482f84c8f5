"""Files that appear whole or not at all: written under a name of their own, then put in place."""

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
    """A path beside `target` to write to; what the block leaves there is removed.

    For who must choose the moment in which it replaces `target`. The folder is made if it is missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{secrets.token_hex(8)}{PART_SUFFIX}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def write_to(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; afterwards it replaces `target`, or is removed if the block raised.

    Two writers of the same target do not meet: the last one stays. The folder is made if it is missing.
    """
    with temporary_path(target) as part:
        yield part
        part.replace(target)


def remove_abandoned_parts(folder: Path, *, older_than: timedelta = timedelta(days=1)) -> int:
    """Remove what a killed writer left in `folder` (not below it); answers how many files."""
    limit, removed = time.time() - older_than.total_seconds(), 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:  # one at a time: there may be millions
        for entry in entries:
            if entry.name.endswith(PART_SUFFIX):
                removed += remove_if_older(Path(entry.path), limit)
    return removed


def remove_if_older(part: Path, limit: float) -> bool:
    """Whether it was older than `limit` (s since 1970), and is gone by us."""
    with suppress(FileNotFoundError):  # its writer has just ended
        if part.stat().st_mtime < limit:
            part.unlink()
            return True
    return False
