"""Periodic tasks of this app: see `nvr.queue.periodic`."""

from nvr.queue.periodic import every

# A few queries, in the queue that bulk work never blocks.
SCHEDULE = {"pending-jobs": every(10, "jobs.send_pending", "interactive")}
