"""Find the mount of a folder, so that an unmounted volume is not mistaken for an empty folder."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from nvr.media.files.paths import is_inside

MOUNTINFO = Path("/proc/self/mountinfo")
NETWORK_TYPES = {
    "9p",
    "afs",
    "autofs",
    "ceph",
    "cifs",
    "davfs",
    "gfs2",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
    "virtiofs",
}
WITHOUT_FOLDER_TIMES = {"msdos", "vfat", "exfat", "ntfs", "ntfs3"}


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo(5): `type` as named by the kernel, `source` the device or share, `point` the mount point."""

    device: int
    type: str
    source: str
    point: Path

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it."""
        return {**asdict(self), "point": str(self.point)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(int(values["device"]), str(values["type"]), str(values["source"]), Path(values["point"]))

    def is_unmounted(self, now: Mount) -> bool:
        """Whether a folder that was on this mount, and is now on `now`, has lost its volume.

        Device numbers change between boots, and a memory card may be swapped. The reliable sign is that nothing is
        mounted at this mount point, so that the folder is on its parent's file system.
        """
        return now.point != self.point and is_inside(self.point, now.point)


def mount_of(path: Path) -> Mount:
    """Return the mount that contains `path` (which need not exist); symlinks are resolved. Raises OSError."""
    resolved = Path(os.path.realpath(path))
    containing = [mount for mount in mounts() if is_inside(resolved, mount.point)]
    # Of several mounts at the same mount point, the last one covers the others.
    return max(enumerate(containing), key=lambda item: (len(item[1].point.parts), item[0]))[1]


def mounts() -> list[Mount]:
    """Return all mounts that this process sees, in the order in which they were mounted."""
    return list(parse_mounts(MOUNTINFO.read_bytes()))


@lru_cache(maxsize=4)
def parse_mounts(table: bytes) -> tuple[Mount, ...]:
    """Cached: the table is read for each request but rarely changes, and parsing it takes longer than reading it."""
    return tuple(parse_mount(line) for line in os.fsdecode(table).splitlines())


def parse_mount(line: str) -> Mount:
    """`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: optional fields end with a hyphen."""
    location, _, filesystem = line.partition(" - ")
    _, _, device, _, point, *_ = location.split(" ")
    kind, source, *_ = filesystem.split(" ")
    major, minor = device.split(":")
    return Mount(os.makedev(int(major), int(minor)), kind, unescape(source), Path(unescape(point)))


def unescape(text: str) -> str:
    """Decode spaces, tabs, newlines and backslashes, which are escaped as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def has_reliable_folder_times(kind: str) -> bool:
    """Whether a directory's mtime changes when files are added: not on FAT (no root mtime) or network servers."""
    return not (is_network_or_fuse(kind) or kind in WITHOUT_FOLDER_TIMES)


def is_network_or_fuse(kind: str) -> bool:
    """Whether directory mtimes may be unreliable, or access may hang, on this type of file system."""
    return kind in NETWORK_TYPES or kind.startswith("fuse")


def record_mount(root: Path) -> Mount:
    """Return the mount to store with a root, for later comparison by `unavailable_reason`. Raises OSError."""
    return mount_of(root)


def unavailable_reason(root: Path, remembered: Mount | None = None) -> str:
    """Return why `root` is unavailable, as a sentence; empty if it is available.

    Reasons: missing, not a folder, an I/O error (EIO, ESTALE, …), or not on the recorded volume. While `root` is
    unavailable, files that are not found below it must not be considered deleted.
    """
    try:
        # A failing disk may still answer `stat` from the kernel's cache, but not a listing.
        with os.scandir(root) as entries:
            next(entries, None)
        now = mount_of(root)
    except FileNotFoundError:
        return f"The folder {root} does not exist: create it or mount its disk."
    except NotADirectoryError:
        return f"{root} is not a folder."
    except OSError as fault:
        return f"The folder {root} does not respond ({fault.strerror}): check its disk, mount or permissions."
    if remembered is not None and remembered.is_unmounted(now):
        return f"The volume {remembered.source} is no longer mounted at {remembered.point}: mount it again."
    return ""
