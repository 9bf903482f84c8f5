"""The thumbnail of a picture or video: beside the media if that can be, else in the data directory."""

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
from reviewer.path_resolution import Media, Place

logger = logging.getLogger(__name__)

CACHE: Final = "review-thumbnails"
LARGEST: Final = max(SIZE_NAMES)
FRAME_AT_S: Final = 2.0
TIME_LIMIT = timedelta(seconds=10)
GONE_AT_ONCE: Final = 200
PATHS_KNOWN_S: Final = 2
SPARE_BYTES: Final = 64 * 2**20
# Videos at once in this process, each of which takes a core; of pictures the decoder takes care.
_slots = threading.BoundedSemaphore(2)


class NoThumbnail(NvrError):
    """None can be made now; the next who asks tries again."""

    status = 422
    title = "No thumbnail can be made of this file."


@dataclass(frozen=True)
class Source:
    """A picture or video (without links), the deepest review path above it, and which state of the file is meant."""

    file: Path
    root: Path
    mtime_ns: int
    size_bytes: int

    @property
    def uri(self) -> str:
        return freedesktop.file_uri(self.file)

    @property
    def identity(self) -> str:
        """Another whenever the file's content is."""
        return f"{self.file}-{self.size_bytes:x}-{self.mtime_ns:x}"

    @property
    def is_video(self) -> bool:
        return media_type_of(self.file.name) == VIDEO

    @property
    def text(self) -> dict[str, str]:
        """What the specification wants to stand in the PNG."""
        return {freedesktop.URI: self.uri, freedesktop.MTIME: str(self.mtime_ns // 1_000_000_000)}


@dataclass(frozen=True)
class Thumbnail:
    """`data` only where there was no place to keep it."""

    path: Path | None
    data: bytes = b""

    def read(self) -> bytes:
        """Raises what `open_regular` raises."""
        if self.path is None:
            return self.data
        with open_regular(self.path) as file, translate_os_errors():
            return file.read()


def source_at(place: Place) -> Source:
    """Raises `NoSuchFile` and `StorageFault`. The deepest path counts, whoever may see it: all find the same."""
    file = place.file if isinstance(place, Media) else place.path
    with translate_os_errors():
        facts = place.facts if isinstance(place, Media) else file.stat()
    holding = [path for path in all_paths() if is_inside(file, path)]
    root = Path(max(holding, key=len, default=place.root.path))
    return Source(file, root, facts.st_mtime_ns, facts.st_size)


def all_paths() -> list[str]:
    """As they were up to 2 s ago: where a thumbnail lies is no secret, and another place for it no fault."""
    paths: list[str] | None = caches["process"].get("review-paths")
    if paths is None:
        paths = list(ReviewPath.objects.values_list("path", flat=True))
        caches["process"].set("review-paths", paths, PATHS_KNOWN_S)
    return paths


def thumbnail_of(source: Source, size: int) -> Thumbnail:
    """The thumbnail of `size` by `size` pixels, made if it is not there; by one thread of one process.

    Raises `NoThumbnail`, `NoSuchFile` and `StorageFault` for the source, `Unavailable` after 15 s of waiting.
    """
    name = freedesktop.thumbnail_name(source.uri)
    found = kept(source, name, size)
    if found is not None:
        return found
    larger = None if size in SIZE_NAMES else thumbnail_of(source, min(side for side in SIZE_NAMES if side > size))
    with exclusive_lock(name):
        return kept(source, name, size) or put(source, name, size, drawn(source, size, larger))


def kept(source: Source, name: str, size: int) -> Thumbnail | None:
    """What was made of exactly this state of the file."""
    if size in SIZE_NAMES:
        beside = freedesktop.thumbnail_path(source.root, name, size)
        if freedesktop.is_current(beside, source.mtime_ns):
            return Thumbnail(beside)
    own = own_place(source, name, size)
    return Thumbnail(own) if exists_and_touch(own) else None


def own_place(source: Source, name: str, size: int) -> Path:
    return cache_folder(CACHE) / name[:2] / f"{name}-{source.mtime_ns:x}-{source.size_bytes:x}-{size}.png"


def put(source: Source, name: str, size: int, data: bytes) -> Thumbnail:
    """Keep it with the media, else (read-only, full, a link, a card of coarse times) in the data directory."""
    if size in SIZE_NAMES and has_room(source.root):
        beside = freedesktop.thumbnail_path(source.root, name, size)
        try:
            freedesktop.store(beside, data, source.mtime_ns)
            return Thumbnail(beside)
        except OSError as fault:
            logger.debug("thumbnail not kept beside its source: %s", fault.strerror or fault)
    own = own_place(source, name, size)
    try:
        with write_to(own) as part:
            part.write_bytes(data)
            os.utime(part, ns=(part.stat().st_atime_ns, source.mtime_ns))
    except OSError as fault:
        logger.warning("thumbnail not kept: %s", fault.strerror or fault)
        return Thumbnail(None, data)
    return Thumbnail(own)


def has_room(root: Path) -> bool:
    """Whether a thumbnail may take some: the last of a card is for the camera, and for marks."""
    try:
        volume = os.statvfs(root)
    except OSError:
        return False
    return volume.f_bavail * volume.f_frsize > min(SPARE_BYTES, volume.f_blocks * volume.f_frsize // 20)


def drawn(source: Source, size: int, larger: Thumbnail | None) -> bytes:
    """From a larger thumbnail if there is one, else from the file. Raises `NoThumbnail`."""
    from nvr.media.ffmpeg import operations as ffmpeg  # not for what has been made already
    from nvr.media.images.decoder import pictures

    try:
        if larger is not None:
            return pictures.downscale_png(larger.read(), size, text=source.text)
        if source.is_video:
            with slot():
                frame = early_frame(source, size)
            return pictures.square_png(frame, size, text=source.text)
        with remember_failure(source.identity), open_regular(source.file, root=source.root) as file:
            return pictures.square_png(file, size, text=source.text)
    except (Invalid, ffmpeg.FfmpegFailed) as error:
        raise NoThumbnail(error.detail) from error


@contextmanager
def slot() -> Iterator[None]:
    if not _slots.acquire(timeout=TIME_LIMIT.total_seconds()):
        raise NoThumbnail("Too many thumbnails are being made at once.")
    try:
        yield
    finally:
        _slots.release()


def early_frame(source: Source, size: int) -> bytes:
    """A JPEG, large enough for `size` also if the video is upright."""
    from nvr.media.ffmpeg import operations as ffmpeg

    target = cache_folder(CACHE) / f"{secrets.token_hex(8)}{PART_SUFFIX}"  # swept away if this process is killed
    try:
        ffmpeg.extract_early_frame(
            source.file, FRAME_AT_S, target, min(2 * size, LARGEST), root=source.root, timeout=TIME_LIMIT
        )
        return target.read_bytes()
    finally:
        target.unlink(missing_ok=True)


def placeholder(file: Path, size: int) -> bytes:
    """A PNG that says what is not shown; never kept on disk."""
    from nvr.media.images.letterbox import placeholder_png

    return placeholder_png(f"{file.suffix[1:].upper()[:5]}\nno preview", size)


def prune(root: ReviewPath) -> int:
    """Remove the thumbnails below `root` whose file is gone, and what killed writers left; how many.

    Nothing is removed while the path, or the volume that it was added on, is away; nor of a path below that is.
    Thumbnails that say nothing of their file, or show another path's, stay.
    """
    place, gone, removed = Path(root.path), [], 0
    for thumbnail in (*freedesktop.list_thumbnails(place), *own_thumbnails()):
        if is_orphan(thumbnail, place):
            gone.append(thumbnail)
        if len(gone) >= GONE_AT_ONCE:
            removed += removed_now(root, gone)
            gone = []
    removed += removed_now(root, gone)
    if removed:
        logger.info("thumbnails pruned path=%s files=%s", root.pk, removed)
    return removed


def own_thumbnails() -> Iterator[Path]:
    return (path for _, _, path in cache_entries(cache_folder(CACHE)) if path.suffix == ".png")


def is_orphan(thumbnail: Path, root: Path) -> bool:
    """Whether the file that it shows lies below `root`, or did."""
    if freedesktop.is_abandoned(thumbnail):
        return True
    source = file_of(thumbnail)
    if source is None or not is_inside(source, root):
        return False
    try:
        source.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def file_of(thumbnail: Path) -> Path | None:
    """The file that it shows, if it says so."""
    return freedesktop.source_file(thumbnail, thumbnail.stem.partition("-")[0])


def removed_now(root: ReviewPath, gone: list[Path]) -> int:
    """A card that is pulled out takes all its files with it: look for it last, just before anything is removed."""
    if not gone or path_unavailable_reason(root):
        return 0
    away = [
        Path(path.path)
        for path in ReviewPath.objects.all()
        if is_inside(path.path, root.path) and path_unavailable_reason(path)
    ]
    return sum(removed(thumbnail) for thumbnail in gone if not (away and shows_file_in(away, thumbnail)))


def shows_file_in(folders: list[Path], thumbnail: Path) -> bool:
    """Also if it does not say what it shows."""
    source = file_of(thumbnail)
    return source is None or any(is_inside(source, folder) for folder in folders)


def removed(thumbnail: Path) -> bool:
    if is_inside(thumbnail, cache_folder(CACHE)):
        with suppress(OSError):
            thumbnail.unlink()
            return True
        return False
    return freedesktop.remove(thumbnail)
