"""Classify file names in a camera's folder: uploads, unfinished uploads, and files to ignore."""

from __future__ import annotations

from typing import Final

from nvr.media.files.content_types import is_image, is_video

# Suffixes that FTP servers, browsers, rsync and cameras give to unfinished files, in lower case.
UNFINISHED: Final = (
    b".part", b"-part", b".partial", b".filepart", b".tmp", b"_tmp", b".temp", b".upload", b".uploading",
    b".inprogress", b".incomplete", b".unfinished", b".writing", b".crdownload", b".opdownload", b".download",
    b".!qb", b".!ut", b".!bt", b".bc!", b".aria2", b".dctmp",
)  # fmt: skip
# The reviewer's marks, and files that operating systems create in every folder.
NOT_OURS: Final = (b".lock", b".trash", b".seen")
LEFT_BY_SYSTEMS: Final = frozenset({b"thumbs.db", b"desktop.ini"})


def is_upload(name: bytes) -> bool:
    """Whether a file of this name belongs in the ledger, whatever its content."""
    lower = name.lower()
    return not (
        # Servers also hide unfinished files: `.in.name.`, `.pureftpd-upload.…`, rsync's `.name.x7Gh2k`.
        name.startswith(b".") or is_unfinished(lower) or lower.endswith(NOT_OURS) or lower in LEFT_BY_SYSTEMS
    )


def is_unfinished(lower: bytes) -> bool:
    """Whether a file of this name (in lower case) is unfinished; cameras rename `.mp4_` when it is complete."""
    return lower.endswith((*UNFINISHED, b"~")) or (lower.endswith(b"_") and is_media(lower.rstrip(b"_")))


def is_media(name: bytes) -> bool:
    """Whether the name's extension is that of a supported picture or video."""
    text = name.decode("utf-8", "replace")
    return is_image(text) or is_video(text)
