"""Snapshots: the newest complete picture of a camera, or a frame of its newest video."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.http import HttpRequest, HttpResponseBase

from cameras.folders.access import check_volume, newest_files
from cameras.folders.index import MediaFile
from cameras.models import Camera
from nvr.errors import BadRequest, Invalid, NotFound, NvrError, Unavailable
from nvr.media.ffmpeg.containers import detect_demuxer
from nvr.media.ffmpeg.video_frames import NoFrame, cached_frame
from nvr.media.files.cached_files import exclusive_lock
from nvr.media.files.content_types import content_type_for
from nvr.media.files.identity import FileIdentity
from nvr.media.files.paths import NoSuchFile, open_regular
from nvr.media.http.responses import bytes_response
from nvr.media.images.decoder import pictures
from nvr.media.images.derivatives import WIDTHS, derivative_of_bytes
from nvr.media.images.truncation import PNG_END
from nvr.media.images.verdicts import raise_known_failure, remember_failure

logger = logging.getLogger(__name__)

SNAPSHOT_IMAGES = (".jpg", ".jpeg", ".png", ".gif")
MAX_BYTES = 64 * 2**20  # a snapshot is read into memory
MAX_VIDEOS_TRIED = 3
CHECK_TIME_BUDGET_S = 5.0  # per snapshot: an older picture is better than a longer wait
LOCK_TIMEOUT_S = 2.0  # for another thread or process that is checking the same picture
# The header of each format, and its trailer if no other data follows.
SIGNATURES = ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG", PNG_END), (b"GIF8", b"\x00;"))
MAX_HEADER_BYTES, MAX_TRAILER_BYTES = 4, len(PNG_END)


@dataclass(frozen=True)
class Snapshot:
    """A picture in memory, so that the checked bytes are served even if the camera overwrites the file."""

    data: bytes
    name: str
    identity: str
    taken_at: datetime


class NoSnapshot(NotFound):
    """The camera has nothing to show."""


def snapshot_of(camera: Camera) -> Snapshot:
    """The newest complete image, else a frame of one of the newest videos. Raises `NoSnapshot` with the reason."""
    files = newest_files(camera, videos=False)
    deadline = time.monotonic() + CHECK_TIME_BUDGET_S
    found = next((snapshot for file in files if (snapshot := complete_image(file, deadline=deadline))), None)
    return found or frame_of_newest_video(camera)


def snapshot_response(request: HttpRequest, camera: Camera, *, attachment: bool = False) -> HttpResponseBase:
    """The snapshot, with support for range and conditional requests; `?width=` resizes it to at most that width."""
    snapshot = resized(snapshot_of(camera), request.GET.get("width"))
    return bytes_response(
        request,
        snapshot.data,
        etag=snapshot.identity,
        last_modified=snapshot.taken_at,
        content_type=content_type_for(snapshot.name),
        filename=snapshot.name,
        disposition="attachment" if attachment else "inline",
    )


def resized(snapshot: Snapshot, width: str | None) -> Snapshot:
    if width is None:
        return snapshot
    if width not in {str(known) for known in WIDTHS}:
        raise BadRequest(f"width must be one of {', '.join(map(str, WIDTHS))}.")
    derived = derivative_of_bytes(snapshot.data, snapshot.identity, int(width))
    name = f"{Path(snapshot.name).stem}{derived.suffix}"
    return Snapshot(derived.read_bytes(), name, f"{snapshot.identity}-{width}", snapshot.taken_at)


class IntegrityCache:
    """Remembers which files are complete or broken, by identity, so that each is decoded once per process."""

    def __init__(self, size: int = 4096) -> None:
        self._known: OrderedDict[str, bool] = OrderedDict()
        self._lock = threading.Lock()
        self._size = size

    def get(self, key: str) -> bool | None:
        with self._lock:
            return self._known.get(key)

    def put(self, key: str, verdict: bool) -> None:
        with self._lock:
            self._known[key] = verdict
            while len(self._known) > self._size:
                self._known.popitem(last=False)


_integrity_cache = IntegrityCache()


def complete_image(file: MediaFile, *, deadline: float = math.inf) -> Snapshot | None:
    """The picture if it is complete; None if it is broken, partly written or gone.

    Also None if its state is not known yet and another process is checking it or `deadline` (monotonic) has passed.
    """
    if not file.path.lower().endswith(SNAPSHOT_IMAGES) or not 0 < file.size <= MAX_BYTES:
        return None
    key = f"{file.path}:{file.identity}"
    if _integrity_cache.get(key) is False:
        return None
    if _integrity_cache.get(key) is None and time.monotonic() > deadline:
        return None
    data = unchanged_bytes(file)
    if data is None or not decodes_completely(data, key):
        return None
    return snapshot_from(file, data)


def decodes_completely(data: bytes, key: str) -> bool:
    """Whether the picture decodes to its last row; its end marker may be missing."""
    known = _integrity_cache.get(key)
    if known is not None:
        return known
    try:
        raise_known_failure(key)
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        with exclusive_lock(name, timeout_s=LOCK_TIMEOUT_S), remember_failure(key):
            pictures.check(data)
    except Invalid:
        _integrity_cache.put(key, False)
        return False
    # Not the picture's fault (no free decoder, a lock timeout): it is checked again by the next request.
    except Unavailable:
        return False
    _integrity_cache.put(key, True)
    return True


def is_displayable(file: MediaFile) -> bool:
    """Whether a snapshot shows this picture; for most, header and trailer are sufficient, without decoding."""
    if not file.path.lower().endswith(SNAPSHOT_IMAGES):
        return False
    key = f"{file.path}:{file.identity}"
    known = _integrity_cache.get(key)
    if known is not None:
        return known
    return not is_known_invalid(key) and (has_header_and_trailer(file) or complete_image(file) is not None)


def is_known_invalid(key: str) -> bool:
    """Whether a process has already found that the picture cannot be decoded."""
    try:
        raise_known_failure(key)
    except NvrError:
        return True
    return False


def has_header_and_trailer(file: MediaFile) -> bool:
    """Whether the file has a picture's header and trailer; also False if other data follows the trailer."""
    path = Path(file.path)
    try:
        with open_regular(path, root=path.parent) as stream:
            begin, end = (
                stream.read(MAX_HEADER_BYTES),
                os.pread(stream.fileno(), MAX_TRAILER_BYTES, max(0, file.size - MAX_TRAILER_BYTES)),
            )
    except (OSError, NvrError):
        return False
    return any(begin.startswith(first) and end.endswith(last) for first, last in SIGNATURES)


