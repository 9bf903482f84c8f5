"""Tidying up behind writers that were killed."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

from nvr.media.files.atomic_write import PART_SUFFIX, remove_abandoned_parts


def test_a_folder_with_very_many_files_needs_no_memory(tmp_path: Path) -> None:
    for number in range(5000):
        (tmp_path / f"detection_{number}_thumb.jpg").touch()
    old = tmp_path / f"old{PART_SUFFIX}"
    old.touch()
    os.utime(old, (time.time() - 100_000,) * 2)

    tracemalloc.start()
    try:
        assert remove_abandoned_parts(tmp_path) == 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 100_000
    assert not old.exists()


def test_a_missing_folder_is_empty(tmp_path: Path) -> None:
    assert remove_abandoned_parts(tmp_path / "kept") == 0
