"""Periodic tasks of this app: see `nvr.queue.periodic`."""

from django.conf import settings

from nvr.queue.periodic import every

SCHEDULE = {
    "camera-health": every(settings.NVR_HEALTH_INTERVAL.total_seconds(), "cameras.check_health", "interactive"),
    "purge-trash": every(3600, "cameras.purge_expired", "bulk"),
}
