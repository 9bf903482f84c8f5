"""What happens to uploads, detections and events by itself, every few seconds."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from media_serving import kept_copies
from media_serving.events import close_quiet
from media_serving.ingest import dispatch, places, processor
from media_serving.thumbnails import rendering as thumbnails
from media_serving.thumbnails import reported
from media_serving.tombstones import carry_out_owed


@shared_task(name="media.close_events", ignore_result=True)
def close_events() -> None:
    close_quiet(timezone.now())


@shared_task(name="media.remove_files", ignore_result=True)
def remove_files() -> None:
    """Files whose rows are gone and that could not be removed when they went."""
    carry_out_owed()


@shared_task(name="media.trim_kept_copies", ignore_result=True)
def trim_kept_copies() -> None:
    """Bring the copies of overwritten files below their limits, and note where moved files lie now."""
    kept_copies.trim()
    places.follow_copies(timezone.now())


@shared_task(name=dispatch.TASK, ignore_result=True)
def ingest() -> None:
    """Work on what cameras delivered; what is left after a while is another message's."""
    if processor.work():
        dispatch.send_owed()


@shared_task(name="media.draw_owed_thumbnails", ignore_result=True)
def draw_owed_thumbnails() -> None:
    thumbnails.make_owed()


@shared_task(name="media.draw_reported_thumbnails", ignore_result=True)
def draw_reported_thumbnails() -> None:
    reported.make_owed()
