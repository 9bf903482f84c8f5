"""Periodic tasks of this app: see `nvr.queue.periodic`."""

from nvr.queue.periodic import every

HEARTBEAT_S = 15
QUEUES = ("interactive", "ingest", "bulk")

SCHEDULE = {f"heartbeat-{queue}": every(HEARTBEAT_S, "health.heartbeat", queue, queue) for queue in QUEUES}
