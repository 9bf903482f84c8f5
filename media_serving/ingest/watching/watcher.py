"""Watch the cameras' folders: inotify reports changes at once, and scans find the rest.

Scans find files from before the start, folders that were moved in, files of lost events, and files on network shares,
which report no events. Both only name files to check: the ledger knows which are new, and their timestamps show which
are complete.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from cameras.folders.concurrent_probe import ConcurrentProbe
from cameras.folders.ownership import Folders, current_folders
from cameras.models import Camera
from media_serving.ingest.ledger import enter, names_in_progress
from media_serving.ingest.missing import names_of_missing
from media_serving.ingest.scanner import Scanner
from media_serving.ingest.watching.camera_watcher import LOG_INTERVAL, CameraWatcher
from media_serving.ingest.watching.inotify import InotifyListener, watch_count
from nvr.log_throttle import LogThrottle

logger = logging.getLogger(__name__)

INTERVAL_S = 0.25
BUSY_INTERVAL_S = 0.01  # while a scan is running
RELOAD_S = 2.0  # until a new camera is watched
WATCH_COUNT_INTERVAL_S = 30.0  # counting inotify watches takes a tenth of a second for 10 000 folders
DATABASE_RETRY_S = 2.0
MISSING_BATCH_SIZE = 500
TIMEOUT_S = 1.0  # for a folder that does not respond; after it, its poll continues in parallel with the others


class Watcher:
    """Watches all cameras that upload into a folder. Calls `notify_workers` when uploads wait for processing."""

    def __init__(self, notify_workers: Callable[[], None]) -> None:
        self.notify_workers = notify_workers
        self.watchers: dict[int, CameraWatcher] = {}
        self.folders: Folders | None = None
        self.listener: InotifyListener | None = None
        self._next_reload = 0.0
        self._probe: ConcurrentProbe[None] = ConcurrentProbe(
            late=lambda camera: None, timeout_s=TIMEOUT_S, name="watcher"
        )
        self._next_count = 0.0
        self._database_log = LogThrottle(LOG_INTERVAL)
        self._watch_log = LogThrottle(timedelta(hours=1))

    def run(self, stop: threading.Event, beat: Callable[[], None] = lambda: None) -> None:
        self.notify_workers()  # uploads may wait from an earlier run
        while not stop.wait(BUSY_INTERVAL_S if self.is_busy else INTERVAL_S):
            try:
                beat()
                self.poll()
            except (DatabaseError, InterfaceError) as error:  # nothing is lost: scans find the files again
                if self._database_log.should_log():
                    logger.warning("the database does not respond, uploads wait: %s", type(error).__name__)
                # The next poll opens a new connection: this one may never recover.
                connection.close()
                self.reset_watchers()
                stop.wait(DATABASE_RETRY_S)
        self.close()

    @property
    def is_busy(self) -> bool:
        """Whether a scan is running and responding."""
        return any(watcher.scanning and not watcher.is_running for watcher in self.watchers.values())

    def poll(self) -> int:
        """Poll all cameras once; return how many uploads were entered that wait for a worker."""
        if time.monotonic() >= self._next_reload:
            self.reload()
        self.dispatch_events()
        watchers = dict(self.watchers)
        self._probe.run(
            [each.camera for each in watchers.values() if each.has_work], lambda camera: watchers[camera.pk].poll()
        )
        for each in watchers.values():
            self.queue_missing_checks(each)
        entered = sum(self.enter_stable(each) for each in watchers.values())
        if entered:
            self.notify_workers()
        return entered

    def reload(self) -> None:
        """Apply changes of cameras and mounts."""
        self._next_reload = time.monotonic() + RELOAD_S
        self.folders = current_folders()
        known = [camera for camera in uploading_cameras() if camera.pk in self.folders.resolved]
        # A folder that is outside the base path, or leads to another camera's, is not watched.
        inside = [camera for camera in known if self.folders.resolved_folder(camera)]
        self.watchers = {camera.pk: self.camera_watcher_for(camera, self.folders) for camera in inside}
        if self.listener is None or not self.listener.is_valid():
            self.restart_listener()
        is_idle = not any(watcher.scanning or watcher.scan_requested for watcher in self.watchers.values())
        if is_idle and time.monotonic() >= self._next_count:
            self.count_watches()

    def count_watches(self) -> None:
        """Log a warning if the system has too few inotify watches: the other folders report no events, nor an error."""
        self._next_count = time.monotonic() + WATCH_COUNT_INTERVAL_S
        watched_count, folders = watch_count(), sum(watcher.scanner.folder_count for watcher in self.watchers.values())
        if watched_count < folders and self._watch_log.should_log():
            logger.warning(
                "inotify watches %s of %s folders only: raise fs.inotify.max_user_watches. All are scanned",
                watched_count,
                folders,
            )

    def camera_watcher_for(self, camera: Camera, folders: Folders) -> CameraWatcher:
        """The camera's existing watcher, or a new one if its folder changed."""
        place = folders.resolved[camera.pk]
        root, excluded = os.fsencode(place), frozenset(map(os.fsencode, folders.inside(Path(place))))
        before = self.watchers.get(camera.pk)
        if before is None or before.root != root or before.scanner.excluded != excluded:
            return CameraWatcher(camera, Scanner(root, excluded))
        before.camera = camera
        return before

    def restart_listener(self) -> None:
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        root = Path(os.path.realpath(settings.NVR_CAMERA_ROOT))
        if root.is_dir():
            self.listener = InotifyListener(root)
            # It takes a while until all folders are watched.
            self._next_count = time.monotonic() + WATCH_COUNT_INTERVAL_S
            for watcher in self.watchers.values():
                watcher.scan_requested = True  # files may have arrived between two listeners

    def reset_watchers(self) -> None:
        for pk, watcher in self.watchers.items():
            self.watchers[pk] = CameraWatcher(watcher.camera, Scanner(watcher.root, watcher.scanner.excluded))

    def dispatch_events(self) -> None:
        """Pass each changed path to the watcher of the camera that owns the folder."""
        for path in self.listener.drain() if self.listener else ():
            for pk in self.folders.owners_of(os.fsdecode(path)) if self.folders else ():
                if watcher := self.watchers.get(pk):
                    watcher.changed_names.append(path[len(watcher.root) + 1 :])

    def queue_missing_checks(self, watcher: CameraWatcher) -> None:
        """After each scan, queue a batch of missing files to check again, until all have been checked."""
        if not watcher.missing_check_due or watcher.missing:
            return
        watcher.missing_check_due = False
        rows = names_of_missing(watcher.camera, before=watcher.missing_cursor, limit=MISSING_BATCH_SIZE)
        watcher.missing_cursor = rows[-1][0] if len(rows) == MISSING_BATCH_SIZE else None
        watcher.missing.extend(raw for _, raw in rows)

    def enter_stable(self, watcher: CameraWatcher) -> int:
        stable = {}
        while watcher.stable:
            scanned_file = watcher.stable.popleft()
            stable[scanned_file.raw] = scanned_file
        if not stable:
            return 0
        # The worker sets these rows when it is done; entering them now would start a second upload for the same file.
        for raw in names_in_progress(watcher.camera) & stable.keys():
            watcher.debouncer.defer(stable.pop(raw))
        return enter(watcher.camera, stable.values())

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()


def uploading_cameras() -> list[Camera]:
    return list(Camera.objects.filter(enabled=True, ingestion_mode="ftp").order_by("pk"))
