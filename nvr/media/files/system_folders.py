"""Folders that operating systems and NAS devices create: thumbnails, recycle bins, snapshots, lost+found.

They are skipped below a chosen folder: their files are not ingested, listed, marked or deleted. Only names that no
user would choose are listed here. If such a folder is itself the chosen folder, it is used.
"""

from __future__ import annotations

from typing import Final

# In lower case: the spelling of some varies between versions (`$RECYCLE.BIN`, `$Recycle.Bin`).
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
PREFIXES: Final = (".trash-",)  # followed by the user ID

_BYTES_NAMES = frozenset(name.encode() for name in NAMES)
_BYTES_PREFIXES = tuple(name.encode() for name in PREFIXES)


def is_system_folder(name: str | bytes) -> bool:
    """Whether a folder of this name (one segment, not a path) is a system folder."""
    if isinstance(name, bytes):
        return (lower := name.lower()) in _BYTES_NAMES or lower.startswith(_BYTES_PREFIXES)
    return (letters := name.lower()) in NAMES or letters.startswith(PREFIXES)


def is_hidden_folder(name: str | bytes) -> bool:
    """Whether a folder of this name is skipped: a dot folder or a system folder."""
    return name[:1] in (".", b".") or is_system_folder(name)


def has_hidden_folder(path: str | bytes) -> bool:
    """Whether a segment of `path` (all of them folders) is a hidden folder."""
    segments = path.split(b"/") if isinstance(path, bytes) else path.split("/")
    return any(map(is_hidden_folder, segments))
