"""Decide whether a missing file was deleted or its storage is unavailable.

For a single file, an unmounted disk, a briefly renamed folder and a cleanup script look the same. The neighbouring
files tell them apart: if they still exist, only this file was deleted. In doubt, NVR waits for the file. Each scan also
checks again for files that were considered deleted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cameras.models import Camera
from media_serving.ingest.names import is_upload
from media_serving.models import Upload, UploadState
from nvr.errors import NotFound, NvrError
from nvr.media.files.mounts import unavailable_reason
from nvr.media.files.paths import NoSuchFile, StorageFault
from nvr.media.files.system_folders import is_hidden_folder

NEIGHBOURS: Final = 20  # on either side, in the order of arrival


class Missing(NotFound):
    """The file and its neighbours are missing; with `is_deletable` it counts as deleted after hours."""

    title = "Neither the file nor its neighbouring files exist now"

    def __init__(self, detail: str = "", *, is_deletable: bool = True) -> None:
        super().__init__(detail)
        self.is_deletable = is_deletable


def check_folder(camera: Camera) -> None:
    """Raise `StorageFault` if the camera's folder is missing, does not respond, or has lost its volume."""
    if reason := unavailable_reason(Path(camera.folder_path), camera.remembered_mount):
        raise StorageFault(reason)


def classify_missing(upload: Upload) -> NvrError:
    """Why the upload's file does not exist: `StorageFault`, `Missing`, or `NoSuchFile` if it was deleted.

    Accesses the disk: do not call it in a transaction.
    """
    try:
        check_folder(upload.camera)
    except StorageFault as fault:
        return fault
    neighbours = neighbours_of(upload)
    if not neighbours:
        return NoSuchFile()
    # Everything is gone at once: more likely an unmounted disk than a deletion.
    if is_empty(Path(upload.camera.folder_path)):
        detail = f"The folder {upload.camera.folder_path} is empty now: check whether its disk is mounted."
        return Missing(detail, is_deletable=False)
    folder = upload.below.rpartition(b"/")[0]
    siblings = [name for name in neighbours if name.rpartition(b"/")[0] == folder]
    root = os.fsencode(upload.camera.folder_path)
    return NoSuchFile() if any(os.path.lexists(root + b"/" + name) for name in siblings or neighbours) else Missing()


def neighbours_of(upload: Upload) -> list[bytes]:
    """Names below the camera's folder of files that arrived before and after it and should exist."""
    others = Upload.objects.filter(camera=upload.camera_id).exclude(path_digest=upload.path_digest)
    others = others.exclude(state=UploadState.REJECTED, missing_since__isnull=False)
    before = others.filter(received_at__lte=upload.received_at).order_by("-received_at", "-pk")
    after = others.filter(received_at__gt=upload.received_at).order_by("received_at", "pk")
    return [row.below for rows in (before, after) for row in rows.only("raw_path")[:NEIGHBOURS]]


def is_empty(folder: Path) -> bool:
    """Whether the folder contains nothing but system files."""
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            return not any(is_content(entry) for entry in entries)
    except OSError:
        return True


def is_content(entry: os.DirEntry[bytes]) -> bool:
    is_folder = entry.is_dir(follow_symlinks=False)
    return not is_hidden_folder(entry.name) if is_folder else is_upload(entry.name)


def names_of_missing(camera: Camera, *, before: int | None, limit: int) -> list[tuple[int, bytes]]:
    """Primary keys and names of uploads whose file was missing, newest first, with primary keys below `before`.

    Includes uploads that were considered deleted: their files may be back.
    """
    rows = Upload.objects.filter(camera=camera, missing_since__isnull=False)
    rows = rows.filter(state__in=[UploadState.WAITING, UploadState.REJECTED])
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [(row.pk, row.below) for row in rows.only("raw_path").order_by("-pk")[:limit]]
