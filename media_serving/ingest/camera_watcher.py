"""One camera's folder as the watcher knows it: what is on its way there, and what has settled.

Looking at it never asks the database, so that it can be done in a thread of its own: a disk that hangs holds up no
other camera. A look is short, so that a folder with a million files leaves the others their turn as well.
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
from media_serving.ingest.debounce import Settling, has_been_still
from media_serving.ingest.inotify import MAX_HINTS
from media_serving.ingest.names import is_upload
from media_serving.ingest.scanner import Scanner, Sighting, seen
from nvr.log_throttle import LogThrottle
from nvr.media.files.mounts import has_reliable_folder_times, is_network_or_fuse, mount_of, unavailable_reason
from nvr.media.files.system_folders import is_hidden_folder

logger = logging.getLogger(__name__)

POLL_S = 2.0  # between two scans where nobody tells of changes
UNTOLD_S = 5.0  # a file that the kernel tells of is seen sooner
POLLED_S = 600.0  # how long a folder is polled in which one was not
AGAIN_S = 5.0  # until the next look at a folder that is away
EVERYTHING_S = 600.0  # at most, between two scans that look at every file
OFTEN_S = 10.0  # at least; in between, this many times as long as such a scanner takes:
SHARE = 50
TIME_BUDGET_S = 0.2  # of one look
BATCH_SIZE = 500  # sightings of one look
MAX_VANISHED = 10_000
LOOKED_FOR_S = 3600.0  # what vanished before it had settled
TROUBLE_SAID = timedelta(minutes=1)  # of each trouble


@dataclass
class Sweeping:
    """A scanner under way; `took_s` is the time spent on it so far."""

    parts: Iterator[list[Sighting]]
    is_of_everything: bool
    took_s: float = 0.0


@dataclass
class Watched:
    """`hinted` are names to be looked at, `settled` is what is to be entered in the ledger."""

    camera: Camera
    scanner: Scanner
    settling: Settling = field(default_factory=lambda: Settling(settings.NVR_UPLOAD_STABLE_TIME))
    hinted: deque[bytes] = field(default_factory=lambda: deque(maxlen=MAX_HINTS))
    settled: deque[Sighting] = field(default_factory=deque)
    missing: deque[bytes] = field(default_factory=deque)  # names to be looked for again
    looked_for: int | None = None  # the ledger's rows down to this one have been looked for
    wants_missing: bool = False
    vanished: dict[bytes, float] = field(default_factory=dict)  # before they had settled, and until when looked for
    wants_sweep: bool = True
    scanning: Sweeping | None = None
    next_sweep: float = 0.0  # monotonic, as all others
    next_of_everything: float = 0.0
    is_looking: bool = False
    has_been_scanned: bool = False
    told: set[bytes] = field(default_factory=set)  # since the last scanner that looked at every file, by the kernel
    told_before: set[bytes] = field(default_factory=set)  # and since the one before it
    is_told_of: bool = True  # by the kernel; a network share is not
    polled_until: float = 0.0
    trouble: LogThrottle = field(default_factory=lambda: LogThrottle(TROUBLE_SAID))

    @property
    def root(self) -> bytes:
        return self.scanner.root

    @property
    def has_work(self) -> bool:
        return bool(self.hinted or self.missing or len(self.settling) or self.scanning or self.is_due)

    @property
    def is_due(self) -> bool:
        return self.wants_sweep or time.monotonic() >= self.next_sweep

    def poll(self) -> None:
        """Look at what was hinted at, at what had not settled, and at the next part of a scanner if it is time."""
        self.is_looking = True
        try:
            sightings = [*self.found_by_hints(), *self.found_missing(), *self.found_again()]
            sightings += self.found_by_sweep()  # in this order: what the kernel told of is no news to the scanner
            self.settled.extend(s for s in sightings if not s.is_regular or self.settling.has_settled(s))
        except Exception:
            if self.trouble.should_log():
                logger.exception("folder not looked at camera=%s", self.camera.slug)
            self.forget_folder()  # what was found and is lost now is found again
            self.put_off()
        finally:
            self.is_looking = False

    def found_by_hints(self) -> Iterator[Sighting]:
        while self.hinted:
            if sighting := self.sighting_of(self.hinted.popleft()):
                if len(self.told) < MAX_HINTS:
                    self.told.add(sighting.raw)
                yield sighting

    def sighting_of(self, raw: bytes) -> Sighting | None:
        """A file; of a folder that came as a whole nothing is told but itself: it is scanned at once."""
        folders = raw.split(b"/")
        if any(map(is_hidden_folder, folders[:-1])) or not is_upload(folders[-1]):
            return None
        sighting = seen(self.root, raw)
        if sighting is None:
            self.wants_sweep = True
        return sighting

    def found_again(self) -> Iterator[Sighting]:
        """What had not settled when it was last looked at."""
        for raw in self.settling.names():
            if sighting := seen(self.root, raw):
                yield sighting
            else:
                self.settling.forget(raw)
                if len(self.vanished) < MAX_VANISHED:
                    self.vanished[raw] = time.monotonic() + LOOKED_FOR_S

    def found_missing(self) -> Iterator[Sighting]:
        """What was gone, or seemed so, and is there again; at most as much as one look has time for."""
        for _ in range(min(len(self.missing), BATCH_SIZE)):
            raw = self.missing.popleft()
            if sighting := seen(self.root, raw):
                self.vanished.pop(raw, None)
                yield sighting

    def look_for_vanished(self) -> None:
        now = time.monotonic()
        self.vanished = {raw: until for raw, until in self.vanished.items() if until > now}
        self.missing.extend(self.vanished)

    def forget_folder(self) -> None:
        """Have the next scanner give everything that is there."""
        self.scanner = Scanner(self.root, self.scanner.excluded)

    def found_by_sweep(self) -> list[Sighting]:
        try:
            return self.next_part()
        except OSError as error:
            self.forget_folder()
            self.put_off()
            if self.trouble.should_log():
                logger.warning("folder not scanned camera=%s reason=%s", self.camera.slug, error)
            return []

    def put_off(self) -> None:
        self.scanning, self.wants_sweep, self.next_sweep = None, False, time.monotonic() + AGAIN_S

    def next_part(self) -> list[Sighting]:
        """Of the scanner under way, or of one that is due. Raises OSError, also while the volume is away."""
        if self.scanning is None and not self.is_due:
            return []
        started, found = time.monotonic(), list[Sighting]()
        scanning = self.scanning = self.scanning or self.begun()
        for part in scanning.parts:
            found += part
            self.note_untold(part)
            if len(found) >= BATCH_SIZE or time.monotonic() - started > TIME_BUDGET_S:
                scanning.took_s += time.monotonic() - started
                return found
        self.end(scanning, time.monotonic())
        return found

    def note_untold(self, new: list[Sighting]) -> None:
        """A file that has been there for a while and is new to a scan was not reported: watches are limited."""
        untold = (each for each in new if each.raw not in self.told and each.raw not in self.told_before)
        if self.has_been_scanned and any(has_been_still(sighting, UNTOLD_S) for sighting in untold):
            self.polled_until = time.monotonic() + POLLED_S

    def begun(self) -> Sweeping:
        if reason := unavailable_reason(Path(os.fsdecode(self.root)), self.camera.remembered_mount):
            raise OSError(reason)
        self.wants_sweep = False
        mount = mount_of(Path(os.fsdecode(self.root)))
        self.is_told_of = not (settings.NVR_INGEST_POLLING or is_network_or_fuse(mount.type))
        everything = time.monotonic() >= self.next_of_everything
        parts = self.scanner.parts(everything=everything, trusts_times=has_reliable_folder_times(mount.type))
        return Sweeping(parts, everything)

    def end(self, scanning: Sweeping, now: float) -> None:
        self.scanning, self.has_been_scanned, self.wants_missing = None, True, True
        self.look_for_vanished()
        is_told_of = self.is_told_of and now >= self.polled_until
        interval_s = settings.NVR_INGEST_SCAN_INTERVAL.total_seconds() if is_told_of else POLL_S
        self.next_sweep = now + max(interval_s, SHARE * scanning.took_s)
        if scanning.is_of_everything:
            self.next_of_everything = now + min(EVERYTHING_S, max(OFTEN_S, SHARE * scanning.took_s))
            self.told, self.told_before = set(), self.told
