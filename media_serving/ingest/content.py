"""Validate that a file is complete and of the type that its name claims, and read its metadata."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, Final

from media_serving.ingest.capture_time import exif
from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.container import readings_of
from nvr.errors import Invalid
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.truncation import video_is_complete
from nvr.media.files.paths import translate_os_errors
from nvr.media.images.decoder import pictures
from nvr.media.images.errors import DamagedImage, NotAnImage

MAX_PICTURE_BYTES: Final = 256 * 2**20
HEAD_BYTES: Final = 16
SIGNATURES: Final = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
# ffmpeg's messages for a file whose end or index has not been written yet.
UNFINISHED: Final = ("moov atom not found", "End of file", "could not find codec parameters")


class Incomplete(Invalid):
    """The file may still grow: it is checked again for hours before it is rejected."""

    title = "The file is incomplete"


@dataclass(frozen=True)
class MediaInfo:
    """Size in pixels and duration in seconds; `readings` are the capture times in the file itself."""

    width: int
    height: int
    duration_s: float | None = None
    readings: tuple[Reading, ...] = ()


class MissingEnd(Incomplete):
    """Only the picture's last bytes are missing; they arrive within seconds or never."""

    title = "The picture lacks its last bytes"


def inspect(file: BinaryIO, *, is_picture: bool, may_grow: bool = True, may_complete: bool = True) -> MediaInfo:
    """Probe the file. Raises `Incomplete`, and the errors of `pictures.check` or `ffmpeg.probe` for invalid files.

    Without `may_grow`, an incomplete video is accepted as it is: the rest will not arrive. Without `may_complete`, so
    is a picture that lacks only its last bytes.
    """
    with translate_os_errors():
        size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise Incomplete("The file is empty.")
    if is_picture:
        return inspect_picture(file, size, may_complete=may_complete)
    return inspect_video(file, size, may_grow=may_grow)


def inspect_picture(file: BinaryIO, size: int, *, may_complete: bool) -> MediaInfo:
    if size > MAX_PICTURE_BYTES:
        raise Invalid(f"The picture has {size} bytes; at most {MAX_PICTURE_BYTES} are read.")
    try:
        found = pictures.check(file, tags=exif.REQUESTED_TAGS)
    except DamagedImage as error:
        raise Incomplete("The picture is incomplete or damaged.") from error
    except NotAnImage as error:
        with translate_os_errors():
            head = os.pread(file.fileno(), HEAD_BYTES, 0)
        if has_picture_signature(head):
            raise Incomplete("The picture is incomplete or damaged.") from error
        raise
    if may_complete and not found.has_end:
        raise MissingEnd("The picture lacks its last bytes.")
    return MediaInfo(found.width, found.height, readings=exif.readings_of(found.tags))


def has_picture_signature(data: bytes) -> bool:
    """Whether `data` starts like a picture. WebP shares `RIFF` with AVI and WAVE and differs eight bytes later."""
    return data.startswith(SIGNATURES) or (data[:4] == b"RIFF" and b"WEBP".startswith(data[8:12]))


def inspect_video(file: BinaryIO, size: int, *, may_grow: bool) -> MediaInfo:
    """Probe a video with ffprobe; a file without a video stream is invalid."""
    try:
        with translate_os_errors():
            is_whole = video_is_complete(file)
        if may_grow and not is_whole:
            raise Incomplete("The video is truncated.")
        found = ffmpeg.probe(file)
    except ffmpeg.UnknownContainer as error:
        if size < HEAD_BYTES:
            raise Incomplete("The file is too short to be a video.") from error
        raise
    except (ffmpeg.FfmpegTimedOut, ffmpeg.FfmpegMissing, ffmpeg.FfmpegKilled):
        raise
    except ffmpeg.FfmpegFailed as error:
        if any(message in error.detail for message in UNFINISHED):
            raise Incomplete("The video has no index: it is incomplete or damaged.") from error
        raise
    return MediaInfo(found.width, found.height, duration_s=found.plausible_duration, readings=readings_of(found.tags))
