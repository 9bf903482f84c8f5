"""The transcoding worker: one job at a time, with a lease and limits on time, attempts and disk space."""

from __future__ import annotations

import logging
import shutil
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from media_serving.leases import lease_renewal
from media_serving.models import PlayableForm, WorkState
from media_serving.transcoding.requests import cached_path, content_key, send, source_path
from nvr.errors import FULL, NvrError, StorageFull, Unavailable
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.files.cached_files import cache_entries, cache_folder
from nvr.media.files.paths import NoSuchFile, translate_os_errors

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # renewed while work is in progress; expires after the worker's death
RETRY_AFTER = timedelta(minutes=5)
SEND_AGAIN_AFTER = timedelta(minutes=2)
MIN_FREE_BYTES = 100 * 2**20
MAX_UNUSED = timedelta(days=30)
BATCH = 200
ORPHAN_MAX_AGE_S = 86_400  # longer than any conversion


def make_playable(pk: int) -> None:
    """Transcode the video of row `pk` unless another job is working; a second call does nothing."""
    release_expired_leases()
    row = claim(pk)
    if row is None:
        return
    try:
        with lease_renewal(f"playable={row.pk}", lambda: renew(row), every=LEASE / 4):
            attempt(row)
    finally:
        send_next()


def claim(pk: int) -> PlayableForm | None:
    """Claim the row for `LEASE`; None if it is not due, or another is working, which sends this one when it ends."""
    rows = PlayableForm.objects
    return rows.get(pk=pk) if rows.claim(pk, lease=LEASE) else None


def renew(row: PlayableForm) -> None:
    update_if_leased(row, leased_until=timezone.now() + LEASE)


def update_if_leased(row: PlayableForm, **values: object) -> bool:
    """Update the row if this worker still holds its lease; return whether it does."""
    return bool(PlayableForm.objects.still_leased(row).update(**values))


def attempt(row: PlayableForm) -> None:
    try:
        size_bytes = convert_to_cache(row)
    except NoSuchFile:
        PlayableForm.objects.filter(pk=row.pk).delete()  # this content can no longer be requested
    except (ffmpeg.FfmpegMissing, ffmpeg.FfmpegKilled) as error:
        postpone(row, error.detail)
    except ffmpeg.FfmpegOutOfSpace:
        postpone(row, "The disk is full.")
    except ffmpeg.FfmpegFailed as error:
        mark_failed(row, error)
    except (Unavailable, StorageFull) as error:
        postpone(row, error.detail)
    except OSError as error:
        postpone(row, "The disk is full." if error.errno in FULL else f"The disk failed: {error.strerror}.")
    else:
        now = timezone.now()
        if update_if_leased(
            row, state=WorkState.DONE, size_bytes=size_bytes, reason="", used_at=now, leased_until=None
        ):
            logger.info("transcoded id=%s bytes=%s", row.pk, size_bytes)
            evict(keep=row.pk)


def convert_to_cache(row: PlayableForm) -> int:
    """Transcode the original into the cache; return the size in bytes."""
    source, target = unchanged_source(row), cached_path(row)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < row.source_size_bytes + MIN_FREE_BYTES:
        raise StorageFull("The disk is too full to transcode this video.")
    convert(source, target)
    unchanged_source(row)
    return target.stat().st_size


def unchanged_source(row: PlayableForm) -> Path:
    """Return the original's path. Raises `NoSuchFile` if its content is no longer the one of the row."""
    source = source_path(row)
    with translate_os_errors():
        resolved = source.resolve(strict=True)
    if resolved != source or content_key(source) != row.key:
        raise NoSuchFile
    return source


def convert(source: Path, target: Path) -> None:
    limit = settings.NVR_TRANSCODE_TIME_LIMIT
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


def mark_failed(row: PlayableForm, error: NvrError) -> None:
    """Mark the row as failed for good: a file that ffmpeg cannot read is not retried."""
    update_if_leased(row, state=WorkState.FAILED, reason=error.detail[:500], leased_until=None, retry_at=None)
    logger.info("transcode failed id=%s reason=%s", row.pk, error.detail)


def postpone(row: PlayableForm, reason: str) -> None:
    retry_at = timezone.now() + RETRY_AFTER
    update_if_leased(row, state=WorkState.FAILED, reason=reason[:500], leased_until=None, retry_at=retry_at)
    logger.warning("transcode postponed id=%s reason=%s", row.pk, reason)


def release_expired_leases() -> None:
    PlayableForm.objects.release_expired_leases(doing="converted this video")


def send_next() -> None:
    """Send the row that has waited longest."""
    row = PlayableForm.objects.longest_pending()
    if row is not None:
        PlayableForm.objects.mark_sent(row)
        send(row.pk)


def send_pending() -> None:
    """Resend rows left waiting by a lost message, a dead worker or an unavailable broker."""
    release_expired_leases()
    if PlayableForm.objects.have_stalled(timezone.now(), after=SEND_AGAIN_AFTER):
        send_next()


def evict(*, keep: int | None = None) -> int:
    """Remove the least recently used versions until the cache is below its cap; return the bytes removed.

    `keep` is the row just made: a file that alone exceeds the cap would otherwise never be served.
    """
    made = PlayableForm.objects.filter(state=WorkState.DONE, size_bytes__isnull=False)
    excess = (made.aggregate(total=Sum("size_bytes"))["total"] or 0) - settings.NVR_TRANSCODE_CACHE_MB * 2**20
    removed = 0
    others = made if keep is None else made.exclude(pk=keep)
    for row in others.order_by("used_at").iterator(chunk_size=BATCH):
        if removed >= excess:
            break
        if remove(row):
            removed += row.size_bytes or 0
    return removed


def remove(row: PlayableForm) -> bool:
    """Remove row, then file, so that no row lacks its file; do nothing if it was used since it was fetched."""
    deleted, _ = PlayableForm.objects.filter(pk=row.pk, state=row.state, used_at=row.used_at).delete()
    if deleted:
        cached_path(row).unlink(missing_ok=True)
    return bool(deleted)


def remove_unused() -> int:
    """Remove versions unused for `MAX_UNUSED` and files without a row; return how many."""
    old = PlayableForm.objects.exclude(state=WorkState.WORKING).filter(used_at__lt=timezone.now() - MAX_UNUSED)
    return sum(remove(row) for row in old[:BATCH]) + remove_orphans()


def remove_orphans() -> int:
    """Remove files without a row, left by a crash; return how many."""
    files = cache_entries(cache_folder("playable"))
    old = [path for used_at, _, path in files if time.time() - used_at > ORPHAN_MAX_AGE_S]
    return sum(remove_unknown(old[start : start + BATCH]) for start in range(0, len(old), BATCH))


def remove_unknown(files: list[Path]) -> int:
    known = set(PlayableForm.objects.filter(key__in=[path.stem for path in files]).values_list("key", flat=True))
    unknown = [path for path in files if path.stem not in known]
    for path in unknown:
        path.unlink(missing_ok=True)
    return len(unknown)
