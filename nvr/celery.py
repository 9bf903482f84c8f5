"""The Celery application: three queues, so that interactive tasks never wait behind bulk work."""

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
    worker_proc_alive_timeout=60.0,  # on a busy small machine a process needs more than Celery's 4 s to start
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0.2},
    timezone="UTC",
    beat_scheduler="nvr.queue.scheduler:Scheduler",
    beat_schedule_filename=str(settings.RUN_DIR / "beat-schedule.json"),
)


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
