"""The Celery application: three queues, so that what someone waits for never stands behind bulk work."""

from __future__ import annotations

import os

from celery import Celery
from django.conf import settings
from kombu import Queue
from kombu.transport import TRANSPORT_ALIASES

from nvr.start import require_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nvr.settings")
require_settings()

app = Celery("nvr")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    task_default_queue="bulk",
    task_queues=[Queue(name, routing_key=name) for name in ("interactive", "ingest", "bulk")],
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_proc_alive_timeout=60.0,  # a busy small machine takes more than Celery's 4 s for a process to begin
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0.2},
    timezone="UTC",
    beat_scheduler="nvr.queue.scheduler:Scheduler",
    beat_schedule_filename=str(settings.RUN_DIR / "beat-schedule.json"),
)


def every(seconds: float, task: str, queue: str, *args: str) -> dict[str, object]:
    """A beat entry; what was not taken before the next one is due is dropped, so that nothing piles up."""
    return {"task": task, "schedule": seconds, "args": args, "options": {"queue": queue, "expires": seconds}}


HEARTBEAT_S = 15
app.conf.beat_schedule = {
    **{f"heartbeat-{q}": every(HEARTBEAT_S, "health.heartbeat", q, q) for q in ("interactive", "ingest", "bulk")},
    "camera-health": every(settings.NVR_HEALTH_INTERVAL.total_seconds(), "cameras.check_health", "interactive"),
    "clear-sessions": every(86400, "accounts.clear_sessions", "bulk"),
    "purge-trash": every(3600, "cameras.purge_expired", "bulk"),
    "owed-purges": every(60, "cameras.send_owed_purges", "bulk"),
    "owed-uploads": every(5, "media.ingest", "ingest"),
    "owed-thumbnails": every(60, "media.draw_owed_thumbnails", "bulk"),
    "reported-thumbnails": every(10, "media.draw_reported_thumbnails", "bulk"),
    "close-events": every(5, "media.close_events", "ingest"),
    "trim-kept-copies": every(60, "media.trim_kept_copies", "bulk"),
    "remove-files": every(60, "media.remove_files", "bulk"),
    "owed-playables": every(30, "media.send_owed_playables", "bulk"),
    "owed-clips": every(10, "media.send_owed_clips", "bulk"),
    "owed-emptyings": every(10, "reviewer.look_after_emptyings", "interactive"),
    "dead-thumbnail-passes": every(60, "reviewer.revive_thumbnail_passes", "bulk"),
    "prune-review-thumbnails": every(86400, "reviewer.prune_thumbnails", "bulk"),
    "sweep-review-thumbnails": every(3600, "reviewer.sweep_thumbnails", "bulk"),
    "sweep-caches": every(3600, "media.sweep_caches", "bulk"),
}
TRANSPORT_ALIASES["filesystem"] = "nvr.queue.file_transport:Transport"
if settings.CELERY_BROKER_URL.startswith("filesystem"):
    folders = {
        "data_folder_in": settings.BROKER_DIR / "messages",
        "data_folder_out": settings.BROKER_DIR / "messages",
        "control_folder": settings.BROKER_DIR / "control",
        "reserve_folder": settings.BROKER_DIR / "reserve",
    }
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    app.conf.broker_transport_options = {
        "polling_interval": 0.1,
        **{name: str(folder) for name, folder in folders.items()},
    }
else:
    app.conf.broker_transport_options = {"socket_connect_timeout": 2, "socket_timeout": 5}
app.autodiscover_tasks()
app.autodiscover_tasks(related_name="cache_tasks")
app.autodiscover_tasks(related_name="clip_tasks")
