"""Width and height as shown, and duration, of pictures and videos; each file is looked into once, until it changes.

Pictures and MP4s tell at once, from their heads. Other videos take ffprobe a tenth of a second each: a page waits for
them a second in all, and a worker looks into the rest. That a file tells nothing is remembered too; what kept us from
asking it (a storage that does not answer, ffprobe that is missing or too slow) is not, so that it is tried again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from celery import current_app
from django.conf import settings
from django.core.cache import cache

from nvr.api.counters import CACHE_FAULTS
from nvr.errors import NvrError
from nvr.media.ffmpeg.mp4_metadata import UnreadableMp4, read_movie_info
from nvr.media.files.paths import open_regular, resolve_with_mode, translate_os_errors
from nvr.media.images.decoder import pictures
from reviewer.catalog.media_types import IMAGE, media_type_of_bytes
from reviewer.media_info.cache import NOTHING, Facts, remember, remembered

BOXED: Final = {b"mp4", b"mov", b"m4v", b"3gp"}
ALL_AT_MOST_S: Final = 30.0
MAX_CONCURRENT: Final = 2
TASK: Final = "reviewer.probe"
TASK_LIVES_S: Final = 600
ENDS_BYTES: Final = 65_536

Files = Iterable[tuple[bytes, os.stat_result]]


class Deadline:
    """How long all that is asked for together may wait for ffprobe."""

    def __init__(self, *, for_all: bool = False) -> None:
        seconds = ALL_AT_MOST_S if for_all else settings.NVR_REVIEW_PROBE_WAIT.total_seconds()
        self.until = time.monotonic() + seconds

    def left_s(self) -> float:
        return max(0.0, self.until - time.monotonic())


def facts_of(files: Files, deadline: Deadline, *, root: Path) -> dict[bytes, Facts]:
    """What is known of each file by its path (bytes, absolute); what is not known yet is left out.

    Nothing is told of a file that does not really lie below `root` (which is without links).
    """
    there = dict(files)
    known = remembered(there)
    quick, waiting = from_heads(there.keys() - known.keys(), root)
    slow = probed(waiting, root, deadline)
    remember({path: there[path] for path in (*quick, *slow)}, quick | slow)
    return known | quick | slow


def from_heads(paths: Iterable[bytes], root: Path) -> tuple[dict[bytes, Facts], list[bytes]]:
    """What their heads tell, and those that take ffprobe; one that cannot be opened now is in neither."""
    quick: dict[bytes, Facts] = {}
    others: list[bytes] = []
    for path in paths:
        with suppress(NvrError):
            found = at_once(path, root)
            if found is None:
                others.append(path)
            else:
                quick[path] = found
    return quick, others


def at_once(path: bytes, root: Path) -> Facts | None:
    """What the file's head tells; None if that takes ffprobe. Raises `NvrError` for what is not the file's fault."""
    if media_type_of_bytes(path.rpartition(b"/")[2]) == IMAGE:
        return of_picture(path, root)
    if path.rpartition(b".")[2].lower() in BOXED:
        return of_movie(path, root)
    return None


def of_picture(path: bytes, root: Path) -> Facts:
    try:
        with open_regular(place_at(path), root=root) as file:
            found = pictures.read_header(file)
            return Facts(found.width, found.height)
    except NvrError as error:
        return nothing_for(error)


def of_movie(path: bytes, root: Path) -> Facts | None:
    try:
        with open_regular(place_at(path), root=root) as file, translate_os_errors():
            found = read_movie_info(file, os.fstat(file.fileno()).st_size)
    except UnreadableMp4:
        return None
    if found.width is None or found.duration_s is None:
        return None
    return Facts(found.width, found.height, round(found.duration_s, 3))


def of_any(path: bytes, root: Path) -> Facts:
    """What ffprobe tells; nothing of what it cannot read. Raises `NvrError` for what is not the file's fault."""
    from nvr.media.ffmpeg import operations as ffmpeg

    place = place_at(path)
    try:
        with translate_os_errors():
            found = ffmpeg.probe(place, root=root)
    except NvrError as error:
        nothing = nothing_for(error)
        check_readable(place, root)
        return nothing
    return Facts(found.width, found.height, None if found.duration is None else round(found.duration, 3))


def place_at(path: bytes) -> Path:
    """Where a listed link leads; any other file lies where it is listed."""
    with translate_os_errors():
        return Path(resolve_with_mode(os.fsdecode(path))[0])


def nothing_for(error: NvrError) -> Facts:
    """What a file tells that is no picture or video; raises `error` when it says nothing of the file itself."""
    if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        raise error
    return NOTHING


def check_readable(place: Path, root: Path) -> None:
    """Raises `StorageFault` if an end of it cannot be read: ffprobe says the same of that and of a file cut short."""
    with open_regular(place, root=root) as file, translate_os_errors():
        file.read(ENDS_BYTES)
        file.seek(max(0, os.fstat(file.fileno()).st_size - ENDS_BYTES))
        file.read(ENDS_BYTES)


_pool = ThreadPoolExecutor(max_workers=MAX_CONCURRENT, thread_name_prefix="probe")


def probed(paths: list[bytes], root: Path, deadline: Deadline) -> dict[bytes, Facts]:
    """As many as the deadline lasts for; a worker is asked for the others."""
    if not paths or not deadline.left_s():
        leave_to_worker(paths, root)
        return {}
    asked: dict[Future[Facts], bytes] = {_pool.submit(of_any, path, root): path for path in paths}
    done, late = wait(asked, timeout=deadline.left_s())
    for future in late:
        future.cancel()
    leave_to_worker([asked[future] for future in late], root)
    found: dict[bytes, Facts] = {}
    for future in done:
        with suppress(NvrError):
            found[asked[future]] = future.result()
    return found


def leave_to_worker(paths: list[bytes], root: Path) -> None:
    """One message for all of them; none for what one has been sent for lately. Without a queue they stay unknown."""
    fresh = [quote_from_bytes(path) for path in paths if is_first(path)]
    if fresh:
        with suppress(Exception):  # whatever the broker raises: the page has all that it needs
            current_app.send_task(TASK, args=[fresh, str(root)])


def is_first(path: bytes) -> bool:
    """Of all processes: `hash` is another in each."""
    try:
        return bool(cache.add(f"probe:{hashlib.blake2b(path, digest_size=16).hexdigest()}", 1, TASK_LIVES_S))
    except CACHE_FAULTS:
        return False


def probe_all(quoted: list[str], root: Path) -> None:
    """The worker's part: look into what is still unknown."""
    files = {path: facts for path in map(unquote_to_bytes, quoted) if (facts := stat_or_none(path))}
    unknown = files.keys() - remembered(files).keys()
    for path in sorted(unknown):
        with suppress(NvrError):
            remember(files, {path: of_any(path, root)})


def stat_or_none(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - for thousands of paths in bytes
    except OSError:
        return None
