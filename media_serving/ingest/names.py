"""Which names in a camera's folder are uploads, which are still being written, and which are not meant for us."""

from __future__ import annotations

from typing import Final

from nvr.media.types import is_image, is_video

# What FTP servers, browsers, rsync and cameras call a file that is still on its way.
UNFINISHED: Final = (b".part", b".partial", b".filepart", b".tmp", b".temp", b".upload", b".uploading", b".crdownload")
# The reviewer's marks, and what operating systems leave in every folder.
NOT_OURS: Final = (b".lock", b".trash", b".seen")
LEFT_BY_SYSTEMS: Final = frozenset({b"thumbs.db", b"desktop.ini"})


def is_hidden(name: bytes) -> bool:
    """Servers hide what is on its way too: `.in.name.`, `.pureftpd-upload.…`, rsync's `.name.x7Gh2k`."""
    return name.startswith(b".")


def is_upload(name: bytes) -> bool:
    """Whether a file of this name is to be accounted for, whatever it holds."""
    lower = name.lower()
    return not (
        is_hidden(name)
        or lower.endswith(UNFINISHED)
        or lower.endswith(NOT_OURS)
        or lower.endswith(b"~")
        or lower in LEFT_BY_SYSTEMS
    )


def is_media(name: bytes) -> bool:
    """Whether it claims to be a picture or a video that we serve."""
    text = name.decode("utf-8", "replace")
    return is_image(text) or is_video(text)
