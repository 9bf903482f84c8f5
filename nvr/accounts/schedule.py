"""Periodic tasks of this app: see `nvr.queue.periodic`."""

from nvr.queue.periodic import every

SCHEDULE = {"clear-sessions": every(86400, "accounts.clear_sessions", "bulk")}
