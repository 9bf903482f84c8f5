"""Thumbnails of pictures and videos, stored next to the media if possible, otherwise in the data directory."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.core.cache import caches

from nvr.errors import Invalid, NvrError
from nvr.media.files.atomic_write import PART_SUFFIX, write_to
from nvr.media.files.cached_files import cache_entries, cache_folder, exclusive_lock, exists_and_touch
from nvr.media.files.paths import is_inside, open_regular, translate_os_errors
from nvr.media.images import freedesktop
from nvr.media.images.freedesktop import SIZE_NAMES
from nvr.media.images.verdicts import remember_failure
from reviewer.catalog.media_types import VIDEO, media_type_of
from reviewer.catalog.scanner import path_unavailable_reason
from reviewer.models import ReviewPath
from reviewer.path_resolution import MediaFile, ResolvedPath

logger = logging.getLogger(__name__)

CACHE: Final = "review-thumbnails"
MAX_SIZE: Final = max(SIZE_NAMES)
FRAME_AT_S: Final = 2.0
TIME_LIMIT = timedelta(seconds=10)
PRUNE_BATCH_SIZE: Final = 200
REVIEW_PATHS_TTL_S: Final = 2
SPARE_BYTES: Final = 64 * 2**20
# Each video takes a core. Pictures are limited by the decoder.
_video_slots = threading.BoundedSemaphore(2)


class NoThumbnail(NvrError):
    """No thumbnail can be created now. The next request tries again."""

    status = 422
    title = "No thumbnail can be made of this file."


@dataclass(frozen=True)
class Source:
    """A picture or video (a path without links) in a certain state, and the deepest review path that contains it."""

    file: Path
    root: Path
    mtime_ns: int
    size_bytes: int

    @property
    def uri(self) -> str:
        return freedesktop.file_uri(self.file)

    @property
    def identity(self) -> str:
        """Changes when the content of the file changes."""
        return f"{self.file}-{self.size_bytes:x}-{self.mtime_ns:x}"

    @property
    def is_video(self) -> bool:
        return media_type_of(self.file.name) == VIDEO

    @property
    def png_text(self) -> dict[str, str]:
        """The text chunks that the freedesktop.org specification requires in the PNG."""
        return {freedesktop.URI: self.uri, freedesktop.MTIME: str(self.mtime_ns // 1_000_000_000)}


@dataclass(frozen=True)
class Thumbnail:
    """A stored thumbnail, or its `data` if it could not be stored."""

    path: Path | None
    data: bytes = b""

    def read(self) -> bytes:
        """Raises as `open_regular`."""
        if self.path is None:
            return self.data
        with open_regular(self.path) as file, translate_os_errors():
            return file.read()


def source_of(resolved: ResolvedPath) -> Source:
    """Raises `NoSuchFile` and `StorageFault`.

    Uses the deepest of all review paths, even if the user may not see it, so that all users share one thumbnail.
    """
    file = resolved.file if isinstance(resolved, MediaFile) else resolved.path
    with translate_os_errors():
        file_stat = resolved.file_stat if isinstance(resolved, MediaFile) else file.stat()
    containing = [path for path in cached_review_paths() if is_inside(file, path)]
    root = Path(max(containing, key=len, default=resolved.root.path))
    return Source(file, root, file_stat.st_mtime_ns, file_stat.st_size)


def cached_review_paths() -> list[str]:
    """Return all review paths, up to 2 s old: an outdated list only stores a thumbnail in another folder."""
    paths: list[str] | None = caches["process"].get("review-paths")
    if paths is None:
        paths = list(ReviewPath.objects.values_list("path", flat=True))
        caches["process"].set("review-paths", paths, REVIEW_PATHS_TTL_S)
    return paths


def get_thumbnail(source: Source, size: int) -> Thumbnail:
    """Return the thumbnail of `size` by `size` pixels. It is created if missing, by one thread of all processes.

    Raises `NoThumbnail`, `NoSuchFile` and `StorageFault` for the source, `Unavailable` after 15 s of waiting.
    """
    name = freedesktop.thumbnail_name(source.uri)
    found = find_stored(source, name, size)
    if found is not None:
        return found
    larger = None if size in SIZE_NAMES else get_thumbnail(source, min(side for side in SIZE_NAMES if side > size))
    with exclusive_lock(name):
        # Another thread or process may have created it while this one waited for the lock.
        return find_stored(source, name, size) or store(source, name, size, render(source, size, larger))


def find_stored(source: Source, name: str, size: int) -> Thumbnail | None:
    """Return the stored thumbnail of exactly this state of the file, if any."""
    if size in SIZE_NAMES:
        shared = freedesktop.thumbnail_path(source.root, name, size)
        if freedesktop.is_current(shared, source.mtime_ns):
            return Thumbnail(shared)
    cached = cache_path(source, name, size)
    return Thumbnail(cached) if exists_and_touch(cached) else None


def cache_path(source: Source, name: str, size: int) -> Path:
    return cache_folder(CACHE) / name[:2] / f"{name}-{source.mtime_ns:x}-{source.size_bytes:x}-{size}.png"


def store(source: Source, name: str, size: int, data: bytes) -> Thumbnail:
    """Store the thumbnail next to the media, or in the data directory.

    The medium may be read-only or full, `.thumbnails` may be a link, or mtimes may be too coarse.
    """
    if size in SIZE_NAMES and has_space(source.root):
        shared = freedesktop.thumbnail_path(source.root, name, size)
        try:
            freedesktop.store(shared, data, source.mtime_ns)
            return Thumbnail(shared)
        except OSError as fault:
            logger.debug("thumbnail not stored next to its source: %s", fault.strerror or fault)
    cached = cache_path(source, name, size)
    try:
        with write_to(cached) as part:
            part.write_bytes(data)
            os.utime(part, ns=(part.stat().st_atime_ns, source.mtime_ns))
    except OSError as fault:
        logger.warning("thumbnail not stored: %s", fault.strerror or fault)
        return Thumbnail(None, data)
    return Thumbnail(cached)


def has_space(root: Path) -> bool:
    # The last part of a memory card is left to the camera and to marks.
    try:
        volume = os.statvfs(root)
    except OSError:
        return False
    return volume.f_bavail * volume.f_frsize > min(SPARE_BYTES, volume.f_blocks * volume.f_frsize // 20)


def render(source: Source, size: int, larger: Thumbnail | None) -> bytes:
    """Render from a larger thumbnail if there is one, otherwise from the file. Raises `NoThumbnail`."""
    # Imported only when needed: serving a stored thumbnail must not load Pillow.
    from nvr.media.ffmpeg import operations as ffmpeg
    from nvr.media.images.decoder import pictures

    try:
        if larger is not None:
            return pictures.downscale_png(larger.read(), size, text=source.png_text)
        if source.is_video:
            with video_slot():
                frame = extract_frame(source, size)
            return pictures.square_png(frame, size, text=source.png_text)
        with remember_failure(source.identity), open_regular(source.file, root=source.root) as file:
            return pictures.square_png(file, size, text=source.png_text)
    except (Invalid, ffmpeg.FfmpegFailed) as error:
        raise NoThumbnail(error.detail) from error


@contextmanager
def video_slot() -> Iterator[None]:
    if not _video_slots.acquire(timeout=TIME_LIMIT.total_seconds()):
        raise NoThumbnail("Too many thumbnails are being made at once.")
    try:
        yield
    finally:
        _video_slots.release()


def extract_frame(source: Source, size: int) -> bytes:
    """Return a JPEG of the frame at 2 s, or in the middle of a shorter video."""
    from nvr.media.ffmpeg import operations as ffmpeg

    # If this process is killed, the periodic cleanup of the cache deletes the part file.
    target = cache_folder(CACHE) / f"{secrets.token_hex(8)}{PART_SUFFIX}"
    width = min(2 * size, MAX_SIZE)  # large enough for portrait videos as well
    try:
        ffmpeg.extract_early_frame(source.file, FRAME_AT_S, target, width, root=source.root, timeout=TIME_LIMIT)
        return target.read_bytes()
    finally:
        target.unlink(missing_ok=True)


def placeholder(file: Path, size: int) -> bytes:
    """Return a PNG with the file's type. It is never stored."""
    from nvr.media.images.letterbox import placeholder_png

    return placeholder_png(f"{file.suffix[1:].upper()[:5]}\nno preview", size)


