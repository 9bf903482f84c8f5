"""Probes the dimensions and duration of pictures and videos. Each file is probed once, until it changes.

Pictures and MP4 files have them in their header. For other videos ffprobe takes a tenth of a second each: a page waits
for at most a second in total, and a worker probes the rest. A file without readable information is cached as unknown.
Failures that are not the file's fault (the storage does not respond, ffprobe is missing or too slow) are retried.
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
from reviewer.media_info import cache as info_cache
from reviewer.media_info.cache import UNKNOWN, MediaInfo

MP4_SUFFIXES: Final = {b"mp4", b"mov", b"m4v", b"3gp"}
WAIT_FOR_ALL_S: Final = 30.0
MAX_CONCURRENT: Final = 2  # ffprobe processes of this process
TASK: Final = "reviewer.probe"
RESEND_AFTER_S: Final = 600
ENDS_BYTES: Final = 65_536

Files = Iterable[tuple[bytes, os.stat_result]]

_pool = ThreadPoolExecutor(max_workers=MAX_CONCURRENT, thread_name_prefix="probe")


class Deadline:
    """Limits how long a request waits for ffprobe in total."""

    def __init__(self, *, for_all: bool = False) -> None:
        seconds = WAIT_FOR_ALL_S if for_all else settings.NVR_REVIEW_PROBE_WAIT.total_seconds()
        self.until = time.monotonic() + seconds

    def left_s(self) -> float:
        return max(0.0, self.until - time.monotonic())


def media_info_of(files: Files, deadline: Deadline, *, root: Path) -> dict[bytes, MediaInfo]:
    """Return what is known of each file by its absolute path. Files that could not be probed in time are left out.

    Files outside of `root`, which has no links, are not probed.
    """
    stats = dict(files)
    cached = info_cache.load(stats)
    from_headers, others = read_headers(stats.keys() - cached.keys(), root)
    probed = probe_until(deadline, others, root)
    info_cache.save(stats, from_headers | probed)
    return cached | from_headers | probed


def read_headers(paths: Iterable[bytes], root: Path) -> tuple[dict[bytes, MediaInfo], list[bytes]]:
    """Return what the headers contain, and the files that require ffprobe. Unreadable files are in neither."""
    infos: dict[bytes, MediaInfo] = {}
    others: list[bytes] = []
    for path in paths:
        with suppress(NvrError):
            info = header_info(path, root)
            if info is None:
                others.append(path)
            else:
                infos[path] = info
    return infos, others


def header_info(path: bytes, root: Path) -> MediaInfo | None:
    """Return what the file's header contains, or None if that requires ffprobe. Raises as `image_info`."""
    if media_type_of_bytes(path.rpartition(b"/")[2]) == IMAGE:
        return image_info(path, root)
    if path.rpartition(b".")[2].lower() in MP4_SUFFIXES:
        return mp4_info(path, root)
    return None


def image_info(path: bytes, root: Path) -> MediaInfo:
    """Raises `NvrError` for errors that are not the file's fault."""
    try:
        with open_regular(resolve_file(path), root=root) as file:
            header = pictures.read_header(file)
            return MediaInfo(header.width, header.height)
    except NvrError as error:
        if not is_file_error(error):
            raise
        return UNKNOWN


def mp4_info(path: bytes, root: Path) -> MediaInfo | None:
    try:
        with open_regular(resolve_file(path), root=root) as file, translate_os_errors():
            movie = read_movie_info(file, os.fstat(file.fileno()).st_size)
    except UnreadableMp4:
        return None
    if movie.width is None or movie.duration_s is None:
        return None
    return MediaInfo(movie.width, movie.height, round(movie.duration_s, 3))


def ffprobe_info(path: bytes, root: Path) -> MediaInfo:
    """Raises `NvrError` for errors that are not the file's fault."""
    from nvr.media.ffmpeg import operations as ffmpeg  # imported only when needed: most pages need no ffprobe

    file = resolve_file(path)
    try:
        with translate_os_errors():
            probe = ffmpeg.probe(file, root=root)
    except NvrError as error:
        if not is_file_error(error):
            raise
        # ffprobe reports the same error for a truncated file and for one that the storage fails to read.
        check_readable(file, root)
        return UNKNOWN
    return MediaInfo(probe.width, probe.height, None if probe.duration is None else round(probe.duration, 3))


def resolve_file(path: bytes) -> Path:
    with translate_os_errors():
        return Path(resolve_with_mode(os.fsdecode(path))[0])


def is_file_error(error: NvrError) -> bool:
    """Return whether the file itself is the cause, so that probing it again is pointless."""
    return error.status == HTTPStatus.UNPROCESSABLE_ENTITY


def check_readable(path: Path, root: Path) -> None:
    """Raises `StorageFault` if the beginning or the end of the file cannot be read."""
    with open_regular(path, root=root) as file, translate_os_errors():
        file.read(ENDS_BYTES)
        file.seek(max(0, os.fstat(file.fileno()).st_size - ENDS_BYTES))
        file.read(ENDS_BYTES)


def probe_until(deadline: Deadline, paths: list[bytes], root: Path) -> dict[bytes, MediaInfo]:
    """Probe as many files as possible before the deadline. A worker probes the others."""
    if not paths or not deadline.left_s():
        send_to_worker(paths, root)
        return {}
    futures: dict[Future[MediaInfo], bytes] = {_pool.submit(ffprobe_info, path, root): path for path in paths}
    done, late = wait(futures, timeout=deadline.left_s())
    for future in late:
        future.cancel()  # has no effect on the running ones: their results are dropped
    send_to_worker([futures[future] for future in late], root)
    infos: dict[bytes, MediaInfo] = {}
    for future in done:
        with suppress(NvrError):
            infos[futures[future]] = future.result()
    return infos


def send_to_worker(paths: list[bytes], root: Path) -> None:
    """Send one task for all files, except those that were sent recently. Without a broker they stay unknown."""
    unsent = [quote_from_bytes(path) for path in paths if mark_sent(path)]
    if unsent:
        with suppress(Exception):  # whatever the broker raises: the page works without this information
            current_app.send_task(TASK, args=[unsent, str(root)])


def mark_sent(path: bytes) -> bool:
    """Return whether no process has sent the file recently, and mark it as sent."""
    try:
        # A digest instead of `hash`, which differs between processes.
        return bool(cache.add(f"probe:{hashlib.blake2b(path, digest_size=16).hexdigest()}", 1, RESEND_AFTER_S))
    except CACHE_FAULTS:
        return False


def probe_all(quoted_paths: list[str], root: Path) -> None:
    """Probe the files that are still unknown. Runs in a worker."""
    files = {path: file_stat for path in map(unquote_to_bytes, quoted_paths) if (file_stat := stat_or_none(path))}
    unknown = files.keys() - info_cache.load(files).keys()
    for path in sorted(unknown):
        with suppress(NvrError):
            info_cache.save(files, {path: ffprobe_info(path, root)})


def stat_or_none(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - runs for thousands of files
    except OSError:
        return None
