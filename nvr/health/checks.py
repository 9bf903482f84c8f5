"""The health checks of every installation: database, cache, broker, workers, storage, disk, versions."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import uuid
from importlib.metadata import version

import django
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from nvr.health.models import Heartbeat
from nvr.health.sections import Section, register
from nvr.sqlite3.files import file_of

QUEUES = ("interactive", "ingest", "bulk")
LOW_DISK_SHARE = 0.05


def database() -> Section:
    # The connection reports only that the database is unavailable; the operator needs the path.
    file = file_of(connection)
    if file is not None and not file.exists():
        return Section(
            "failed", f"The file {file} does not exist: restore it, or run manage.py up, which creates a new one."
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Section("ok", "The database answers.", {"engine": connection.vendor})


def cache_answers() -> Section:
    probe = uuid.uuid4().hex
    cache.set("health", probe, 30)
    if cache.get("health") is None:
        return Section("failed", "The cache does not return stored values: check its disk or server.")
    return Section("ok", "The cache answers.", {"engine": "redis" if settings.REDIS_URL else "disk"})


def broker() -> Section:
    from nvr.queue.broker import connection_to_broker

    with connection_to_broker(timeout_s=1) as link:
        link.ensure_connection(max_retries=1, interval_start=0, timeout=1)
    return Section("ok", "The broker answers.", {"transport": settings.CELERY_BROKER_URL.split(":")[0]})


def workers() -> Section:
    beats = {row.name.removeprefix("worker:"): row for row in Heartbeat.objects.filter(name__startswith="worker:")}
    silent = [queue for queue in QUEUES if queue not in beats or not beats[queue].is_alive]
    facts = {"last_beat": {queue: beats[queue].beat_at if queue in beats else None for queue in QUEUES}}
    if silent:
        detail = f"No worker serves {', '.join(silent)}: start one, or check its log."
        return Section("degraded", detail, facts, is_stopped=True)
    return Section("ok", "Workers serve every queue.", facts)


def storage() -> Section:
    wrong = [str(path) for path in (settings.NVR_DATA_DIR, settings.NVR_CAMERA_ROOT) if not path.is_dir()]
    unwritable = [] if os.access(settings.NVR_DATA_DIR, os.W_OK) else [str(settings.NVR_DATA_DIR)]
    if wrong:
        return Section("degraded", f"Missing: {', '.join(wrong)}. Mount or create it.")
    if unwritable:
        return Section("failed", f"Not writable: {unwritable[0]}. Correct its owner or mount it read-write.")
    return Section(
        "ok",
        "The folders exist.",
        {"data": str(settings.NVR_DATA_DIR), "cameras": str(settings.NVR_CAMERA_ROOT)},
    )


def disk() -> Section:
    usage = shutil.disk_usage(settings.NVR_DATA_DIR)
    facts = {"total_bytes": usage.total, "free_bytes": usage.free}
    if usage.free < usage.total * LOW_DISK_SHARE:
        return Section("degraded", f"Only {usage.free // 2**20} MB are free: free disk space or add a disk.", facts)
    return Section("ok", f"{usage.free // 2**30} GB are free.", facts)


def versions() -> Section:
    facts = {
        "nvr": settings.SPECTACULAR_SETTINGS["VERSION"],
        "python": platform.python_version(),
        "django": django.get_version(),
        "celery": version("celery"),
        "ffmpeg": "found" if shutil.which("ffmpeg") else "missing",
        "platform": sys.platform,
    }
    return Section("ok", "Installed versions.", facts)


def register_all() -> None:
    register("database", database)
    register("cache", cache_answers)
    register("broker", broker)
    register("workers", workers)
    register("storage", storage)
    register("disk", disk)
    register("versions", versions, essential=False)
