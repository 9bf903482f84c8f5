"""Seeing what cameras upload: the kernel tells at once, a sweep finds what it did not tell.

What was there before the start, what was moved in, what an overflow lost and what a network share never tells is found
by the sweep. Both only say where to look: whether a file is new says the ledger, whether it is whole its own times.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from watchfiles import Change, watch

from cameras.models import Camera
from cameras.ownership import Folders, current_folders
from media_serving.ingest.ledger import enter
from media_serving.ingest.names import is_upload
from media_serving.ingest.settling import Settling
from media_serving.ingest.sweep import Sighting, Sweep, seen
from nvr.media.mounts import MOUNTINFO, absence, is_network_or_fuse, mount_of

logger = logging.getLogger(__name__)

LOOK_S = 0.25
RELOAD_S = 2.0  # until a new camera is watched
POLL_S = 2.0  # between two sweeps where nobody tells of changes
EVERYTHING_S = 600.0  # between two sweeps that look at every file
MOST_HINTS = 100_000
TROUBLE_SAID_S = 60.0


class Hints:
    """Paths that the kernel told of, from a thread of its own; a new one is begun when the mounts change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: deque[bytes] = deque(maxlen=MOST_HINTS)
        self.has_failed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="hints", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for changes in watch(
                self.root,
                watch_filter=is_hint,
                stop_event=self._stop,
                debounce=200,
                step=50,
                rust_timeout=1000,
                raise_interrupt=False,
                force_polling=False,
                ignore_permission_denied=True,
            ):
                self.paths.extend(os.fsencode(path) for _, path in changes)
        except Exception as error:  # noqa: BLE001 - whatever the system lacks: the sweep finds all of it, a little later
            logger.warning("changes are not told by the system, sweeping instead: %s", error)
            self.has_failed = True

    def take(self) -> set[bytes]:
        taken = set()
        while self.paths:
            taken.add(self.paths.popleft())
        return taken

    def close(self) -> None:
        self._stop.set()


def is_hint(change: Change, path: str) -> bool:
    return change != Change.deleted


@dataclass
class Watched:
    """One camera's folder, what is known of it, and what has not settled yet."""

    camera: Camera
    sweep: Sweep
    settling: Settling = field(default_factory=lambda: Settling(settings.NVR_SETTLE_TIME))
    swept_at: float = 0.0
    looked_at_all: float = 0.0
    said_at: float = -TROUBLE_SAID_S

    @property
    def root(self) -> bytes:
        return self.sweep.root

    @property
    def interval_s(self) -> float:
        return POLL_S if needs_polling(self.root) else settings.NVR_INGEST_SWEEP.total_seconds()

    def found_by_sweep(self) -> list[Sighting]:
        """Raises OSError."""
        now = time.monotonic()
        everything = now - self.looked_at_all > EVERYTHING_S
        sightings = list(self.sweep.look(everything=everything))
        self.swept_at = time.monotonic()
        if everything:
            self.looked_at_all = now
        return sightings

    def found_again(self) -> list[Sighting]:
        """What had not settled when it was last looked at."""
        found = {raw: seen(self.root, raw) for raw in self.settling.names()}
        for raw, sighting in found.items():
            if sighting is None:
                self.settling.forget(raw)
        return [sighting for sighting in found.values() if sighting is not None]


def needs_polling(root: bytes) -> bool:
    try:
        return settings.NVR_INGEST_POLLING or is_network_or_fuse(mount_of(Path(os.fsdecode(root))).type)
    except OSError:
        return True


