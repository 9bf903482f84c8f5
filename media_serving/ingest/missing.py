"""A file that is not at its place: was it deleted, or is its storage away?

A disk that is unmounted, a folder that is renamed for a minute and a script that tidies up look alike for the one
file. What tells them apart is what lay around it: only where that is still there was the file alone deleted. In doubt
it is waited for; and also what was taken for deleted is looked for again at each scan.
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
    """It is not there, and nor is what lay beside it; `is_deletable`: after hours it counts as deleted."""

    title = "Neither the file nor those that lay beside it are there now"

    def __init__(self, detail: str = "", *, is_deletable: bool = True) -> None:
        super().__init__(detail)
        self.is_deletable = is_deletable


def check_folder(camera: Camera) -> None:
    """Raises `StorageFault` if the camera's folder is missing, does not answer, or has lost its volume."""
    if reason := unavailable_reason(Path(camera.folder_path), camera.remembered_mount):
        raise StorageFault(reason)


def meaning_of(upload: Upload) -> NvrError:
    """What it means that the upload's file is not there: `StorageFault`, `Missing`, or `NoSuchFile` if it was deleted.

    The disk is asked: not for use inside of a transaction.
    """
    try:
        check_folder(upload.camera)
    except StorageFault as fault:
        return fault
    neighbours = neighbours_of(upload)
    if not neighbours:
        return NoSuchFile()
    if is_empty(Path(upload.camera.folder_path)):
        detail = f"The folder {upload.camera.folder_path} is empty now: check whether its disk is mounted."
        return Missing(detail, is_deletable=False)
    here = upload.below.rpartition(b"/")[0]
    beside = [name for name in neighbours if name.rpartition(b"/")[0] == here]
    root = os.fsencode(upload.camera.folder_path)
    return NoSuchFile() if any(os.path.lexists(root + b"/" + name) for name in beside or neighbours) else Missing()


def neighbours_of(upload: Upload) -> list[bytes]:
    """Names below the camera's folder of files that came before and after it and ought to be there."""
    others = Upload.objects.filter(camera=upload.camera_id).exclude(path_digest=upload.path_digest)
    others = others.exclude(state=UploadState.REJECTED, missing_since__isnull=False)
    before = others.filter(received_at__lte=upload.received_at).order_by("-received_at", "-pk")
    after = others.filter(received_at__gt=upload.received_at).order_by("received_at", "pk")
    return [row.below for rows in (before, after) for row in rows.only("raw_path")[:NEIGHBOURS]]


def is_empty(folder: Path) -> bool:
    """Whether nothing lies in it but what systems leave everywhere."""
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            return not any(is_content(entry) for entry in entries)
    except OSError:
        return True


def is_content(entry: os.DirEntry[bytes]) -> bool:
    is_folder = entry.is_dir(follow_symlinks=False)
    return not is_hidden_folder(entry.name) if is_folder else is_upload(entry.name)


def names_of_missing(camera: Camera, *, before: int | None, limit: int) -> list[tuple[int, bytes]]:
    """Primary keys and names of what was not there when it was to be read; the latest first, beginning below `before`.

    Also of what was taken for deleted: it may be there again.
    """
    rows = Upload.objects.filter(camera=camera, missing_since__isnull=False)
    rows = rows.filter(state__in=[UploadState.WAITING, UploadState.REJECTED])
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [(row.pk, row.below) for row in rows.only("raw_path").order_by("-pk")[:limit]]
