"""Frames of videos as JPEGs, extracted once and cached by the video's identity and the offset."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from pathlib import Path

from django.core.cache import caches

from nvr.errors import NotFound, StorageFull, Unavailable
from nvr.media.files.cached_files import cache_path, get_or_create
from nvr.media.files.identity import FileIdentity
from nvr.media.files.paths import translate_os_errors

logger = logging.getLogger(__name__)

TIMEOUT = timedelta(seconds=10)
FAILURE_TTL_S = 60
DEFAULT_OFFSET_MS = 1000  # by then the camera has adjusted its exposure
# Each extraction is a process that uses a core: more at once would only delay all of them.
_slots = threading.BoundedSemaphore(2)


class NoFrame(NotFound):
    title = "No frame could be read from the video"


def cached_frame(video: Path, *, offset_ms: int = DEFAULT_OFFSET_MS) -> Path:
    """Return the frame at `offset_ms` (for a shorter video the last frame) at the video's own size.

    Raises `NoFrame`, which is cached for a minute; `Unavailable` if too many are requested at once or ffmpeg is
    missing; `StorageFull`; `NoSuchFile` if the video no longer exists.
    """
    with translate_os_errors():
        stat_result = video.stat()
    identity = f"{video}-{FileIdentity.of(stat_result)}-{offset_ms}"
    target = cache_path("frames", identity).with_suffix(".jpg")
    if caches["process"].get(f"no-frame:{target.stem}"):
        raise NoFrame
    return get_or_create([target], lambda: extract_to_cache(video, offset_ms, target))


def extract_to_cache(video: Path, offset_ms: int, target: Path) -> Path:
    from nvr.media.ffmpeg import operations as ffmpeg  # imported late: most requests do not need it

    if not _slots.acquire(timeout=TIMEOUT.total_seconds()):
        raise Unavailable("Too many videos are being read at once: try again.", retry_after=5)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        ffmpeg.extract_frame(video, offset_ms / 1000, target, timeout=TIMEOUT)
    except (ffmpeg.FfmpegMissing, ffmpeg.FfmpegKilled):
        raise
    except ffmpeg.FfmpegOutOfSpace as error:
        raise StorageFull("The disk is full: free space in the data folder.") from error
    except (ffmpeg.FfmpegFailed, ffmpeg.UnknownContainer) as error:
        logger.info("no frame extracted from video: %s", error.detail)
        caches["process"].set(f"no-frame:{target.stem}", True, FAILURE_TTL_S)
        raise NoFrame from error
    finally:
        _slots.release()
    return target
