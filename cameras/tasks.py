"""Celery tasks of the cameras app; all of them are idempotent."""

from __future__ import annotations

import logging

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from cameras import health, registry
from cameras.models import Camera, Purge
from cameras.purge import worker as purging

logger = logging.getLogger(__name__)


@shared_task(name="cameras.check_health", ignore_result=True)
def check_health() -> None:
    health.refresh_all()


@shared_task(name="cameras.purge_expired", ignore_result=True)
def purge_expired() -> None:
    """Purge cameras that have been in the trash for longer than `NVR_TRASH_RETENTION`."""
    # Purges that have begun are continued by the job engine.
    expired = Camera.trash.filter(deleted_at__lt=timezone.now() - settings.NVR_TRASH_RETENTION, purge=None)
    for camera in expired:
        try:
            registry.purge_camera(None, camera)
        except Exception:  # an error with one camera must not block all others
            logger.exception("camera not purged camera=%s", camera.slug)


@shared_task(name=Purge.TASK, ignore_result=True)
def continue_purge(pk: int) -> None:
    purging.continue_purge(pk)
