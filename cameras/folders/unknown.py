"""Finds folders below the camera root that contain pictures or videos but belong to no camera.

They are suggested to users who may add cameras; nothing is added automatically. Of nested folders only the topmost is
suggested, because most cameras create subfolders for days and hours. A folder that also contains cameras' folders is
not suggested itself; its other subfolders are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from os import DirEntry
from pathlib import Path
from zlib import crc32

from django.conf import settings
from django.core.exceptions import ValidationError

from cameras.folders.concurrent_probe import ConcurrentProbe
from cameras.folders.index import MAX_DEPTH
from cameras.folders.ownership import Folders, current_folders
from cameras.models import Camera, sees_all
from cameras.validation import clean_folder_path, clean_new_name
from nvr.audit.actor import Actor
from nvr.media.files.content_types import is_image, is_video
from nvr.media.files.paths import is_inside
from nvr.media.files.system_folders import is_system_folder

SEARCH_TIMEOUT_S = 2.0
TIMEOUT_S = 2.5  # slightly more than the search's own limit
QUICK_TIMEOUT_S = 0.15  # a page waits for it
RECENT_S = 20  # the live view polls every few seconds: it shares results
MAX_ENTRIES = 10_000
ROOT_PK = 0  # no camera has it
MAX_SUGGESTED = 20  # shown with their paths; more are counted
MAX_KEYS = 300  # a cookie has 4 KiB


@dataclass(frozen=True)
class UnknownFolder:
    """`path` as it would be configured; `name` may be empty; `fault` is why it cannot be a camera's folder, if so."""

    path: str
    name: str
    fault: str


@dataclass(frozen=True)
class FolderSuggestions:
    """Up to `MAX_SUGGESTED` folders by name, how many `more` there are, and a `note` on why others may be missing.

    `keys` are the keys of the first `MAX_KEYS` folders, as in the cookie of dismissed notices: see `key_of`.
    """

    folders: list[UnknownFolder]
    more: int = 0
    note: str = ""
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SearchResult:
    """Folders relative to the camera root, and a note if the search stopped early."""

    below: list[str]
    note: str = ""


class SearchLimitReached(Exception):
    """The search has reached a limit; the message contains it."""


def suggestions_for(user: Actor) -> FolderSuggestions:
    """Folders that `user` may add; none for users who may not add cameras or do not see all cameras."""
    if not may_add(user):
        return FolderSuggestions([])
    folders = current_folders()
    result = _probe.run([root_camera()], partial(probe, folders=folders)).get(ROOT_PK) or timeout_result(root_camera())
    return suggestions_from(result, folders)


def recent_suggestions_for(user: Actor, dismissed: frozenset[str] = frozenset()) -> FolderSuggestions:
    """The same for a page that must not wait: from a search in the last `RECENT_S`, else from a quick new one.

    A search that takes longer continues, and the next page gets its result. Folders whose keys are in `dismissed` are
    left out.
    """
    if not may_add(user):
        return FolderSuggestions([])
    folders, root = current_folders(), root_camera()
    known = _recent.get(root.folder_path)
    if known is None or time.monotonic() - known[0] > RECENT_S:
        _quick_probe.run([root], partial(probe_and_remember, folders=folders))
        known = _recent.get(root.folder_path)
    return suggestions_from(known[1], folders, dismissed) if known else FolderSuggestions([])


def may_add(user: Actor) -> bool:
    allowed = user.is_active and user.has_perm("cameras.add_camera")
    return bool(allowed and sees_all(user))


def root_camera() -> Camera:
    """An unsaved camera with the camera root as its folder, for `ConcurrentProbe`."""
    return Camera(pk=ROOT_PK, folder_path=str(settings.NVR_CAMERA_ROOT))


def register_used_folders(paths: Callable[[], Iterable[str]]) -> None:
    """Register folders that an app above uses (absolute, symlinks resolved), so that they are not suggested."""
    _used_folder_sources.append(paths)


def key_of(path: str) -> str:
    """A short key for a folder in the cookie of dismissed notices."""
    return f"{crc32(os.fsencode(path)):08x}"


def suggestions_from(
    result: SearchResult, folders: Folders, dismissed: frozenset[str] = frozenset()
) -> FolderSuggestions:
    taken = set(folders.configured.values())  # may have been added since the search, whose result is shared
    used = folders_used_by_apps()
    root = str(Path(settings.NVR_CAMERA_ROOT))
    # Each poll of the live view calls this: of possibly ten thousand folders, describe only those that are shown.
    found = [below for below in result.below if f"{root}/{below}" not in taken and not is_below_any(below, used)]
    if dismissed:
        found = [below for below in found if key_of(f"{root}/{below}") not in dismissed]
    notes = [result.note, *(note_on_trashed(folders) if found else [])]
    return FolderSuggestions(
        [unknown_folder(below) for below in found[:MAX_SUGGESTED]],
        max(0, len(found) - MAX_SUGGESTED),
        " ".join(note for note in notes if note),
        [key_of(f"{root}/{below}") for below in found[:MAX_KEYS]],
    )


def folders_used_by_apps() -> set[str]:
    """Folders that apps above use, relative to the camera root."""
    base = os.path.realpath(settings.NVR_CAMERA_ROOT)
    paths = (path for paths in _used_folder_sources for path in paths())
    return {os.path.relpath(path, base) for path in paths if Path(base) in Path(path).parents}


def is_below_any(below: str, folders: set[str]) -> bool:
    """Whether `below` is one of `folders` or inside one."""
    while below and below not in folders:
        below = below.rpartition("/")[0]
    return bool(below)


