"""The current content of one directory: pictures and videos with their marks, from a single `scandir`."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field

from nvr.media.files.companions import media_time_ns
from nvr.media.files.system_folders import has_hidden_folder, is_system_folder
from reviewer.catalog.media_types import (
    BYTES_COMPANIONS,
    BYTES_MEDIA_TYPES,
    COMPANION_SUFFIXES,
    MTIME_DEPENDENT,
    OUTDATED,
    has_unambiguous_name,
    holds_video,
    media_type_of_bytes,
)

MARKS = {suffix: int(mark) for suffix, mark in BYTES_COMPANIONS}
MTIME_CHECKED = [(suffix, int(mark), int(OUTDATED[mark])) for suffix, mark in BYTES_COMPANIONS if mark in OUTDATED]
DOT = ord(".")
# A check of the last four letters finds most camera files: it halves the time for a million names.
COMMON_SUFFIXES = {b"." + case for suffix in BYTES_MEDIA_TYPES for case in (suffix, suffix.upper()) if len(suffix) == 3}
STILL_WRITING_S = 3600.0  # an empty file that is younger may be a recording in progress


@dataclass(slots=True)
class Listing:
    """`files` has the marks of each picture and video by name. `ignored` counts files that are neither media nor marks.

    `is_incomplete`: an empty file may become a video without another change of the folder.
    """

    files: dict[bytes, int] = field(default_factory=dict)
    folders: list[bytes] = field(default_factory=list)
    ignored: int = 0
    is_incomplete: bool = False


def list_folder(path: bytes, root: bytes) -> Listing:
    """List `path` without hidden names, system folders, links to folders, and links that leave `root`.

    Calls `stat` only for files with marks and for links. Raises OSError.
    """
    listing = Listing()
    files = listing.files
    marks: dict[bytes, int] = {}
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if name[-4:] in COMMON_SUFFIXES and name[0] != DOT and entry.is_file(follow_symlinks=False):
                files[name] = 0
                continue
            stem, dot, suffix = name.rpartition(b".")
            if dot + suffix in COMPANION_SUFFIXES and media_type_of_bytes(stem):
                marks[stem] = marks.get(stem, 0) | MARKS[dot + suffix]
            elif name.startswith(b"."):
                listing.ignored += not entry.is_dir(follow_symlinks=False)
            elif media_type_of_bytes(name) and is_listable_file(entry, root):
                add_media(listing, entry)
            elif not entry.is_dir(follow_symlinks=False):
                listing.ignored += 1
            elif not is_system_folder(name):
                listing.folders.append(name)
    # Only now, because a companion may be listed before its file.
    for name, companion_marks in marks.items():
        if name in listing.files:
            listing.files[name] = current_marks(path + b"/" + name, companion_marks)
    return listing


def add_media(listing: Listing, entry: os.DirEntry[bytes]) -> None:
    """Add a file with the name of a picture or video if its content matches."""
    if not has_unambiguous_name(entry.name):
        file_stat = entry.stat()
        if not holds_video(entry.path, file_stat):
            listing.ignored += 1
            listing.is_incomplete |= not file_stat.st_size and time.time() - file_stat.st_mtime < STILL_WRITING_S
            return
    listing.files[entry.name] = 0


def current_marks(file: bytes, marks: int) -> int:
    """Return the marks of `file` with outdated ones separated: those of a former file of the same name.

    The folder listing has the companions, so a file without mtime-dependent marks needs no disk access.
    """
    if not marks & MTIME_DEPENDENT:
        return marks
    result = marks & ~MTIME_DEPENDENT
    try:
        since_mtime_ns = media_time_ns(file)
    except OSError:  # the file is gone: the next scan of its folder removes it
        return marks
    for suffix, mark, outdated in MTIME_CHECKED:
        if marks & (mark | outdated):
            result |= companion_mark(file + suffix, since_mtime_ns, mark, outdated)
    return result


def companion_mark(companion: bytes, since_mtime_ns: int, mark: int, outdated: int) -> int:
    try:
        return mark if os.lstat(companion).st_mtime_ns >= since_mtime_ns else outdated
    except FileNotFoundError:
        return 0
    except OSError:
        return outdated


def is_listable_file(entry: os.DirEntry[bytes], root: bytes) -> bool:
    """Return whether the entry is a regular file, or a link to a listed file of the same media type below `root`.

    `root` has no links.
    """
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    try:
        target = os.path.realpath(entry.path, strict=True)
        is_media = stat.S_ISREG(os.lstat(target).st_mode) and media_type_of_bytes(target) == media_type_of_bytes(
            entry.name
        )
        if not is_media or not target.startswith(root + b"/"):
            return False
        folder, _, name = target[len(root) + 1 :].rpartition(b"/")
        return not name.startswith(b".") and not has_hidden_folder(folder)
    except OSError:
        return False