def may_contain_frame(video: MediaFile) -> bool:
    """Whether the file has a video's header and no earlier frame extraction failed."""
    path = Path(video.path)
    try:
        with open_regular(path, root=path.parent) as stream:
            detect_demuxer(stream.fileno())
    except (OSError, NvrError):
        return False
    return _integrity_cache.get(f"{video.path}:{video.identity}") is not False


def unchanged_bytes(file: MediaFile) -> bytes | None:
    """The bytes, if the file did not change while it was read and no symlink leads out of its folder."""
    path = Path(file.path)
    try:
        with open_regular(path, root=path.parent) as stream:
            # One byte more than the recorded size shows that the file has grown.
            data = stream.read(file.size + 1)
            file_stat = os.fstat(stream.fileno())
    except (OSError, NvrError):
        return None
    is_same = FileIdentity.of(file_stat) == file.identity
    return data if is_same and len(data) == file.size else None


def snapshot_from(file: MediaFile, data: bytes, name: str | None = None) -> Snapshot:
    return Snapshot(data, name or Path(file.path).name, str(file.identity), file.at)


def frame_of_newest_video(camera: Camera) -> Snapshot:
    videos = newest_files(camera, images=False)
    if not videos:
        check_volume(camera)
        raise NoSnapshot("No snapshot images found for camera")
    # The newest video is often still being recorded and has no index yet.
    frames = (frame_of_video(video) for video in videos[:MAX_VIDEOS_TRIED])
    found = next((frame for frame in frames if frame), None)
    if found is None:
        raise NoSnapshot("No frame could be read from the camera's newest video")
    return found


def frame_of_video(video: MediaFile) -> Snapshot | None:
    """A frame of the video in its original size; None if no frame can be extracted or the file is gone."""
    try:
        frame = cached_frame(Path(video.path)).read_bytes()
    except NoFrame:
        _integrity_cache.put(f"{video.path}:{video.identity}", False)
        return None
    except (NoSuchFile, OSError):
        return None
    return snapshot_from(video, frame, f"{Path(video.path).stem}.jpg")
