"""Which names in a camera's folder are uploads, which are still being written, and which are not meant for us."""

from __future__ import annotations

from typing import Final

from nvr.media.files.content_types import is_image, is_video

# What FTP servers, browsers, rsync and cameras call a file that is still on its way, in lower case.
UNFINISHED: Final = (
    b".part", b"-part", b".partial", b".filepart", b".tmp", b"_tmp", b".temp", b".upload", b".uploading",
    b".inprogress", b".incomplete", b".unfinished", b".writing", b".crdownload", b".opdownload", b".download",
    b".!qb", b".!ut", b".!bt", b".bc!", b".aria2", b".dctmp",
)  # fmt: skip
# The reviewer's marks, and what operating systems leave in every folder.
NOT_OURS: Final = (b".lock", b".trash", b".seen")
LEFT_BY_SYSTEMS: Final = frozenset({b"thumbs.db", b"desktop.ini"})


def is_upload(name: bytes) -> bool:
    """Whether a file of this name is to be accounted for, whatever it holds."""
    lower = name.lower()
    return not (
        # Servers hide what is on its way too: `.in.name.`, `.pureftpd-upload.…`, rsync's `.name.x7Gh2k`.
        name.startswith(b".") or is_unfinished(lower) or lower.endswith(NOT_OURS) or lower in LEFT_BY_SYSTEMS
    )


def is_unfinished(lower: bytes) -> bool:
    """Whether a file of this name (in lower case) is still on its way; cameras rename `.mp4_` at the end."""
    return lower.endswith((*UNFINISHED, b"~")) or (lower.endswith(b"_") and is_media(lower.rstrip(b"_")))


def is_media(name: bytes) -> bool:
    """Whether it claims to be a picture or a video that we serve."""
    text = name.decode("utf-8", "replace")
    return is_image(text) or is_video(text)
