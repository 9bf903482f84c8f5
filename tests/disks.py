"""Small file systems that tests can really fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount a file system of that size at `folder`, which is created. Skips the test without permission to mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill the disk to the last byte; return the file that fills it."""
    rubbish = folder / "rubbish"
    with rubbish.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 100):
            pass
    return rubbish


def bind(disk: Path, folder: Path) -> None:
    subprocess.run(["mount", "--bind", str(disk), str(folder)], check=True)


def unbind(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
