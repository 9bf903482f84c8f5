"""Periodic tasks of this app: see `nvr.queue.periodic`."""

from nvr.queue.periodic import every

SCHEDULE = {
    # Makes up for messages that were lost; normally, the watcher notifies the workers at once.
    "pending-uploads": every(5, "media.ingest", "ingest"),
    "pending-thumbnails": every(60, "media.draw_pending_thumbnails", "bulk"),
    "reported-thumbnails": every(10, "media.draw_reported_thumbnails", "bulk"),
    # An event's clip is made when the event closes, so that users would notice a longer interval.
    "close-events": every(5, "media.close_events", "ingest"),
    "trim-kept-copies": every(60, "media.trim_kept_copies", "bulk"),
    "remove-files": every(60, "media.remove_files", "bulk"),
    "sweep-caches": every(3600, "media.sweep_caches", "bulk"),
}
