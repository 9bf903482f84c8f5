"""Width and height as shown, and duration, of pictures and videos; each file is looked into once, until it changes.

Pictures and MP4s tell at once, from their heads. Other videos take ffprobe a tenth of a second each: a page waits for
them a second in all, and a worker looks into the rest. What cannot be told is remembered too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from django.conf import settings
from django.core.cache import cache

from nvr.api.counters import CACHE_FAULTS
from nvr.errors import NvrError
from nvr.media.boxes import NoBoxes, movie_facts
from nvr.media.images import SIDEWAYS, opened, orientation
from nvr.media.paths import open_regular
from reviewer.kinds import IMAGE, kind_of_bytes
from reviewer.probe_cache import NOTHING, Facts, remember, remembered

BOXED: Final = {b"mp4", b"mov", b"m4v", b"3gp"}
ALL_AT_MOST_S: Final = 30.0
AT_ONCE: Final = 2
TASK: Final = "reviewer.probe"
TASK_LIVES_S: Final = 600

Files = Iterable[tuple[bytes, os.stat_result]]


class Patience:
    """How long all that is asked for together may wait for ffprobe."""

    def __init__(self, *, for_all: bool = False) -> None:
        seconds = ALL_AT_MOST_S if for_all else settings.NVR_REVIEW_PROBE_WAIT.total_seconds()
        self.until = time.monotonic() + seconds

    def left_s(self) -> float:
        return max(0.0, self.until - time.monotonic())


def facts_of(files: Files, patience: Patience) -> dict[bytes, Facts]:
    """What is known of each file by its path (bytes, absolute); what is not known yet is left out."""
    there = dict(files)
    known = remembered(there)
    unknown = {path: there[path] for path in there.keys() - known.keys()}
    quick = {path: found for path in unknown if (found := at_once(path)) is not None}
    slow = probed([path for path in unknown if path not in quick], patience)
    remember({path: unknown[path] for path in (*quick, *slow)}, quick | slow)
    return known | quick | slow


def at_once(path: bytes) -> Facts | None:
    """What the file's head tells; None if that takes ffprobe."""
    if kind_of_bytes(path.rpartition(b"/")[2]) == IMAGE:
        return of_picture(path)
    if path.rpartition(b".")[2].lower() in BOXED:
        return of_movie(path)
    return None


def of_picture(path: bytes) -> Facts:
    try:
        with opened(Path(os.fsdecode(path))) as image:
            width, height = image.size
            return Facts(height, width) if orientation(image) in SIDEWAYS else Facts(width, height)
    except NvrError:
        return NOTHING


def of_movie(path: bytes) -> Facts | None:
    try:
        with open_regular(Path(os.fsdecode(path))) as file:
            found = movie_facts(file, os.fstat(file.fileno()).st_size)
    except NvrError:
        return NOTHING
    except (NoBoxes, OSError):
        return None
    if found.width is None or found.duration_s is None:
        return None
    return Facts(found.width, found.height, round(found.duration_s, 3))


def of_any(path: bytes) -> Facts:
    """What ffprobe tells; nothing of what it cannot read."""
    from nvr.media import ffmpeg

    try:
        found = ffmpeg.probe(Path(os.fsdecode(path)))
    except NvrError:
        return NOTHING
    return Facts(found.width, found.height, None if found.duration is None else round(found.duration, 3))


_pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="probe")


def probed(paths: list[bytes], patience: Patience) -> dict[bytes, Facts]:
    """As many as the patience lasts for; a worker is asked for the others."""
    if not paths or not patience.left_s():
        leave_to_worker(paths)
        return {}
    asked: dict[Future[Facts], bytes] = {_pool.submit(of_any, path): path for path in paths}
    done, late = wait(asked, timeout=patience.left_s())
    for future in late:
        future.cancel()
    leave_to_worker([asked[future] for future in late])
    return {asked[future]: future.result() for future in done}


def leave_to_worker(paths: list[bytes]) -> None:
    """One message for all of them; none for what one has been sent for lately. Without a queue they stay unknown."""
    from reviewer.tasks import probe

    fresh = [quote_from_bytes(path) for path in paths if is_first(path)]
    if fresh:
        with suppress(Exception):  # whatever the broker raises: the page has all that it needs
            probe.delay(fresh)


def is_first(path: bytes) -> bool:
    try:
        return bool(cache.add(f"probe:{hash(path)}", 1, TASK_LIVES_S))
    except CACHE_FAULTS:
        return False


def probe_all(quoted: list[str]) -> None:
    """The worker's part: look into what is still unknown."""
    files = {path: facts for path in map(unquote_to_bytes, quoted) if (facts := looked_at(path))}
    unknown = files.keys() - remembered(files).keys()
    for path in sorted(unknown):
        remember(files, {path: of_any(path)})


def looked_at(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - for thousands of paths in bytes
    except OSError:
        return None
