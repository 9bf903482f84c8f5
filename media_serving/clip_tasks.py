"""Clips of events: what a worker is sent, and what is sent again."""

from __future__ import annotations

from celery import shared_task

from media_serving.clips import worker as clip_worker


@shared_task(name="media.make_clip", ignore_result=True)
def make_clip(pk: int) -> None:
    clip_worker.make(pk)


@shared_task(name="media.send_owed_clips", ignore_result=True)
def send_owed_clips() -> None:
    clip_worker.send_pending()
