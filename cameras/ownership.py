"""Whose a file is: the camera's with the deepest folder that holds it, trashed cameras included.

Where the folders really lie is looked at in threads, so that one on a disk that hangs keeps nobody waiting but its
own readers; and those are refused while it does, so that they do not take up all of the server's threads.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from cameras.folder_index import FolderUnreadable
from cameras.lookout import Lookout
from cameras.models import Camera, ListVersion

# A change to a camera counts at once. A folder that becomes a link to elsewhere, without one, counts after this.
RESOLVED_FOR_S = 2.0
PATIENCE_S = 1.0
NO_ANSWER = ""


@dataclass(frozen=True)
class Folders:
    """All cameras' folders as they were when the list had the number `version`; `resolved` is without symlinks.

    The folders of the cameras in `silent` do not answer; they stand where they were last seen.
    """

    version: int
    read_at: float
    written: dict[int, str]
    resolved: dict[int, str]
    holders: dict[str, frozenset[int]]
    silent: frozenset[int]

    def is_current(self, version: int) -> bool:
        return version == self.version and time.monotonic() - self.read_at < RESOLVED_FOR_S

    def owners_of(self, file: Path) -> frozenset[int]:
        """Primary keys of the cameras whose folder is the deepest that holds `file`; one, unless two share a folder."""
        for folder in file.parents:
            if owners := self.holders.get(str(folder)):
                return owners
        return frozenset()

    def inside(self, folder: Path) -> frozenset[str]:
        """Cameras' folders below `folder` (without symlinks): what lies in them is theirs alone."""
        return frozenset(other for other in self.holders if other.startswith(f"{folder}/"))


_lookout: Lookout[str] = Lookout(late=lambda camera: NO_ANSWER, patience_s=PATIENCE_S, name="folders")
_known: Folders | None = None
_lock = threading.Lock()


def folders_for(camera: Camera, known: Folders | None = None) -> Folders:
    """All folders, with that of `camera` as it is written there. Raises `FolderUnreadable` if it does not answer.

    Who asks for many cameras asks `current_folders` once, and gives what is `known`: then this costs no query.
    """
    folders = folders_with(camera, known)
    if camera.pk in folders.silent:
        raise FolderUnreadable(f"The folder {camera.folder_path} does not answer: check its disk or mount.")
    return folders


def cameras_around(folder_path: str) -> frozenset[int]:
    """Primary keys of the cameras in whose folder `folder_path` lies, as it is written and without symlinks."""
    asked = Camera(pk=0, folder_path=folder_path)
    resolved = _lookout.see([asked], lambda camera: os.path.realpath(camera.folder_path)).get(asked.pk)
    folders = current_folders(again=True)
    around: set[int] = set()
    for place in {folder_path, resolved or folder_path}:
        for folder in (Path(place), *Path(place).parents):
            around |= folders.holders.get(str(folder), frozenset())
            around |= {pk for pk, written in folders.written.items() if written == str(folder)}
    return frozenset(around)


def folders_with(camera: Camera, known: Folders | None = None) -> Folders:
    """The same, also while the camera's folder does not answer."""
    folders = known or current_folders()
    return folders if folders.written.get(camera.pk) == camera.folder_path else current_folders(again=True)


def current_folders(*, again: bool = False) -> Folders:
    global _known
    version = ListVersion.current()
    with _lock:
        if _known is None or again or not _known.is_current(version):
            _known = read_folders(version, _known)
        return _known


def read_folders(version: int, before: Folders | None) -> Folders:
    cameras = list(Camera.everything.only("pk", "folder_path").order_by())
    seen = _lookout.see(cameras, lambda camera: os.path.realpath(camera.folder_path))
    resolved = {camera.pk: seen.get(camera.pk) or last_place_of(camera, before) for camera in cameras}
    holders: dict[str, frozenset[int]] = {}
    for pk, folder in resolved.items():
        holders[folder] = holders.get(folder, frozenset()) | {pk}
    return Folders(
        version=version,
        read_at=time.monotonic(),
        written={camera.pk: camera.folder_path for camera in cameras},
        resolved=resolved,
        holders=holders,
        silent=frozenset(pk for pk, folder in seen.items() if folder == NO_ANSWER),
    )


def last_place_of(camera: Camera, before: Folders | None) -> str:
    if before is not None and before.written.get(camera.pk) == camera.folder_path:
        return before.resolved[camera.pk]
    return camera.folder_path
