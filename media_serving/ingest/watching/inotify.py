"""inotify events below the camera root: the paths to check at once."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from watchfiles import Change, watch

from nvr.log_throttle import LogThrottle
from nvr.media.files.mounts import mounts
from nvr.media.files.paths import is_inside

logger = logging.getLogger(__name__)

MAX_EVENTS = 100_000
STOP_TIMEOUT_MS = 1000
error_log = LogThrottle(timedelta(hours=1))  # an event for a name that is not UTF-8 stops the listener


class InotifyListener:
    """Collects changed paths below `root` in its own thread. Replace it when `is_valid` returns False."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Bounded: while the watcher hangs, events pile up. Scans find the files of dropped ones.
        self.paths: deque[bytes] = deque(maxlen=MAX_EVENTS)
        self.has_failed = False
        self._identity = root_identity(root)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="inotify", daemon=True)
        self._thread.start()

    def is_valid(self) -> bool:
        """Whether events are still reported: not after a failure, a mount, or if the root is another folder now."""
        return not self.has_failed and root_identity(self.root) == self._identity

    def _listen(self) -> None:
        try:
            for changes in watch(
                self.root,
                watch_filter=is_relevant,
                stop_event=self._stop,
                debounce=200,
                step=50,
                rust_timeout=STOP_TIMEOUT_MS,
                raise_interrupt=False,
                force_polling=False,
                ignore_permission_denied=True,
            ):
                self.paths.extend(os.fsencode(path) for _, path in changes)
        except Exception as error:  # noqa: BLE001 - whatever fails, scans find all files a little later
            if error_log.should_log():
                logger.warning("inotify failed, scanning instead: %s", error)
            self.has_failed = True

    def drain(self) -> set[bytes]:
        drained = set()
        while self.paths:
            drained.add(self.paths.popleft())
        return drained

    def close(self) -> None:
        self._stop.set()


def watch_count() -> int:
    """The number of folders with an inotify watch of this process.

    Beyond fs.inotify.max_user_watches, further folders report neither events nor an error.
    """
    return sum(inotify_lines(link) for link in Path("/proc/self/fd").iterdir() if is_inotify(link))


def is_inotify(link: Path) -> bool:
    with suppress(OSError):
        return "inotify" in os.readlink(link)  # noqa: PTH115 - the link's target is not a file
    return False


def inotify_lines(link: Path) -> int:
    with suppress(OSError):
        return Path("/proc/self/fdinfo", link.name).read_bytes().count(b"\ninotify ")
    return 0


def is_relevant(change: Change, path: str) -> bool:
    return change != Change.deleted


def root_identity(root: Path) -> object:
    """The folder's device and inode, and the mounts that contain it or lie below it; other mounts are irrelevant."""
    try:
        file_stat = root.stat()
    except OSError:
        return None
    near = [mount for mount in mounts() if is_inside(mount.point, root) or is_inside(root, mount.point)]
    return file_stat.st_dev, file_stat.st_ino, near
