"""The transcoding worker: one job at a time, with limits on time and disk space."""

from __future__ import annotations

import logging
import shutil
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from media_serving.models import Transcode
from media_serving.transcoding.requests import cached_path, content_key, source_path
from nvr.errors import StorageFull
from nvr.jobs import worker
from nvr.jobs.models import JobState
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.files.cached_files import cache_entries, cache_folder
from nvr.media.files.paths import NoSuchFile, translate_os_errors

logger = logging.getLogger(__name__)

MIN_FREE_BYTES = 100 * 2**20
MAX_UNUSED = timedelta(days=30)
BATCH = 200
ORPHAN_MAX_AGE_S = 86_400  # longer than any conversion


def make_playable(pk: int) -> None:
    """Transcode the video of row `pk` unless another job is working; a second call does nothing."""
    worker.run(Transcode, pk, transcode)


def transcode(row: Transcode) -> None:
    try:
        size_bytes = convert_to_cache(row)
    except NoSuchFile:
        row.held().delete()  # this content can no longer be requested
        return
    if row.settle(state=JobState.DONE, size_bytes=size_bytes, reason="", used_at=timezone.now()):
        logger.info("transcoded id=%s bytes=%s", row.pk, size_bytes)
        evict(keep=row.pk)


def convert_to_cache(row: Transcode) -> int:
    """Transcode the original into the cache; return the size in bytes."""
    source, target = unchanged_source(row), cached_path(row)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The size of the result is not known yet: that of the original is an estimate.
    if shutil.disk_usage(target.parent).free < row.source_size_bytes + MIN_FREE_BYTES:
        raise StorageFull("The disk is too full to transcode this video.")
    convert(source, target)
    unchanged_source(row)
    return target.stat().st_size


def unchanged_source(row: Transcode) -> Path:
    """Return the original's path. Raises `NoSuchFile` if its content is no longer the one of the row."""
    source = source_path(row)
    with translate_os_errors():
        resolved = source.resolve(strict=True)
    if resolved != source or content_key(source) != row.key:
        raise NoSuchFile
    return source


def convert(source: Path, target: Path) -> None:
    limit = settings.NVR_TRANSCODE_TIME_LIMIT
    # Copying the streams takes a fraction of the time and keeps the quality.
    if ffmpeg.can_remux(ffmpeg.probe(source)):
        try:
            ffmpeg.remux_mp4(source, target, timeout=limit)
        except (ffmpeg.FfmpegTimedOut, ffmpeg.FfmpegKilled, ffmpeg.FfmpegOutOfSpace):
            raise
        except ffmpeg.FfmpegFailed as error:
            logger.info("cannot be remuxed, transcoding: %s", error.detail)
        else:
            return
    ffmpeg.transcode_mp4(source, target, timeout=limit)


def evict(*, keep: int | None = None) -> int:
    """Remove the least recently used versions until the cache is below its cap; return the bytes removed.

    `keep` is the row just made: a file that alone exceeds the cap would otherwise never be served.
    """
    made = Transcode.objects.filter(state=JobState.DONE, size_bytes__isnull=False)
    excess = (made.aggregate(total=Sum("size_bytes"))["total"] or 0) - settings.NVR_TRANSCODE_CACHE_MB * 2**20
    removed = 0
    others = made if keep is None else made.exclude(pk=keep)
    for row in others.order_by("used_at").iterator(chunk_size=BATCH):
        if removed >= excess:
            break
        if remove(row):
            removed += row.size_bytes or 0
    return removed


def remove(row: Transcode) -> bool:
    """Remove row, then file, so that no row lacks its file; do nothing if it was used since it was fetched."""
    deleted, _ = Transcode.objects.filter(pk=row.pk, state=row.state, used_at=row.used_at).delete()
    if deleted:
        cached_path(row).unlink(missing_ok=True)
    return bool(deleted)


def remove_unused() -> int:
    """Remove versions unused for `MAX_UNUSED` and files without a row; return how many."""
    old = Transcode.objects.exclude(state=JobState.WORKING).filter(used_at__lt=timezone.now() - MAX_UNUSED)
    return sum(remove(row) for row in old[:BATCH]) + remove_orphans()


def remove_orphans() -> int:
    """Remove files without a row, left by a crash; return how many."""
    files = cache_entries(cache_folder("playable"))
    old = [path for used_at, _, path in files if time.time() - used_at > ORPHAN_MAX_AGE_S]
    return sum(remove_unknown(old[start : start + BATCH]) for start in range(0, len(old), BATCH))


def remove_unknown(files: list[Path]) -> int:
    known = set(Transcode.objects.filter(key__in=[path.stem for path in files]).values_list("key", flat=True))
    unknown = [path for path in files if path.stem not in known]
    for path in unknown:
        path.unlink(missing_ok=True)
    return len(unknown)
