"""Resolving a path below /api/media/ to the file that it names, if the user may see it.

The checks follow the contract's order: the syntax of the path, the owner, the file's real location, its existence,
and its type. A file that the user may not see is reported as not found.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cameras.folders.access import check_volume, folder_of, known_folder_of
from cameras.folders.ownership import Folders, current_folders, folders_for, live_camera
from cameras.models import Camera
from media_serving.addresses import MediaPath, parse
from media_serving.models import Detection, Event, Upload, UploadCopy, clip_path, thumbnail_path
from media_serving.models.uploads import is_unchanged
from nvr.audit.actor import Actor
from nvr.errors import NotFound
from nvr.media.ffmpeg.video_frames import cached_frame
from nvr.media.files.content_types import content_type_for, is_video
from nvr.media.files.paths import (
    NoSuchFile,
    OutsideRoot,
    resolve_below,
    resolve_inside,
    resolve_raw,
    translate_os_errors,
)

OVERWRITTEN = "File not found: the camera has overwritten it since."
COPY_GONE = "File not found: the camera has overwritten it, and its kept copy no longer exists."
COPY_REMOVED = "File not found: the camera has overwritten it, and its kept copy was removed to free disk space."
MAX_COPIES = 5  # checked per upload
UNSUPPORTED = "Unsupported media path (expected cameras/..., thumbnails/..., detections/..., or clips/...)"


@dataclass(frozen=True)
class StoredFile:
    """A file to serve: `path` and its ancestor `root` contain no symlinks; `name` is the download name."""

    path: Path
    root: Path
    name: str

    @property
    def stem(self) -> str:
        return Path(self.name).stem


def locate(path: str, user: Actor) -> StoredFile:
    """Return the file for `path` (the decoded part after /api/media/) if `user` may see it.

    Raises `UriTooLong`, `PathTraversal`, `NulInPath`, `NotFound`, `OutsideRoot`, `FileTypeNotAllowed`, and
    `StorageFault` when the storage does not respond: that is never reported as not found.
    """
    media_path = parse(path)
    find = ROUTES.get(media_path.kind)
    if find is None or not media_path.rest:
        raise NotFound(UNSUPPORTED)
    return find(media_path, user)


def camera_file(path: MediaPath, user: Actor) -> StoredFile:
    folders = current_folders()
    file = resolve_camera_file(find_camera(path.camera_id, user, folders), path.filename, folders)
    content_type_for(path.filename)  # the requested name too, in case it links to an allowed type
    return file


def find_camera(camera_id: str, user: Actor, folders: Folders) -> Camera:
    """Return the camera with this slug, else this UUID, else the only one with this folder name."""
    camera = live_camera(user, camera_id, folders)
    if camera is None:
        visible = Camera.objects.visible_to(user)
        # SQLite ignores case here, so compare exactly in Python
        named = [c for c in visible.filter(folder_path__endswith=f"/{camera_id}") if is_named(c, camera_id)]
        camera = named[0] if len(named) == 1 else None
    if camera is None:
        raise NotFound("Camera not found")
    return camera


def is_named(camera: Camera, folder_name: str) -> bool:
    return camera.folder_path.rpartition("/")[2] == folder_name


def resolve_camera_file(
    camera: Camera,
    relative: str,
    known: Folders | None = None,
    *,
    resolve: Callable[[str, str], Path] = resolve_below,
) -> StoredFile:
    """Return a file of an allowed type in the camera's folder that does not belong to a nested camera."""
    folders = folders_for(camera, known)
    folder = known_folder_of(camera, folders)
    try:
        file = resolve(folder, relative)
    except NoSuchFile:
        # An unmounted volume is an empty folder: 503, so that clients retry and do not forget the file.
        check_volume(camera)
        raise
    # Users with access to the outer camera must not get files of a camera in a subfolder.
    if file.name.startswith(".") or camera.pk not in folders.owners_of(file):
        raise NoSuchFile
    content_type_for(file.name)
    return StoredFile(file, Path(folder), file.name)


