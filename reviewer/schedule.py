"""Periodic tasks of this app: see `nvr.queue.periodic`."""

from nvr.queue.periodic import every

SCHEDULE = {
    "trash-runs": every(10, "reviewer.maintain_trash_runs", "interactive"),
    "dead-thumbnail-passes": every(60, "reviewer.revive_thumbnail_passes", "bulk"),
    "prune-review-thumbnails": every(86400, "reviewer.prune_thumbnails", "bulk"),
    "sweep-review-thumbnails": every(3600, "reviewer.sweep_thumbnails", "bulk"),
}