def prune(root: ReviewPath) -> int:
    """Delete thumbnails of files below `root` that no longer exist, and incomplete thumbnails. Return how many.

    Deletes nothing while the volume of `root`, or of a review path below it that contains the file, is missing.
    Thumbnails that do not name their file, or name one elsewhere, are kept.
    """
    folder, orphans, deleted = Path(root.path), [], 0
    for thumbnail in (*freedesktop.list_thumbnails(folder), *cached_thumbnails()):
        if is_orphan(thumbnail, folder):
            orphans.append(thumbnail)
        if len(orphans) >= PRUNE_BATCH_SIZE:
            deleted += delete_orphans(root, orphans)
            orphans = []
    deleted += delete_orphans(root, orphans)
    if deleted:
        logger.info("thumbnails pruned path=%s files=%s", root.pk, deleted)
    return deleted


def cached_thumbnails() -> Iterator[Path]:
    return (path for _, _, path in cache_entries(cache_folder(CACHE)) if path.suffix == ".png")


def is_orphan(thumbnail: Path, root: Path) -> bool:
    """Return whether the thumbnail is incomplete, or its file was below `root` and no longer exists."""
    if freedesktop.is_abandoned(thumbnail):
        return True
    source = source_file(thumbnail)
    if source is None or not is_inside(source, root):
        return False
    try:
        source.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # unreadable, but not deleted
        return False
    return False


def source_file(thumbnail: Path) -> Path | None:
    """Return the file that the thumbnail names, if any."""
    return freedesktop.source_file(thumbnail, thumbnail.stem.partition("-")[0])


def delete_orphans(root: ReviewPath, orphans: list[Path]) -> int:
    """Delete the thumbnails. Return how many were deleted."""
    # Files also seem to be gone when a card is removed, so its volume is checked last, right before the deletion.
    if not orphans or path_unavailable_reason(root):
        return 0
    unavailable = [
        Path(path.path)
        for path in ReviewPath.objects.all()
        if is_inside(path.path, root.path) and path_unavailable_reason(path)
    ]
    return sum(delete(thumbnail) for thumbnail in orphans if not (unavailable and may_be_below(unavailable, thumbnail)))


def may_be_below(folders: list[Path], thumbnail: Path) -> bool:
    """Return whether the thumbnail's file may be in one of the folders. True if it does not name its file."""
    source = source_file(thumbnail)
    return source is None or any(is_inside(source, folder) for folder in folders)


def delete(thumbnail: Path) -> bool:
    if is_inside(thumbnail, cache_folder(CACHE)):
        with suppress(OSError):
            thumbnail.unlink()
            return True
        return False
    return freedesktop.remove(thumbnail)