def thumbnail(path: MediaPath, user: Actor) -> StoredFile:
    if path.id is None or not Detection.objects.visible_to(user).filter(pk=path.id).exists():
        raise NotFound("Thumbnail file not found")
    return generated_file(thumbnail_path(path.id), "Thumbnail file not found")


def clip(path: MediaPath, user: Actor) -> StoredFile:
    if path.id is None or not Event.objects.visible_to(user).filter(pk=path.id).exists():
        raise NotFound("Clip file not found")
    return generated_file(clip_path(path.id), "Clip file not found")


def generated_file(path: Path, message: str) -> StoredFile:
    """Return a file that this application generated. Raises `NotFound` with `message` if it does not exist."""
    try:
        file = resolve_inside(path.parent, path.name)
    except NoSuchFile:
        raise NotFound(message) from None
    return StoredFile(file, file.parent, path.name)


def detection_file(path: MediaPath, user: Actor) -> StoredFile:
    """Return the picture of the detection; for a video, the frame."""
    if path.id is None:
        raise NotFound("Invalid detection ID")
    detection = Detection.objects.visible_to(user).select_related("camera", "upload").filter(pk=path.id).first()
    if detection is None:
        raise NotFound("Detection not found")
    file = detection_source(detection)
    if not is_video(file.name):
        return file
    frame = cached_frame(file.path, offset_ms=detection.offset_ms or 0)
    return StoredFile(frame, frame.parent, f"{file.stem}.jpg")


def upload_file(path: MediaPath, user: Actor) -> StoredFile:
    """Return the content of one upload, even if the camera has reused the file name since."""
    found = Upload.objects.visible_to(user).select_related("camera")
    upload = found.filter(pk=path.id).first() if path.id is not None else None
    if upload is None:
        raise NotFound("Upload not found")
    return uploaded_file(upload, upload.camera)


def detection_source(detection: Detection) -> StoredFile:
    """Return the file of the detection; for an upload, the exact content that the detector processed."""
    if detection.upload is None:
        return resolve_camera_file(detection.camera, relative_to_camera(detection))
    return uploaded_file(detection.upload, detection.camera)


def uploaded_file(upload: Upload, camera: Camera) -> StoredFile:
    """Return the upload's content: the kept copy, else the unchanged file, else an unchanged copy of it."""
    if upload.is_kept:
        return replace(generated_file(upload.kept_path, COPY_GONE), name=Path(upload.path).name)
    try:
        return unchanged_file(upload, camera)
    except NotFound as error:
        for copy in upload.copies.order_by("-pk")[:MAX_COPIES]:
            with suppress(NotFound):
                return unchanged_file(copy, camera)
        if upload.copy_removed_at is not None:
            raise NotFound(COPY_REMOVED) from error
        raise


def unchanged_file(recorded: Upload | UploadCopy, camera: Camera) -> StoredFile:
    file = resolve_camera_file(camera, os.fsdecode(recorded.below), resolve=resolve_raw)
    with translate_os_errors():
        file_stat = file.path.stat()
    if not is_unchanged(recorded, file_stat):
        raise NotFound(OVERWRITTEN)
    return file


def relative_to_camera(detection: Detection) -> str:
    """Return the path relative to the camera's folder. Raises `OutsideRoot` if the file is outside of it."""
    file, folder = Path(detection.file_path), Path(detection.camera.folder_path)
    if not file.is_absolute():
        return detection.file_path
    if not file.is_relative_to(folder):
        folder = folder_of(detection.camera)  # queries the database
    if not file.is_relative_to(folder):
        raise OutsideRoot
    return str(file.relative_to(folder))


ROUTES: dict[str, Callable[[MediaPath, Actor], StoredFile]] = {
    "cameras": camera_file,
    "thumbnails": thumbnail,
    "detections": detection_file,
    "clips": clip,
    "uploads": upload_file,
}
