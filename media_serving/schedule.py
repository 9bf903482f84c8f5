"""Periodic tasks of this app: see `nvr.queue.periodic`."""

from nvr.queue.periodic import every

SCHEDULE = {
    "owed-uploads": every(5, "media.ingest", "ingest"),
    "owed-thumbnails": every(60, "media.draw_owed_thumbnails", "bulk"),
    "reported-thumbnails": every(10, "media.draw_reported_thumbnails", "bulk"),
    "close-events": every(5, "media.close_events", "ingest"),
    "trim-kept-copies": every(60, "media.trim_kept_copies", "bulk"),
    "remove-files": every(60, "media.remove_files", "bulk"),
    "owed-playables": every(30, "media.send_owed_playables", "bulk"),
    "owed-clips": every(10, "media.send_owed_clips", "bulk"),
    "sweep-caches": every(3600, "media.sweep_caches", "bulk"),
}
