"""File modes: NVR's data is private to its user, and camera folders stay accessible to the users that upload.

New files are private (`set_private_umask`). Files that an older version, a backup or an operator left readable are
restricted when NVR starts: the database contains passwords of cameras and users.
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
PASS_THROUGH = 0o011  # others can enter the folder, but not list it
WRITABLE_BY_OTHERS = 0o002
ACCESS_LIST = "system.posix_acl_access"
# What NVR creates in its data folder; other entries there belong to other programs.
FOLDERS = ("backups", "cache", "clips", "kept", "review-index", "run", "static", "thumbnails")
FILES = ("secret_key", "nvr.sqlite3")
SQLITE_ENDINGS = ("", "-wal", "-shm", "-journal")
MAX_FOLDERS = 2000


def set_private_umask() -> None:
    """Make new files of this process and its children accessible to their user only."""
    os.umask(OTHERS)


@dataclass(frozen=True)
class DataLayout:
    """The data folder, the camera root, and the SQLite file, if `database` is one."""

    data: Path
    cameras: Path
    database: Path | None

    def private_paths(self) -> list[Path]:
        named = [self.data / name for name in (*FOLDERS, *FILES)]
        files = [Path(f"{self.database}{ending}") for ending in SQLITE_ENDINGS] if self.database else []
        return [Path(os.path.realpath(self.data)), *dict.fromkeys([*named, *files])]

    def allowed_for_others(self, path: Path) -> int:
        """Return the mode bits that others keep: they may enter folders that contain uploads or their own files."""
        cameras, folder = os.path.realpath(self.cameras), os.path.realpath(path)
        if cameras == folder:
            return OTHERS
        holds_uploads = cameras.startswith(f"{folder}/") and is_used_by_others(self.cameras)
        is_shared = folder == os.path.realpath(self.data) and self.has_foreign_entries()
        return PASS_THROUGH if holds_uploads or is_shared else 0

    def has_foreign_entries(self) -> bool:
        own = {path.name for path in self.private_paths()} | {self.cameras.name, "lost+found"}
        with suppress(OSError):
            return any(path.name not in own and not path.name.startswith(".") for path in self.data.iterdir())
        return False


@dataclass(frozen=True)
class ExposedPath:
    """A private path that others can read or change, and the mode that prevents it."""

    path: Path
    mode: int

    def restrict(self) -> str:
        """Set the mode; return an empty text, or the reason why others can still read it."""
        if self.path.is_symlink():
            return f"it is a link to {os.path.realpath(self.path)}, which NVR does not change"
        try:
            self.path.chmod(self.mode)
            return "its file system has no modes" if self.is_exposed() else ""
        except PermissionError:
            return "it belongs to another user"
        except OSError as error:
            return str(error.strerror)

    def is_exposed(self) -> bool:
        return bool(stat.S_IMODE(self.path.stat().st_mode) & ~self.mode & OTHERS)


def exposed_paths(layout: DataLayout) -> Iterator[ExposedPath]:
    for path in layout.private_paths():
        with suppress(OSError):
            mode = stat.S_IMODE(path.stat().st_mode)
            allowed = layout.allowed_for_others(path) if mode & OTHERS else 0
            if mode & OTHERS & ~allowed:
                yield ExposedPath(path, mode & ~(OTHERS & ~allowed))


def restrict_all(layout: DataLayout) -> Iterator[str]:
    """Restrict all exposed paths; yield a warning for each that could not be restricted."""
    for each in exposed_paths(layout):
        if reason := each.restrict():
            yield f"Other users of this machine can read {each.path}: {reason}."


def is_used_by_others(cameras: Path) -> bool:
    """Return whether another user owns or can write to the camera root or a folder directly below it."""
    return any(map(_is_shared, [cameras, *_folders_below(cameras)]))


def _folders_below(cameras: Path) -> list[Path]:
    found: list[Path] = []
    with suppress(OSError):
        for entry in os.scandir(cameras):
            found += [Path(entry.path)] if entry.is_dir(follow_symlinks=False) else []
            if len(found) >= MAX_FOLDERS:
                break
    return found


def _is_shared(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    if found.st_uid != os.geteuid() or found.st_mode & WRITABLE_BY_OTHERS or _has_access_list(folder):
        return True
    return bool(found.st_mode & stat.S_IWGRP) and (found.st_gid != os.getegid() or _has_other_members(found.st_gid))


def _has_access_list(folder: Path) -> bool:
    """Return whether the folder has an ACL (`setfacl`), which its mode does not show."""
    with suppress(OSError):  # a file system without them
        return ACCESS_LIST in os.listxattr(folder)
    return False


def _has_other_members(group_id: int) -> bool:
    """Return whether other users belong to the group, such as the user of an FTP server."""
    users = pwd.getpwall()
    with suppress(KeyError):
        named = set(grp.getgrgid(group_id).gr_mem)
        return any(user.pw_uid != os.geteuid() and (user.pw_gid == group_id or user.pw_name in named) for user in users)
    return False


def make_shared(folder: Path) -> None:
    """Create a shared folder and its missing parents, each with the mode of its parent.

    An FTP server of another user that can write to the parent can thus write to the new folder.
    """
    if folder.is_dir():
        return
    make_shared(folder.parent)
    folder.mkdir(exist_ok=True)
    above = stat.S_IMODE(folder.parent.stat().st_mode)
    with suppress(PermissionError):  # a file system without modes
        folder.chmod(0o755 if above & stat.S_ISVTX else above)
