"""What happens to detections and events by itself, every few seconds."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from media_serving.events import close_quiet
from media_serving.tombstones import carry_out_owed


@shared_task(name="media.close_events", ignore_result=True)
def close_events() -> None:
    close_quiet(timezone.now())


@shared_task(name="media.remove_files", ignore_result=True)
def remove_files() -> None:
    """Files whose rows are gone and that could not be removed when they went."""
    carry_out_owed()
