"""One directory as it is now: its pictures and videos with their marks, in a single reading of its names."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field

from nvr.media.files.companions import media_time_ns
from nvr.media.files.system_folders import has_hidden_folder, is_system_folder
from reviewer.media_types import (
    BYTES_COMPANIONS,
    BYTES_ENDINGS,
    BYTES_KINDS,
    FORMER,
    IN_QUESTION,
    holds_video,
    is_believed,
    kind_of_bytes,
)

MARKS = {ending: int(mark) for ending, mark in BYTES_COMPANIONS}
JUDGED = [(ending, int(mark), int(FORMER[mark])) for ending, mark in BYTES_COMPANIONS if mark in FORMER]
DOT = ord(".")
# Four letters tell most files of a camera from the rest, so that a million names take half the time.
USUAL = {b"." + case for ending in BYTES_KINDS for case in (ending, ending.upper()) if len(ending) == 3}
SOON_S = 3600.0


@dataclass(slots=True)
class Listing:
    """`files` are the marks of each picture and video by name; `ignored` counts what is neither, nor marks one.

    `is_open`: a file that is empty yet may turn out to be a video, without another change of the folder.
    """

    files: dict[bytes, int] = field(default_factory=dict)
    folders: list[bytes] = field(default_factory=list)
    ignored: int = 0
    is_open: bool = False


def listing_of(path: bytes, root: bytes) -> Listing:
    """What lies directly in `path`; hidden names, links to folders and links that leave `root` do not count.

    Nor do system folders. Only files that have marks, and links, are themselves looked at. Raises OSError.
    """
    listing = Listing()
    files = listing.files
    marks: dict[bytes, int] = {}
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if name[-4:] in USUAL and name[0] != DOT and entry.is_file(follow_symlinks=False):
                files[name] = 0
                continue
            stem, dot, ending = name.rpartition(b".")
            if dot + ending in BYTES_ENDINGS and kind_of_bytes(stem):
                marks[stem] = marks.get(stem, 0) | MARKS[dot + ending]
            elif name.startswith(b"."):
                listing.ignored += not entry.is_dir(follow_symlinks=False)
            elif kind_of_bytes(name) and is_own_file(entry, root):
                take(listing, entry)
            elif not entry.is_dir(follow_symlinks=False):
                listing.ignored += 1
            elif not is_system_folder(name):
                listing.folders.append(name)
    for name, marked in marks.items():
        if name in listing.files:
            listing.files[name] = judged(path + b"/" + name, marked)
    return listing


def take(listing: Listing, entry: os.DirEntry[bytes]) -> None:
    """A picture or video by its name, if it is one."""
    if not is_believed(entry.name):
        facts = entry.stat()
        if not holds_video(entry.path, facts):
            listing.ignored += 1
            listing.is_open |= not facts.st_size and time.time() - facts.st_mtime < SOON_S
            return
    listing.files[entry.name] = 0


def judged(file: bytes, marks: int) -> int:
    """The marks of `file` as its companions stand now, those of a former picture set apart.

    Which companions it has is known from its folder; nothing is asked of the disk for a file that has none to judge.
    """
    if not marks & IN_QUESTION:
        return marks
    judged = marks & ~IN_QUESTION
    try:
        since = media_time_ns(file)
    except OSError:  # it has gone: whoever reads its folder again will see
        return marks
    for ending, mark, former in JUDGED:
        if marks & (mark | former):
            judged |= verdict(file + ending, since, mark, former)
    return judged


def verdict(companion: bytes, since: int, mark: int, former: int) -> int:
    try:
        return mark if os.lstat(companion).st_mtime_ns >= since else former
    except FileNotFoundError:
        return 0
    except OSError:
        return former


def is_own_file(entry: os.DirEntry[bytes], root: bytes) -> bool:
    """A regular file, or a link to one of the same kind that is to be seen below `root` (which is without links)."""
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    try:
        target = os.path.realpath(entry.path, strict=True)
        is_media = stat.S_ISREG(os.lstat(target).st_mode) and kind_of_bytes(target) == kind_of_bytes(entry.name)
        if not is_media or not target.startswith(root + b"/"):
            return False
        folder, _, name = target[len(root) + 1 :].rpartition(b"/")
        return not name.startswith(b".") and not has_hidden_folder(folder)
    except OSError:
        return False
