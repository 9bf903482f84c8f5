"""Celery tasks of uploads, events, clips, web playback versions and caches; other modules do the work."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from media_serving import kept_copies
from media_serving.clips import worker as clip_worker
from media_serving.events import close_quiet
from media_serving.ingest import dispatch, places, processor
from media_serving.models import ClipWork, Transcode
from media_serving.purge import remove_kept_folders
from media_serving.thumbnails import rendering as thumbnails
from media_serving.thumbnails import reported
from media_serving.tombstones import process_pending_tombstones
from media_serving.transcoding import worker as transcoder
from nvr.media.files.atomic_write import remove_abandoned_parts
from nvr.media.files.cached_files import evict

DERIVATIVES_BYTES = 1000 * 2**20
FRAMES_BYTES = 500 * 2**20
REFUSALS_BYTES = 2**20  # each is one sentence but takes a block of the disk


@shared_task(name="media.close_events", ignore_result=True)
def close_events() -> None:
    close_quiet(timezone.now())


@shared_task(name="media.remove_files", ignore_result=True)
def remove_files() -> None:
    """Retry removing files whose rows are deleted."""
    process_pending_tombstones()


@shared_task(name="media.trim_kept_copies", ignore_result=True)
def trim_kept_copies() -> None:
    """Bring the kept copies below their limits, and record the new paths of moved files."""
    kept_copies.trim()
    places.follow_copies(timezone.now())


@shared_task(name=dispatch.TASK, ignore_result=True)
def ingest() -> None:
    """Work on what cameras delivered; what is left after a while is another message's."""
    if processor.process_pending():
        dispatch.send_pending()


@shared_task(name="media.draw_pending_thumbnails", ignore_result=True)
def draw_pending_thumbnails() -> None:
    thumbnails.make_pending()


@shared_task(name="media.draw_reported_thumbnails", ignore_result=True)
def draw_reported_thumbnails() -> None:
    reported.make_pending()


@shared_task(name=ClipWork.TASK, ignore_result=True)
def make_clip(pk: int) -> None:
    clip_worker.make(pk)


@shared_task(name=Transcode.TASK, ignore_result=True)
def make_playable(pk: int) -> None:
    transcoder.make_playable(pk)


@shared_task(name="media.sweep_caches", ignore_result=True)
def sweep_caches() -> None:
    """Bring every cache below its cap, least recently used first; remove partial files that were abandoned."""
    evict("derivatives", limit_bytes=DERIVATIVES_BYTES)
    evict("frames", limit_bytes=FRAMES_BYTES)
    evict("refusals", limit_bytes=REFUSALS_BYTES)
    transcoder.evict()
    transcoder.remove_unused()
    for folder in (settings.CLIP_DIR, settings.THUMBNAIL_DIR, *settings.KEPT_DIR.glob("*/")):
        remove_abandoned_parts(folder)
    kept_copies.remove_strays()
    remove_kept_folders()
