"""The watcher of one camera's folder: files that are still being written, and files that are stable.

Polling does not access the database and can run in its own thread: a hanging disk does not delay other cameras. Each
poll is short, so that a folder with a million files does not delay them either.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from cameras.models import Camera
from media_serving.ingest.names import is_upload
from media_serving.ingest.scanner import ScannedFile, Scanner, stat_file
from media_serving.ingest.watching.debounce import Debouncer, unchanged_for
from media_serving.ingest.watching.inotify import MAX_EVENTS
from nvr.log_throttle import LogThrottle
from nvr.media.files.mounts import has_reliable_folder_times, is_network_or_fuse, mount_of, unavailable_reason
from nvr.media.files.system_folders import is_hidden_folder

logger = logging.getLogger(__name__)

POLL_S = 2.0  # between two scans of a folder without inotify events
UNREPORTED_S = 5.0  # a file that is this old when a scan finds it was not reported by inotify
POLLING_FALLBACK_S = 600.0  # how long a folder is polled after a file was not reported
RETRY_S = 5.0  # until the next poll of a folder that is unavailable
MAX_FULL_SCAN_INTERVAL_S = 600.0
MIN_FULL_SCAN_INTERVAL_S = 10.0
IDLE_FACTOR = 50  # the interval between scans is at least this many times as long as the scan
TIME_BUDGET_S = 0.2  # per poll
BATCH_SIZE = 500  # files per poll
MAX_VANISHED = 10_000
VANISHED_RECHECK_S = 3600.0  # how long NVR checks again for files that vanished before they were stable
LOG_INTERVAL = timedelta(minutes=1)  # per kind of error


@dataclass
class RunningScan:
    """A scan in progress; `took_s` is the time spent on it so far."""

    batches: Iterator[list[ScannedFile]]
    is_full: bool
    took_s: float = 0.0


@dataclass
class CameraWatcher:
    """Watches one camera's folder. `changed_names` are files to check, `stable` files to enter in the ledger."""

    camera: Camera
    scanner: Scanner
    debouncer: Debouncer = field(default_factory=lambda: Debouncer(settings.NVR_UPLOAD_STABLE_TIME))
    changed_names: deque[bytes] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    stable: deque[ScannedFile] = field(default_factory=deque)
    missing: deque[bytes] = field(default_factory=deque)  # names to check again
    missing_cursor: int | None = None  # the ledger's rows down to this primary key have been checked
    missing_check_due: bool = False
    vanished: dict[bytes, float] = field(default_factory=dict)  # by name: until when to check again
    scan_requested: bool = True
    scanning: RunningScan | None = None
    next_scan: float = 0.0  # monotonic seconds, like the others
    next_full_scan: float = 0.0
    is_running: bool = False
    has_been_scanned: bool = False
    reported: set[bytes] = field(default_factory=set)  # by inotify since the last full scan
    reported_before: set[bytes] = field(default_factory=set)  # between the two last full scans
    has_inotify: bool = True  # False for network shares
    polled_until: float = 0.0
    error_log: LogThrottle = field(default_factory=lambda: LogThrottle(LOG_INTERVAL))

    @property
    def root(self) -> bytes:
        return self.scanner.root

    @property
    def has_work(self) -> bool:
        return bool(self.changed_names or self.missing or len(self.debouncer) or self.scanning or self.is_due)

    @property
    def is_due(self) -> bool:
        return self.scan_requested or time.monotonic() >= self.next_scan

    def poll(self) -> None:
        """Check reported, missing and unstable files, and continue or start a scan if it is due."""
        self.is_running = True
        try:
            scanned_files = [*self.files_from_events(), *self.files_found_again(), *self.unstable_files()]
            scanned_files += self.files_from_scan()  # last: files reported by inotify are not new to the scan
            self.stable.extend(s for s in scanned_files if not s.is_regular or self.debouncer.is_stable(s))
        except Exception:
            if self.error_log.should_log():
                logger.exception("folder not polled camera=%s", self.camera.slug)
            self.reset_scanner()  # the next scan finds the lost files again
            self.postpone_scan()
        finally:
            self.is_running = False

    def files_from_events(self) -> Iterator[ScannedFile]:
        while self.changed_names:
            if scanned_file := self.file_at(self.changed_names.popleft()):
                if len(self.reported) < MAX_EVENTS:
                    self.reported.add(scanned_file.raw)
                yield scanned_file

    def file_at(self, raw: bytes) -> ScannedFile | None:
        """The file of that name. If it is a folder, request a scan: inotify does not report a new folder's files."""
        folders = raw.split(b"/")
        if any(map(is_hidden_folder, folders[:-1])) or not is_upload(folders[-1]):
            return None
        scanned_file = stat_file(self.root, raw)
        if scanned_file is None:
            self.scan_requested = True
        return scanned_file

    def unstable_files(self) -> Iterator[ScannedFile]:
        """The files that were not stable at the last poll."""
        for raw in self.debouncer.names():
            if scanned_file := stat_file(self.root, raw):
                yield scanned_file
            else:
                self.debouncer.forget(raw)
                if len(self.vanished) < MAX_VANISHED:
                    self.vanished[raw] = time.monotonic() + VANISHED_RECHECK_S

    def files_found_again(self) -> Iterator[ScannedFile]:
        """The missing files that exist again; checks at most `BATCH_SIZE` names per poll."""
        for _ in range(min(len(self.missing), BATCH_SIZE)):
            raw = self.missing.popleft()
            if scanned_file := stat_file(self.root, raw):
                self.vanished.pop(raw, None)
                yield scanned_file

    def recheck_vanished(self) -> None:
        now = time.monotonic()
        self.vanished = {raw: until for raw, until in self.vanished.items() if until > now}
        self.missing.extend(self.vanished)

    def reset_scanner(self) -> None:
        """Make the next scan return all files."""
        self.scanner = Scanner(self.root, self.scanner.excluded)

    def files_from_scan(self) -> list[ScannedFile]:
        try:
            return self.continue_scan()
        except OSError as error:
            self.reset_scanner()
            self.postpone_scan()
            if self.error_log.should_log():
                logger.warning("folder not scanned camera=%s reason=%s", self.camera.slug, error)
            return []

    def postpone_scan(self) -> None:
        self.scanning, self.scan_requested, self.next_scan = None, False, time.monotonic() + RETRY_S

    def continue_scan(self) -> list[ScannedFile]:
        """Continue the running scan or start one that is due. Raises OSError, also if the volume is unavailable."""
        if self.scanning is None and not self.is_due:
            return []
        started, found = time.monotonic(), list[ScannedFile]()
        scanning = self.scanning = self.scanning or self.start_scan()
        for batch in scanning.batches:
            found += batch
            self.detect_missed_events(batch)
            if len(found) >= BATCH_SIZE or time.monotonic() - started > TIME_BUDGET_S:
                scanning.took_s += time.monotonic() - started
                return found
        self.finish_scan(scanning, time.monotonic())
        return found

    def detect_missed_events(self, new: list[ScannedFile]) -> None:
        """Fall back to polling if a scan finds an older file that inotify did not report: watches are limited."""
        unreported = (each for each in new if each.raw not in self.reported and each.raw not in self.reported_before)
        if self.has_been_scanned and any(unchanged_for(scanned_file, UNREPORTED_S) for scanned_file in unreported):
            self.polled_until = time.monotonic() + POLLING_FALLBACK_S

    def start_scan(self) -> RunningScan:
        if reason := unavailable_reason(Path(os.fsdecode(self.root)), self.camera.remembered_mount):
            raise OSError(reason)
        self.scan_requested = False
        mount = mount_of(Path(os.fsdecode(self.root)))
        self.has_inotify = not (settings.NVR_INGEST_POLLING or is_network_or_fuse(mount.type))
        full = time.monotonic() >= self.next_full_scan
        batches = self.scanner.batches(full=full, trust_mtimes=has_reliable_folder_times(mount.type))
        return RunningScan(batches, full)

    def finish_scan(self, scanning: RunningScan, now: float) -> None:
        self.scanning, self.has_been_scanned, self.missing_check_due = None, True, True
        self.recheck_vanished()
        has_inotify = self.has_inotify and now >= self.polled_until
        interval_s = settings.NVR_INGEST_SCAN_INTERVAL.total_seconds() if has_inotify else POLL_S
        self.next_scan = now + max(interval_s, IDLE_FACTOR * scanning.took_s)
        if scanning.is_full:
            full_interval_s = max(MIN_FULL_SCAN_INTERVAL_S, IDLE_FACTOR * scanning.took_s)
            self.next_full_scan = now + min(MAX_FULL_SCAN_INTERVAL_S, full_interval_s)
            self.reported, self.reported_before = set(), self.reported
