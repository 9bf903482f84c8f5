"""Thumbnails: making them ahead, and clearing away."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from nvr.media.files.cached_files import sweep
from reviewer.thumbnails import prefetch
from reviewer.thumbnails import rendering as thumbnails


@shared_task(name=prefetch.TASK, ignore_result=True)
def make_thumbnails(pk: int, run: str) -> None:
    prefetch.work(pk, run)


@shared_task(name="reviewer.revive_thumbnail_passes", ignore_result=True)
def revive_thumbnail_passes() -> None:
    prefetch.revive()


@shared_task(name="reviewer.prune_thumbnails", ignore_result=True)
def prune_thumbnails() -> None:
    prefetch.prune_all()


@shared_task(name="reviewer.sweep_thumbnails", ignore_result=True)
def sweep_thumbnails() -> None:
    """Bring those in the data directory below their cap; what was used longest ago goes first."""
    sweep(thumbnails.CACHE, limit_bytes=settings.NVR_REVIEW_CACHE_MB * 2**20)
