"""Celery tasks of trash runs, probes and thumbnails: each calls the module that does the work."""

from __future__ import annotations

from pathlib import Path

from celery import shared_task
from django.conf import settings

from nvr.media.files.cached_files import evict
from reviewer.media_info import probes
from reviewer.models import TrashRun
from reviewer.thumbnails import prefetch
from reviewer.thumbnails import rendering as thumbnails
from reviewer.trash import runs as trash_runs
from reviewer.trash import worker as trash_worker


@shared_task(name=TrashRun.TASK, ignore_result=True)
def empty_trash(run_pk: int) -> None:
    trash_worker.execute_run(run_pk)


@shared_task(name="reviewer.maintain_trash_runs", ignore_result=True)
def maintain_trash_runs() -> None:
    """Release or fail trash runs that no worker executes, and delete lines that are no longer read."""
    trash_runs.maintain_runs()


@shared_task(name=probes.TASK, ignore_result=True)
def probe(paths: list[str], root: str) -> None:
    """Probe videos below `root` that a page did not wait for; their paths are percent-encoded."""
    probes.probe_all(paths, Path(root))


@shared_task(name=prefetch.TASK, ignore_result=True)
def make_thumbnails(pk: int, run: str) -> None:
    prefetch.continue_run(pk, run)


@shared_task(name="reviewer.revive_thumbnail_passes", ignore_result=True)
def revive_thumbnail_passes() -> None:
    prefetch.resume_all()


@shared_task(name="reviewer.prune_thumbnails", ignore_result=True)
def prune_thumbnails() -> None:
    prefetch.prune_all()


@shared_task(name="reviewer.sweep_thumbnails", ignore_result=True)
def sweep_thumbnails() -> None:
    """Reduce the thumbnails in the data directory to their size limit, least recently used first."""
    evict(thumbnails.CACHE, limit_bytes=settings.NVR_REVIEW_CACHE_MB * 2**20)
