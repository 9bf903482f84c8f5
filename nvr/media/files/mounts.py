"""Which mount a folder lies on, so that a volume that is away is not taken for an empty folder."""

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
    """A line of mountinfo(5): `type` as the kernel names it, `source` the device or share, `point` where it is."""

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

    def is_away(self, now: Mount) -> bool:
        """Whether a folder that lay on this mount, and now lies on `now`, has lost its volume.

        Device numbers change from one boot to the next, and a card may be changed for another: what tells is
        that nothing is mounted any more where this was, so that the folder shows its parent's file system.
        """
        return now.point != self.point and is_inside(self.point, now.point)


def mount_of(path: Path) -> Mount:
    """The mount that `path` (which need not exist) lies on; symlinks are resolved. Raises OSError."""
    resolved = Path(os.path.realpath(path))
    holding = [mount for mount in mounts() if is_inside(resolved, mount.point)]
    # Of two at the same point the later line lies on top.
    return max(enumerate(holding), key=lambda item: (len(item[1].point.parts), item[0]))[1]


def mounts() -> list[Mount]:
    """All mounts that this process sees, in the order in which they were made."""
    return list(parse_mounts(MOUNTINFO.read_bytes()))


@lru_cache(maxsize=4)
def parse_mounts(table: bytes) -> tuple[Mount, ...]:
    """Cached: the table is read for each request but rarely changes, and parsing it takes longer than reading it."""
    return tuple(parse_mount(line) for line in os.fsdecode(table).splitlines())


def parse_mount(line: str) -> Mount:
    """`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: optional fields end with a hyphen."""
    place, _, filesystem = line.partition(" - ")
    _, _, device, _, point, *_ = place.split(" ")
    kind, source, *_ = filesystem.split(" ")
    major, minor = device.split(":")
    return Mount(os.makedev(int(major), int(minor)), kind, unescape(source), Path(unescape(point)))


def unescape(text: str) -> str:
    """Blank, tab, newline and backslash stand as three octal digits; other bytes as they are."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def has_reliable_folder_times(kind: str) -> bool:
    """Whether a directory's mtime tells that something was added: FAT's root has none, servers step theirs."""
    return not (is_network_or_fuse(kind) or kind in WITHOUT_FOLDER_TIMES)


def is_network_or_fuse(kind: str) -> bool:
    """File systems on which a directory's mtime cannot be relied on, or a look may hang."""
    return kind in NETWORK_TYPES or kind.startswith("fuse")


def record_mount(root: Path) -> Mount:
    """The mount to be kept with a root; `unavailable_reason` compares with it later. Raises OSError."""
    return mount_of(root)


def unavailable_reason(root: Path, remembered: Mount | None = None) -> str:
    """Why `root` cannot be relied on now, as a sentence; empty if it can.

    Missing, not a folder, not answering (EIO, ESTALE, …), or no longer on the volume that was remembered.
    While this says anything, nothing that is not found below `root` may be taken for deleted.
    """
    try:
        with os.scandir(root) as entries:
            next(entries, None)
        now = mount_of(root)
    except FileNotFoundError:
        return f"The folder {root} does not exist: create it or mount its disk."
    except NotADirectoryError:
        return f"{root} is not a folder."
    except OSError as fault:
        return f"The folder {root} does not answer ({fault.strerror}): check its disk, mount or permissions."
    if remembered is not None and remembered.is_away(now):
        return f"The volume {remembered.source} that was mounted at {remembered.point} is away: mount it again."
    return ""