def trashed_containing_root(folders: Folders) -> frozenset[int]:
    """Trashed cameras whose folder is, or contains, the camera root, and which would own all files below it.

    They are ignored: files of trashed cameras are not processed, so new uploads would stay unnoticed until the purge.
    """
    live = {camera.pk for camera in folders.live.values()}
    around = (pk for pk, folder in folders.resolved.items() if is_inside(folders.base, folder))
    return frozenset(around) - live - folders.redirected


def note_on_trashed(folders: Folders) -> list[str]:
    names = Camera.everything.filter(pk__in=trashed_containing_root(folders)).values_list("name", flat=True)
    return [
        f"They may also belong to {name}, a camera in the trash whose folder contains the camera root."
        for name in names
    ]


def unknown_folder(below: str) -> UnknownFolder:
    path = str(Path(settings.NVR_CAMERA_ROOT, below))
    return UnknownFolder(os.fsencode(path).decode("utf-8", "replace"), name_for(path), fault_in(path))


def name_for(path: str) -> str:
    """A camera name derived from the folder's name; empty if that is not possible."""
    name = " ".join(Path(path).name.replace("_", " ").replace("-", " ").split())
    try:
        return clean_new_name(name[:1].upper() + name[1:])
    except ValidationError:
        return ""


def fault_in(path: str) -> str:
    try:
        path.encode()
        clean_folder_path(path)
    except UnicodeEncodeError:
        return "Its name is not UTF-8: rename it to add it."
    except ValidationError as error:
        return f"A camera's folder {error.message.rstrip('.')}: rename it to add it."
    return ""


def probe(root: Camera, *, folders: Folders) -> SearchResult:
    """Search below the root, up to the limits of the search."""
    search, note = Search(os.path.realpath(root.folder_path), folders), ""
    try:
        search.run()
    except SearchLimitReached as limit:
        note = f"The search stopped {limit}: there may be more."
    except OSError as fault:
        note = f"The camera root {root.folder_path} cannot be read ({fault.strerror})."
    return SearchResult(sorted(search.found), note)


def timeout_result(root: Camera) -> SearchResult:
    return SearchResult([], f"The camera root {root.folder_path} does not respond: check its disk or mount.")


def probe_and_remember(root: Camera, *, folders: Folders) -> SearchResult:
    result = probe(root, folders=folders)
    _recent[root.folder_path] = (time.monotonic(), result)
    return result


_probe: ConcurrentProbe[SearchResult] = ConcurrentProbe(
    late=timeout_result, timeout_s=TIMEOUT_S, name="unknown-folders"
)
_quick_probe: ConcurrentProbe[SearchResult] = ConcurrentProbe(
    late=timeout_result, timeout_s=QUICK_TIMEOUT_S, name="unknown-folders-quick"
)
_used_folder_sources: list[Callable[[], Iterable[str]]] = []
_recent: dict[str, tuple[float, SearchResult]] = {}  # by camera root: time and result of the last search


class Search:
    """One search below `base` (symlinks resolved). It skips hidden, system and cameras' folders, and symlinks."""

    def __init__(self, base: str, folders: Folders) -> None:
        self.base, self.folders, self.ignored_cameras = base, folders, trashed_containing_root(folders)
        # Folders that contain cameras' folders, at any depth.
        self.above = {str(parent) for holder in folders.cameras_by_folder for parent in Path(holder).parents}
        self.entries_left, self.deadline = MAX_ENTRIES, time.monotonic() + SEARCH_TIMEOUT_S
        self.found: list[str] = []  # below `base`

    def run(self) -> None:
        """Raises `SearchLimitReached`, or `OSError` if `base` cannot be read; `found` keeps the folders until then."""
        pending = [self.base]
        while pending:
            directory, is_added = pending.pop(), False
            for entry in self.entries(directory):
                if is_folder(entry):
                    pending += self.folders_to_enter(entry.path)
                elif not is_added and directory != self.base and is_media(entry):
                    is_added = True
                    self.add(directory)

    def folders_to_enter(self, folder: str) -> list[str]:
        """The folder itself if it contains cameras' folders; otherwise nothing, after adding it if it is unknown."""
        if self.folders.owners_of(f"{folder}/") - self.ignored_cameras:
            return []
        if folder in self.above:
            return [folder]
        if self.holds_media(folder):
            self.add(folder)
        return []

    def holds_media(self, folder: str) -> bool:
        pending = [(folder, 0)]
        while pending:
            directory, depth = pending.pop()
            for entry in self.entries(directory):
                if is_media(entry):
                    return True
                if depth < MAX_DEPTH and is_folder(entry):  # a camera's files are not found deeper either
                    pending.append((entry.path, depth + 1))
        return False

    def entries(self, directory: str) -> Iterator[DirEntry[str]]:
        """Entries that are not hidden; none if the folder cannot be read. For `base` that raises `OSError`."""
        try:
            with os.scandir(directory) as listing:
                for entry in listing:
                    self.count_entry()
                    if not entry.name.startswith("."):
                        yield entry
        except OSError:
            if directory == self.base:
                raise

    def count_entry(self) -> None:
        if not self.entries_left:
            raise SearchLimitReached(f"after {MAX_ENTRIES} entries")
        if time.monotonic() > self.deadline:
            raise SearchLimitReached(f"after {SEARCH_TIMEOUT_S:g} s")
        self.entries_left -= 1

    def add(self, folder: str) -> None:
        self.found.append(os.path.relpath(folder, self.base))


def is_folder(entry: DirEntry[str]) -> bool:
    try:
        return not is_system_folder(entry.name) and entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def is_media(entry: DirEntry[str]) -> bool:
    try:
        return (is_image(entry.name) or is_video(entry.name)) and entry.is_file(follow_symlinks=False)
    except OSError:
        return False
