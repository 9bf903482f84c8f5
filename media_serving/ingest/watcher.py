"""Seeing what cameras upload: the kernel tells at once, a scanner finds what it did not tell.

What was there before the start, what was moved in, what an overflow lost and what a network share never tells is found
by the scanner. Both only say where to look: whether a file is new says the ledger, whether it is whole its own times.
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

from cameras.concurrent_probe import ConcurrentProbe
from cameras.folder_ownership import Folders, current_folders
from cameras.models import Camera
from media_serving.ingest.camera_watcher import TROUBLE_SAID, Watched
from media_serving.ingest.inotify import Hints, watches
from media_serving.ingest.ledger import enter, in_hand
from media_serving.ingest.missing import names_of_missing
from media_serving.ingest.scanner import Scanner
from nvr.log_throttle import LogThrottle

logger = logging.getLogger(__name__)

LOOK_S = 0.25
BUSY_S = 0.01  # instead, while there is more than one look can see
RELOAD_S = 2.0  # until a new camera is watched
COUNT_S = 30.0  # between two counts of what the kernel watches: a tenth of a second for 10 000 folders
DATABASE_AWAY_S = 2.0
MISSING_BATCH_SIZE = 500
TIMEOUT_S = 1.0  # with a folder that does not answer; then its look goes on while the others' do


class Watcher:
    """All cameras that upload into a folder. `wake` is called when there is work for the workers."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.watched: dict[int, Watched] = {}
        self.folders: Folders | None = None
        self.hints: Hints | None = None
        self._next_reload = 0.0
        self._probe: ConcurrentProbe[None] = ConcurrentProbe(
            late=lambda camera: None, timeout_s=TIMEOUT_S, name="watcher"
        )
        self._next_count = 0.0
        self._database_away = LogThrottle(TROUBLE_SAID)
        self._overlooked = LogThrottle(timedelta(hours=1))

    def run(self, stop: threading.Event, beat: Callable[[], None] = lambda: None) -> None:
        self.wake()  # what an earlier run left
        while not stop.wait(BUSY_S if self.is_busy else LOOK_S):
            try:
                beat()
                self.poll()
            except (DatabaseError, InterfaceError) as error:  # nothing is lost: what is not entered is found again
                if self._database_away.should_log():
                    logger.warning("the database does not answer, uploads wait: %s", type(error).__name__)
                connection.close()
                self.forget_everything()
                stop.wait(DATABASE_AWAY_S)
        self.close()

    @property
    def is_busy(self) -> bool:
        """Whether a scanner is under way that answers."""
        return any(watched.scanning and not watched.is_looking for watched in self.watched.values())

    def poll(self) -> int:
        """Everything once; how many uploads were entered that wait for a worker."""
        if time.monotonic() >= self._next_reload:
            self.reload()
        self.pass_hints_on()
        watched = dict(self.watched)
        self._probe.run(
            [each.camera for each in watched.values() if each.has_work], lambda camera: watched[camera.pk].poll()
        )
        for each in watched.values():
            self.look_for_missing(each)
        entered = sum(self.enter_settled(each) for each in watched.values())
        if entered:
            self.wake()
        return entered

    def reload(self) -> None:
        """Follow what was changed about cameras, and where disks were mounted."""
        self._next_reload = time.monotonic() + RELOAD_S
        self.folders = current_folders()
        known = [camera for camera in uploading_cameras() if camera.pk in self.folders.resolved]
        inside = [camera for camera in known if self.folders.resolved_folder(camera)]
        self.watched = {camera.pk: self.kept(camera, self.folders) for camera in inside}
        if self.hints is None or not self.hints.are_current():
            self.listen_anew()
        is_swept = not any(watched.scanning or watched.wants_sweep for watched in self.watched.values())
        if is_swept and time.monotonic() >= self._next_count:
            self.count_watches()

    def count_watches(self) -> None:
        """Say when the system has no watches left for some folders: of those nobody is told, and nobody of that."""
        self._next_count = time.monotonic() + COUNT_S
        told_of, folders = watches(), sum(watched.scanner.folder_count for watched in self.watched.values())
        if told_of < folders and self._overlooked.should_log():
            logger.warning(
                "inotify watches %s of %s folders only: raise fs.inotify.max_user_watches. All are scanned",
                told_of,
                folders,
            )

    def kept(self, camera: Camera, folders: Folders) -> Watched:
        """What is known of its folder, unless that is another now."""
        place = folders.resolved[camera.pk]
        root, excluded = os.fsencode(place), frozenset(map(os.fsencode, folders.inside(Path(place))))
        before = self.watched.get(camera.pk)
        if before is None or before.root != root or before.scanner.excluded != excluded:
            return Watched(camera, Scanner(root, excluded))
        before.camera = camera
        return before

    def listen_anew(self) -> None:
        if self.hints is not None:
            self.hints.close()
            self.hints = None
        root = Path(os.path.realpath(settings.NVR_CAMERA_ROOT))
        if root.is_dir():
            self.hints = Hints(root)
            self._next_count = time.monotonic() + COUNT_S  # it takes a while until all folders are watched
            for watched in self.watched.values():
                watched.wants_sweep = True  # what came between two listenings

    def forget_everything(self) -> None:
        for pk, watched in self.watched.items():
            self.watched[pk] = Watched(watched.camera, Scanner(watched.root, watched.scanner.excluded))

    def pass_hints_on(self) -> None:
        """Each to the camera whose folder it tells of."""
        for path in self.hints.take() if self.hints else ():
            for pk in self.folders.owners_of(os.fsdecode(path)) if self.folders else ():
                if watched := self.watched.get(pk):
                    watched.hinted.append(path[len(watched.root) + 1 :])

    def look_for_missing(self, watched: Watched) -> None:
        """After each scanner for some of what was not there when it was to be read, until all have had their turn."""
        if not watched.wants_missing or watched.missing:
            return
        watched.wants_missing = False
        rows = names_of_missing(watched.camera, before=watched.looked_for, limit=MISSING_BATCH_SIZE)
        watched.looked_for = rows[-1][0] if len(rows) == MISSING_BATCH_SIZE else None
        watched.missing.extend(raw for _, raw in rows)

    def enter_settled(self, watched: Watched) -> int:
        settled = {}
        while watched.settled:
            sighting = watched.settled.popleft()
            settled[sighting.raw] = sighting
        if not settled:
            return 0
        for raw in in_hand(watched.camera) & settled.keys():
            watched.settling.hold(settled.pop(raw))
        return enter(watched.camera, settled.values())

    def close(self) -> None:
        if self.hints is not None:
            self.hints.close()


def uploading_cameras() -> list[Camera]:
    return list(Camera.objects.filter(enabled=True, ingestion_mode="ftp").order_by("pk"))