class Watcher:
    """All cameras that upload into a folder. `wake` is called when there is work for the workers."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.watched: dict[int, Watched] = {}
        self.folders: Folders | None = None
        self.hints: Hints | None = None
        self._mounts = b""
        self._reloaded_at = 0.0

    def run(self, stop: threading.Event, beat: Callable[[], None] = lambda: None) -> None:
        self.wake()  # what an earlier run left
        while not stop.wait(LOOK_S):
            try:
                beat()
                self.look()
            except DatabaseError as error:  # nothing is lost: what is not entered is found again
                logger.warning("the database does not answer, uploads wait: %s", type(error).__name__)
                connection.close()
                self.forget_everything()
                stop.wait(POLL_S)
        self.close()

    def look(self) -> int:
        """Everything once; how many uploads were entered that wait for a worker."""
        if time.monotonic() - self._reloaded_at > RELOAD_S:
            self.reload()
        hinted = self.hinted()
        entered = sum(self.look_at(watched, hinted.get(pk, [])) for pk, watched in self.watched.items())
        if entered:
            self.wake()
        return entered

    def reload(self) -> None:
        """Follow what was changed about cameras, and where disks were mounted."""
        self._reloaded_at = time.monotonic()
        self.folders = current_folders()
        known = [camera for camera in uploading_cameras() if camera.pk in self.folders.resolved]
        inside = [camera for camera in known if self.folders.place_of(camera)]
        self.watched = {camera.pk: self.kept(camera, self.folders) for camera in inside}
        mounts = MOUNTINFO.read_bytes()
        if self.hints is None or self.hints.has_failed or mounts != self._mounts:
            self._mounts = mounts
            self.listen_anew()

    def kept(self, camera: Camera, folders: Folders) -> Watched:
        """What is known of its folder, unless that is another now."""
        place = folders.resolved[camera.pk]
        root, excluded = os.fsencode(place), frozenset(map(os.fsencode, folders.inside(Path(place))))
        before = self.watched.get(camera.pk)
        if before is None or before.root != root or before.sweep.excluded != excluded:
            return Watched(camera, Sweep(root, excluded))
        before.camera = camera
        return before

    def listen_anew(self) -> None:
        if self.hints is not None:
            self.hints.close()
            self.hints = None
        root = Path(os.path.realpath(settings.NVR_CAMERA_ROOT))
        if root.is_dir():
            self.hints = Hints(root)
            self.sweep_soon()  # what came between two listenings

    def sweep_soon(self) -> None:
        for watched in self.watched.values():
            watched.swept_at = 0.0

    def forget_everything(self) -> None:
        for watched in self.watched.values():
            watched.sweep = Sweep(watched.root, watched.sweep.excluded)
            watched.swept_at = 0.0

    def hinted(self) -> dict[int, list[bytes]]:
        """Names below their camera's folder, by camera."""
        found: dict[int, list[bytes]] = {}
        for path in self.hints.take() if self.hints else ():
            for pk in self.folders.owners_of(os.fsdecode(path)) if self.folders else ():
                if pk in self.watched:
                    found.setdefault(pk, []).append(path[len(self.watched[pk].root) + 1 :])
        return found

    def look_at(self, watched: Watched, hinted: list[bytes]) -> int:
        sightings = [s for raw in hinted if (s := self.sighting_of(watched, raw))]
        sightings += watched.found_again()
        if time.monotonic() - watched.swept_at > watched.interval_s:
            sightings += self.swept(watched)
        settled = {s.raw: s for s in sightings if not s.is_regular or watched.settling.has_settled(s)}
        return enter(watched.camera, settled.values()) if settled else 0

    def sighting_of(self, watched: Watched, raw: bytes) -> Sighting | None:
        """A file; of a folder that came as a whole nothing is told but itself: it is swept at once."""
        folders = raw.split(b"/")
        if any(name.startswith(b".") for name in folders[:-1]) or not is_upload(folders[-1]):
            return None
        sighting = seen(watched.root, raw)
        if sighting is None:
            watched.swept_at = 0.0
        return sighting

    def swept(self, watched: Watched) -> list[Sighting]:
        try:
            check_there(watched)
            return watched.found_by_sweep()
        except OSError as error:
            watched.swept_at = time.monotonic()
            if time.monotonic() - watched.said_at > TROUBLE_SAID_S:
                watched.said_at = time.monotonic()
                logger.warning("folder not swept camera=%s reason=%s", watched.camera.slug, error)
            return []

    def close(self) -> None:
        if self.hints is not None:
            self.hints.close()


def check_there(watched: Watched) -> None:
    """Raises OSError while the folder, or its volume, is away."""
    if reason := absence(Path(os.fsdecode(watched.root)), watched.camera.remembered_mount):
        raise OSError(reason)


def uploading_cameras() -> list[Camera]:
    return list(Camera.objects.filter(enabled=True, ingestion_mode="ftp").order_by("pk"))
