"""Thumbnails next to the media, named by freedesktop.org's specification so that other programs find them, too.

`<root>/.thumbnails/<size name>/<MD5 of the file's URI>.png` has the mtime of its file; if they differ, the thumbnail
is outdated. Nothing here decodes images. A `.thumbnails` that is a symlink is never followed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from nvr.media.files.atomic_write import PART_SUFFIX

FOLDER: Final = ".thumbnails"
SIZE_NAMES: Final = {128: "normal", 256: "large", 512: "x-large", 1024: "xx-large"}  # by side length in pixels
URI, MTIME = "Thumb::URI", "Thumb::MTime"
UNESCAPED = "/!$&'()*+,:=@"  # what GLib does not escape in a path, in addition to letters, digits and -._~
HEAD_BYTES = 16 * 1024  # enough for the longest path with every byte escaped, and what precedes it
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_PART_AGE_S = 86_400


def file_uri(file: Path) -> str:
    return "file://" + quote_from_bytes(os.fsencode(file), safe=UNESCAPED)


def path_from_uri(uri: str) -> Path | None:
    """Return the path of a `file://` URI; None if it is not a file on this machine."""
    path = unquote_to_bytes(uri.removeprefix("file://"))
    return Path(os.fsdecode(path)) if uri.startswith("file:///") and b"\0" not in path else None


def thumbnail_name(uri: str) -> str:
    """Return the thumbnail's name without its suffix."""
    return hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest()


def thumbnail_path(root: Path, name: str, size: int) -> Path:
    return root / FOLDER / SIZE_NAMES[size] / f"{name}.png"


def is_current(thumbnail: Path, mtime_ns: int) -> bool:
    """Whether the thumbnail exists, without symlinks, with exactly the source's mtime and not empty (power cut)."""
    try:
        for folder in (thumbnail.parent.parent, thumbnail.parent):
            if not stat.S_ISDIR(folder.lstat().st_mode):
                return False
        stat_result = thumbnail.lstat()
    except OSError:
        return False
    return stat.S_ISREG(stat_result.st_mode) and stat_result.st_mtime_ns == mtime_ns and stat_result.st_size > 0


def store(thumbnail: Path, data: bytes, mtime_ns: int) -> None:
    """Write the thumbnail atomically, with the source's mtime.

    Raises OSError, also if a folder is a symlink or the medium cannot store that mtime.
    """
    root, flavour = thumbnail.parents[2], thumbnail.parent.name
    with open_folder(root, FOLDER, flavour, make=True) as directory:
        part = f"{secrets.token_hex(8)}{PART_SUFFIX}"
        try:
            write_file(directory, part, data, mtime_ns)
            os.replace(part, thumbnail.name, src_dir_fd=directory, dst_dir_fd=directory)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=directory)


@contextmanager
def open_folder(root: Path, *names: str, make: bool = False) -> Iterator[int]:
    """Open the folder without following symlinks; `make` creates missing ones with mode 0700, as specified.

    Raises OSError.
    """
    directory = os.open(root, FOLDER_FLAGS)
    try:
        for name in names:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=directory)
            inner = os.open(name, FOLDER_FLAGS, dir_fd=directory)
            os.close(directory)
            directory = inner
        yield directory
    finally:
        os.close(directory)


def write_file(directory: int, name: str, data: bytes, mtime_ns: int) -> None:
    with os.fdopen(os.open(name, FILE_FLAGS, 0o600, dir_fd=directory), "wb") as file:
        file.write(data)
        file.flush()
        os.utime(file.fileno(), ns=(time.time_ns(), mtime_ns))
        if os.fstat(file.fileno()).st_mtime_ns != mtime_ns:
            raise OSError("the medium cannot store the file's mtime")


def read_uri(thumbnail: Path) -> str | None:
    """Return the `Thumb::URI` in front of a PNG's pixels; None if there is none, or for a symlink or another format."""
    try:
        with os.fdopen(os.open(thumbnail, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    position = len(PNG_MAGIC) if head.startswith(PNG_MAGIC) else len(head)
    while position + 8 <= len(head):
        length, kind = struct.unpack_from(">I4s", head, position)
        key, _, value = head[position + 8 : position + 8 + length].partition(b"\0")
        if kind == b"tEXt" and key == URI.encode():
            return str(value, "latin-1")
        if kind == b"IDAT":
            break
        position += 12 + length
    return None


def source_file(thumbnail: Path, name: str) -> Path | None:
    """Return the thumbnail's source file; None unless the thumbnail's name matches it."""
    uri = read_uri(thumbnail)
    return path_from_uri(uri) if uri is not None and thumbnail_name(uri) == name else None


def list_thumbnails(root: Path) -> Iterator[Path]:
    """Yield all files that can be thumbnails by their names, without following symlinks."""
    for flavour in SIZE_NAMES.values():
        with suppress(OSError), open_folder(root, FOLDER, flavour) as directory:
            for name in os.listdir(directory):  # noqa: PTH208 - a descriptor
                if name.endswith((".png", PART_SUFFIX)):
                    yield root / FOLDER / flavour / name


def is_abandoned(thumbnail: Path) -> bool:
    """Whether it is an incomplete file of a killed writer."""
    try:
        return thumbnail.suffix == PART_SUFFIX and time.time() - thumbnail.lstat().st_ctime > MAX_PART_AGE_S
    except OSError:
        return False


def remove(thumbnail: Path) -> bool:
    """Remove the thumbnail if possible; return whether it was removed. Symlinks to folders are not followed."""
    with suppress(OSError), open_folder(thumbnail.parents[2], FOLDER, thumbnail.parent.name) as directory:
        os.unlink(thumbnail.name, dir_fd=directory)
        return True
    return False
