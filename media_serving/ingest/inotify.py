"""What the kernel tells of changes below the camera root: where to look at once, and no more than that."""

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

MAX_HINTS = 100_000
STOPS_WITHIN_MS = 1000
failed = LogThrottle(timedelta(hours=1))  # a name that is no UTF-8 ends the listening each time it is told of


class Hints:
    """Paths that the kernel told of below `root`, from a thread of its own. Made anew when `are_current` says no."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: deque[bytes] = deque(maxlen=MAX_HINTS)
        self.has_failed = False
        self._ground = ground_of(root)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="hints", daemon=True)
        self._thread.start()

    def are_current(self) -> bool:
        """Whether what lies below the root is still told of: not after a failure, a mount, or in another folder."""
        return not self.has_failed and ground_of(self.root) == self._ground

    def _listen(self) -> None:
        try:
            for changes in watch(
                self.root,
                watch_filter=is_hint,
                stop_event=self._stop,
                debounce=200,
                step=50,
                rust_timeout=STOPS_WITHIN_MS,
                raise_interrupt=False,
                force_polling=False,
                ignore_permission_denied=True,
            ):
                self.paths.extend(os.fsencode(path) for _, path in changes)
        except Exception as error:  # noqa: BLE001 - whatever the system lacks: the scanner finds all of it, a little later
            if failed.should_log():
                logger.warning("changes are not told by the system, scanning instead: %s", error)
            self.has_failed = True

    def take(self) -> set[bytes]:
        taken = set()
        while self.paths:
            taken.add(self.paths.popleft())
        return taken

    def close(self) -> None:
        self._stop.set()


def watches() -> int:
    """Of how many folders the kernel tells this process. When it takes no more (fs.inotify.max_user_watches), nobody
    is told of the others, and nobody of that."""
    return sum(lines_of(link) for link in Path("/proc/self/fd").iterdir() if is_inotify(link))


def is_inotify(link: Path) -> bool:
    with suppress(OSError):
        return "inotify" in os.readlink(link)  # noqa: PTH115 - it names no file
    return False


def lines_of(link: Path) -> int:
    with suppress(OSError):
        return Path("/proc/self/fdinfo", link.name).read_bytes().count(b"\ninotify ")
    return 0


def is_hint(change: Change, path: str) -> bool:
    return change != Change.deleted


def ground_of(root: Path) -> object:
    """The folder that `root` is now, and what is mounted below it or holds it; others' mounts come and go."""
    try:
        facts = root.stat()
    except OSError:
        return None
    near = [mount for mount in mounts() if is_inside(mount.point, root) or is_inside(root, mount.point)]
    return facts.st_dev, facts.st_ino, near
