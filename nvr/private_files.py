"""Keeping what is ours from the other users of the machine; and what cameras upload open to who uploads it.

All that we write is made for us alone (`close_by_default`). What an older version, a backup or an operator left open
is closed when NVR starts: the database holds the passwords of cameras and people.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

OTHERS = 0o077
PASS_THROUGH = 0o011  # to reach what lies below, without seeing what else there is
WRITABLE_BY_OTHERS = 0o002
ACCESS_LIST = "system.posix_acl_access"
# What NVR makes in its data folder; whatever else lies there is somebody else's.
FOLDERS = ("backups", "cache", "clips", "kept", "review-index", "run", "static", "thumbnails")
FILES = ("secret_key", "nvr.sqlite3")
SQLITE_ENDINGS = ("", "-wal", "-shm", "-journal")
MAX_LOOKED_AT = 2000


def close_by_default() -> None:
    """What this process and its children make is readable by their user alone."""
    os.umask(OTHERS)


@dataclass(frozen=True)
class Places:
    """Where NVR keeps its own, and where cameras upload to; `database` is a SQLite file, if there is one."""

    data: Path
    cameras: Path
    database: Path | None

    def ours(self) -> list[Path]:
        named = [self.data / name for name in (*FOLDERS, *FILES)]
        files = [Path(f"{self.database}{ending}") for ending in SQLITE_ENDINGS] if self.database else []
        return [Path(os.path.realpath(self.data)), *dict.fromkeys([*named, *files])]

    def kept_open(self, path: Path) -> int:
        """Who uploads must pass through what holds the cameras' folders, and others through what holds theirs."""
        cameras, folder = os.path.realpath(self.cameras), os.path.realpath(path)
        if cameras == folder:
            return OTHERS
        holds_uploads = cameras.startswith(f"{folder}/") and is_used_by_others(self.cameras)
        is_shared = folder == os.path.realpath(self.data) and self.has_foreign_entries()
        return PASS_THROUGH if holds_uploads or is_shared else 0

    def has_foreign_entries(self) -> bool:
        ours = {path.name for path in self.ours()} | {self.cameras.name, "lost+found"}
        with suppress(OSError):
            return any(path.name not in ours and not path.name.startswith(".") for path in self.data.iterdir())
        return False


@dataclass(frozen=True)
class OpenPath:
    """Something of ours that others can read or change, and the mode with which they cannot."""

    path: Path
    mode: int

    def close(self) -> str:
        """An empty text, or why it is still open: a file system without modes says nothing, and does nothing."""
        if self.path.is_symlink():
            return f"it is a link to {os.path.realpath(self.path)}, which is left as it is"
        try:
            self.path.chmod(self.mode)
            return "its file system keeps no modes" if self.is_open() else ""
        except PermissionError:
            return "it belongs to another user"
        except OSError as error:
            return str(error.strerror)

    def is_open(self) -> bool:
        return bool(stat.S_IMODE(self.path.stat().st_mode) & ~self.mode & OTHERS)


def open_paths(places: Places) -> Iterator[OpenPath]:
    for path in places.ours():
        with suppress(OSError):
            mode = stat.S_IMODE(path.stat().st_mode)
            kept = places.kept_open(path) if mode & OTHERS else 0
            if mode & OTHERS & ~kept:
                yield OpenPath(path, mode & ~(OTHERS & ~kept))


def close_all(places: Places) -> Iterator[str]:
    """Close what is open; a sentence about each that could not be closed."""
    for each in open_paths(places):
        if reason := each.close():
            yield f"Other users of this machine can read {each.path}: {reason}."


def is_used_by_others(cameras: Path) -> bool:
    """Whether somebody else may write here: a folder of another user, or one that others may write to."""
    return any(map(_is_anothers, [cameras, *_folders_below(cameras)]))


def _folders_below(cameras: Path) -> list[Path]:
    found: list[Path] = []
    with suppress(OSError):
        for entry in os.scandir(cameras):
            found += [Path(entry.path)] if entry.is_dir(follow_symlinks=False) else []
            if len(found) >= MAX_LOOKED_AT:
                break
    return found


def _is_anothers(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    if found.st_uid != os.geteuid() or found.st_mode & WRITABLE_BY_OTHERS or _has_access_list(folder):
        return True
    return bool(found.st_mode & stat.S_IWGRP) and (found.st_gid != os.getegid() or _has_other_members(found.st_gid))


def _has_access_list(folder: Path) -> bool:
    """Whether it lets users in by name (`setfacl`), which the mode does not tell."""
    with suppress(OSError):  # a file system without them
        return ACCESS_LIST in os.listxattr(folder)
    return False


def _has_other_members(group_id: int) -> bool:
    """Of our own group: an FTP server's user may have been put into it."""
    users = pwd.getpwall()
    with suppress(KeyError):
        named = set(grp.getgrgid(group_id).gr_mem)
        return any(user.pw_uid != os.geteuid() and (user.pw_gid == group_id or user.pw_name in named) for user in users)
    return False


def make_shared(folder: Path) -> None:
    """Make a folder that is not for us alone, and what is missing above it: each as open as the one that holds it.

    In a folder where an FTP server of another user may write, it may write to the new one as well.
    """
    if folder.is_dir():
        return
    make_shared(folder.parent)
    folder.mkdir(exist_ok=True)
    above = stat.S_IMODE(folder.parent.stat().st_mode)
    with suppress(PermissionError):  # a file system without modes
        folder.chmod(0o755 if above & stat.S_ISVTX else above)
