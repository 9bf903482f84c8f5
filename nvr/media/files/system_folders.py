"""Folders that systems keep for themselves: small copies, recycle bins, snapshots, what a file check found.

Nobody means them when they point at the folder above: their files are not ingested, listed, marked or emptied. Only
names that no person would choose are here. Who points at such a folder itself has chosen it, and means it.
"""

from __future__ import annotations

from typing import Final

# In lower case: makers write some differently from version to version (`$RECYCLE.BIN`, `$Recycle.Bin`).
NAMES: Final = frozenset({
    # Synology
    "@eadir", "@tmp", "@sharebin", "@sharesnap", "#recycle", "#snapshot",
    # QNAP
    "@recycle", "@recently-snapshot", "@transcode", ".@__thumb", ".@__qini", ".@upload_cache",
    # NetApp and others
    "~snapshot", ".snapshot", ".snapshots", ".zfs",
    # Windows
    "$recycle.bin", "recycler", "system volume information",
    # macOS and AFP servers
    ".trash", ".trashes", ".spotlight-v100", ".fseventsd", ".temporaryitems", ".documentrevisions-v100", ".appledouble",
    "__macosx", "network trash folder", "temporary items",
    # Linux, Samba, Android
    "lost+found", ".recycle", ".recycle.bin", ".thumbnails", "lost.dir",
})  # fmt: skip
PREFIXES: Final = (".trash-",)  # and then the user's number

_BYTES_NAMES = frozenset(name.encode() for name in NAMES)
_BYTES_PREFIXES = tuple(name.encode() for name in PREFIXES)


def is_system_folder(name: str | bytes) -> bool:
    """Whether a folder of this name (one segment, not a path) is a system's own."""
    if isinstance(name, bytes):
        return (lower := name.lower()) in _BYTES_NAMES or lower.startswith(_BYTES_PREFIXES)
    return (letters := name.lower()) in NAMES or letters.startswith(PREFIXES)


def is_hidden_folder(name: str | bytes) -> bool:
    """Whether a folder of this name is not entered: hidden by its dot, or a system's own."""
    return name[:1] in (".", b".") or is_system_folder(name)


def has_hidden_folder(path: str | bytes) -> bool:
    """Whether one of the segments of `path`, all of them folders, is not entered."""
    segments = path.split(b"/") if isinstance(path, bytes) else path.split("/")
    return any(map(is_hidden_folder, segments))
