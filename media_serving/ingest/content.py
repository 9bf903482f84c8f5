"""Whether a file is what it claims to be, whole, and what it says of itself."""

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
BEGINNINGS: Final = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
# What ffmpeg says of a file whose end, or index, has not been written yet.
UNFINISHED: Final = ("moov atom not found", "End of file", "could not find codec parameters")


class Incomplete(Invalid):
    """It may still grow: it is looked at again for hours before it is given up."""

    title = "The file is incomplete"


@dataclass(frozen=True)
class Facts:
    """In pixels and seconds; `said` is what the file itself says of its capture time."""

    width: int
    height: int
    duration_s: float | None = None
    said: tuple[Reading, ...] = ()


class WithoutEnd(Incomplete):
    """All of the picture is there but its last bytes, which come within seconds if they come at all."""

    title = "The picture lacks its last bytes"


def facts_of(file: BinaryIO, *, is_picture: bool, may_grow: bool = True, may_end: bool = True) -> Facts:
    """Raises `Incomplete`, and what `pictures.check` or `ffmpeg.probe` raise for what it never will be.

    Of a video that `may_grow` no more, what is there counts: the rest of it will never come. So it does of a picture
    that lacks its last bytes only, if those `may_end` no more.
    """
    with translate_os_errors():
        size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise Incomplete("The file is empty.")
    return of_picture(file, size, may_end=may_end) if is_picture else of_video(file, size, may_grow=may_grow)


def of_picture(file: BinaryIO, size: int, *, may_end: bool) -> Facts:
    if size > MAX_PICTURE_BYTES:
        raise Invalid(f"The picture has {size} bytes; at most {MAX_PICTURE_BYTES} are read.")
    try:
        found = pictures.check(file, tags=exif.WANTED)
    except DamagedImage as error:
        raise Incomplete("The picture is incomplete or damaged.") from error
    except NotAnImage as error:
        with translate_os_errors():
            head = os.pread(file.fileno(), HEAD_BYTES, 0)
        if begins_like_a_picture(head):
            raise Incomplete("The picture is incomplete or damaged.") from error
        raise
    if may_end and not found.has_end:
        raise WithoutEnd("The picture lacks its last bytes.")
    return Facts(found.width, found.height, said=exif.readings_of(found.tags))


def begins_like_a_picture(data: bytes) -> bool:
    """A WebP shares its first letters with AVI and WAVE: eight bytes further on it says which it is."""
    return data.startswith(BEGINNINGS) or (data[:4] == b"RIFF" and b"WEBP".startswith(data[8:12]))


def of_video(file: BinaryIO, size: int, *, may_grow: bool) -> Facts:
    """ffprobe looks into it; of what has no picture nothing can be made."""
    try:
        with translate_os_errors():
            is_whole = video_is_complete(file)
        if may_grow and not is_whole:
            raise Incomplete("The video breaks off before its end.")
        found = ffmpeg.probe(file)
    except ffmpeg.UnknownContainer as error:
        if size < HEAD_BYTES:
            raise Incomplete("The file is too short to be a video.") from error
        raise
    except (ffmpeg.FfmpegTimedOut, ffmpeg.FfmpegMissing, ffmpeg.FfmpegKilled):
        raise
    except ffmpeg.FfmpegFailed as error:
        if any(words in error.detail for words in UNFINISHED):
            raise Incomplete("The video has no index: it is incomplete or damaged.") from error
        raise
    return Facts(found.width, found.height, duration_s=found.plausible_duration, said=readings_of(found.tags))
