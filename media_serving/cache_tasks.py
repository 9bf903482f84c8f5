"""What is made from stored media and can be made again: playable forms, derivatives, frames."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from media_serving import kept_copies
from media_serving.purge import remove_kept_folders
from media_serving.transcoding import worker as transcoder
from nvr.media.files.atomic_write import remove_abandoned_parts
from nvr.media.files.cached_files import sweep

DERIVATIVES_BYTES = 1000 * 2**20
FRAMES_BYTES = 500 * 2**20
REFUSALS_BYTES = 2**20  # each is a sentence, and a block of the disk


@shared_task(name="media.make_playable", ignore_result=True)
def make_playable(pk: int) -> None:
    transcoder.make_playable(pk)


@shared_task(name="media.send_owed_playables", ignore_result=True)
def send_owed_playables() -> None:
    transcoder.send_pending()


@shared_task(name="media.sweep_caches", ignore_result=True)
def sweep_caches() -> None:
    """Bring every cache below its cap, what was used longest ago first; and remove what was never made to its end."""
    sweep("derivatives", limit_bytes=DERIVATIVES_BYTES)
    sweep("frames", limit_bytes=FRAMES_BYTES)
    sweep("refusals", limit_bytes=REFUSALS_BYTES)
    transcoder.evict()
    transcoder.remove_unused()
    for folder in (settings.CLIP_DIR, settings.THUMBNAIL_DIR, *settings.KEPT_DIR.glob("*/")):
        remove_abandoned_parts(folder)
    kept_copies.remove_strays()
    remove_kept_folders()
