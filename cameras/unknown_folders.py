"""Folders below the camera root that hold pictures or videos and belong to no camera: somebody uploads into them.

They are offered to who may add cameras; nothing is added by itself. Of folders within each other the topmost is
offered, since most cameras make folders of their own for days and hours; one that also holds cameras' folders is not
one camera's, so that each of its other folders is offered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from os import DirEntry
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from django.conf import settings
from django.core.exceptions import ValidationError

from cameras.concurrent_probe import ConcurrentProbe
from cameras.folder_index import MAX_DEPTH
from cameras.folder_ownership import Folders, current_folders
from cameras.models import Camera, sees_all
from cameras.validation import clean_folder_path, clean_new_name
from nvr.media.files.content_types import is_image, is_video
from nvr.media.files.paths import is_inside
from nvr.media.files.system_folders import is_system_folder

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

SEARCH_TIMEOUT_S = 2.0
TIMEOUT_S = 2.5  # for a search that keeps its own limit, and a little more
QUICK_TIMEOUT_S = 0.15
RECENT_S = 20
MAX_ENTRIES = 10_000
ROOT_PK = 0  # of no camera
MAX_SUGGESTED = 20
MAX_KEYS = 300  # a cookie has 4 KiB


@dataclass(frozen=True)
class UnknownFolder:
    """`path` as a camera's folder would be configured; `name` may be empty; `fault` tells why it can be no camera's."""

    path: str
    name: str
    fault: str


@dataclass(frozen=True)
class FolderSuggestions:
    """Up to `MAX_SUGGESTED` folders by name, how many `more` there are, and in `note` why there may be others.

    `keys` names the first `MAX_KEYS` of them all, as the cookie of closed notices does: see `key_of`.
    """

    folders: list[UnknownFolder]
    more: int = 0
    note: str = ""
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SearchResult:
    """Folders by their place below the camera root, and why the search ended early, if it did."""

    below: list[str]
    note: str = ""


class SearchLimitReached(Exception):
    """One of the search's limits is reached; the message says which."""


def suggestions_for(user: User | AbstractBaseUser | AnonymousUser) -> FolderSuggestions:
    """What `user` may add; nothing for who may not add cameras, or does not see all that there is below the root."""
    if not may_add(user):
        return FolderSuggestions([])
    folders = current_folders()
    result = _probe.run([root_camera()], partial(probe, folders=folders)).get(ROOT_PK) or timeout_result(root_camera())
    return suggestions_from(result, folders)


def recent_suggestions_for(
    user: User | AbstractBaseUser | AnonymousUser, closed: frozenset[str] = frozenset()
) -> FolderSuggestions:
    """The same for a page that must not wait: of the last search, if it is fresh, else of one that ends at once.

    A search that takes longer goes on; its result is there for the next page. Folders whose keys are in `closed`
    are left out: the user has closed the notice of them.
    """
    if not may_add(user):
        return FolderSuggestions([])
    folders, root = current_folders(), root_camera()
    known = _recent.get(root.folder_path)
    if known is None or time.monotonic() - known[0] > RECENT_S:
        _quick_probe.run([root], partial(probe_and_remember, folders=folders))
        known = _recent.get(root.folder_path)
    return suggestions_from(known[1], folders, closed) if known else FolderSuggestions([])


def may_add(user: User | AbstractBaseUser | AnonymousUser) -> bool:
    allowed = user.is_active and user.has_perm("cameras.add_camera")  # type: ignore[attr-defined]
    return bool(allowed and sees_all(user))


def root_camera() -> Camera:
    """The camera root as a camera's folder, so that a `ConcurrentProbe` can look at it."""
    return Camera(pk=ROOT_PK, folder_path=str(settings.NVR_CAMERA_ROOT))


def register_used_folders(paths: Callable[[], Iterable[str]]) -> None:
    """An app above uses these folders in its own way (absolute, without links): they are nobody's lost uploads."""
    _used_folder_sources.append(paths)


def key_of(path: str) -> str:
    """Names a folder in the cookie of closed notices, which must stay small."""
    return f"{crc32(os.fsencode(path)):08x}"


def suggestions_from(result: SearchResult, folders: Folders, closed: frozenset[str] = frozenset()) -> FolderSuggestions:
    taken = set(folders.configured.values())  # perhaps only since the search, which others share
    used = folders_used_by_apps()
    root = str(Path(settings.NVR_CAMERA_ROOT))
    # Each poll of the live view asks: of perhaps ten thousand folders only those that are shown are described.
    found = [below for below in result.below if f"{root}/{below}" not in taken and not is_below_any(below, used)]
    if closed:
        found = [below for below in found if key_of(f"{root}/{below}") not in closed]
    notes = [result.note, *(note_on_trashed(folders) if found else [])]
    return FolderSuggestions(
        [unknown_folder(below) for below in found[:MAX_SUGGESTED]],
        max(0, len(found) - MAX_SUGGESTED),
        " ".join(note for note in notes if note),
        [key_of(f"{root}/{below}") for below in found[:MAX_KEYS]],
    )


def folders_used_by_apps() -> set[str]:
    """Folders that an app above uses, by their place below the camera root."""
    base = os.path.realpath(settings.NVR_CAMERA_ROOT)
    paths = (path for paths in _used_folder_sources for path in paths())
    return {os.path.relpath(path, base) for path in paths if Path(base) in Path(path).parents}


def is_below_any(below: str, places: set[str]) -> bool:
    """Whether it is one of `places` or lies in one."""
    while below and below not in places:
        below = below.rpartition("/")[0]
    return bool(below)


def trashed_containing_root(folders: Folders) -> frozenset[int]:
    """Cameras in the trash whose folder is, or holds, the camera root: all below it would be theirs.

    Nothing of a trashed camera is processed, so what arrives there would go unnoticed until the camera is purged.
    """
    live = {camera.pk for camera in folders.live.values()}
    around = (pk for pk, place in folders.resolved.items() if is_inside(folders.base, place))
    return frozenset(around) - live - folders.redirected


def note_on_trashed(folders: Folders) -> list[str]:
    names = Camera.everything.filter(pk__in=trashed_containing_root(folders)).values_list("name", flat=True)
    return [f"They may also be folders of {name}, a camera in the trash that holds the camera root." for name in names]


def unknown_folder(below: str) -> UnknownFolder:
    path = str(Path(settings.NVR_CAMERA_ROOT, below))
    return UnknownFolder(os.fsencode(path).decode("utf-8", "replace"), name_for(path), fault_in(path))


def name_for(path: str) -> str:
    """A camera's name made from its folder's; empty if none follows."""
    words = " ".join(Path(path).name.replace("_", " ").replace("-", " ").split())
    try:
        return clean_new_name(words[:1].upper() + words[1:])
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
    """What lies below the root, as far as a search within its limits comes."""
    search, note = Search(os.path.realpath(root.folder_path), folders), ""
    try:
        search.run()
    except SearchLimitReached as limit:
        note = f"The search ended {limit}: there may be more."
    except OSError as fault:
        note = f"The camera root {root.folder_path} cannot be read ({fault.strerror})."
    return SearchResult(sorted(search.found), note)


def timeout_result(root: Camera) -> SearchResult:
    return SearchResult([], f"The camera root {root.folder_path} does not answer: check its disk or mount.")


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
_recent: dict[str, tuple[float, SearchResult]] = {}  # by the camera root: when it was searched, and what was found


class Search:
    """One search below `base` (without symlinks). Hidden, system and cameras' folders, and links, are not entered."""

    def __init__(self, base: str, folders: Folders) -> None:
        self.base, self.folders, self.ignored_cameras = base, folders, trashed_containing_root(folders)
        self.above = {str(parent) for holder in folders.cameras_by_folder for parent in Path(holder).parents}
        self.entries_left, self.deadline = MAX_ENTRIES, time.monotonic() + SEARCH_TIMEOUT_S
        self.found: list[str] = []  # below `base`

    def run(self) -> None:
        """Raises `SearchLimitReached`, or `OSError` if `base` cannot be read; `found` keeps the folders until then."""
        waiting = [self.base]
        while waiting:
            place, told = waiting.pop(), False
            for entry in self.entries(place):
                if is_folder(entry):
                    waiting += self.folders_to_enter(entry.path)
                elif not told and place != self.base and is_media(entry):
                    told = True
                    self.add(place)

    def folders_to_enter(self, folder: str) -> list[str]:
        """The folder itself, if cameras' folders lie in it; else it is none or one of the unknown ones."""
        if self.folders.owners_of(f"{folder}/") - self.ignored_cameras:
            return []
        if folder in self.above:
            return [folder]
        if self.holds_media(folder):
            self.add(folder)
        return []

    def holds_media(self, folder: str) -> bool:
        waiting = [(folder, 0)]
        while waiting:
            place, depth = waiting.pop()
            for entry in self.entries(place):
                if is_media(entry):
                    return True
                if depth < MAX_DEPTH and is_folder(entry):  # deeper, a camera's files are not seen either
                    waiting.append((entry.path, depth + 1))
        return False

    def entries(self, place: str) -> Iterator[DirEntry[str]]:
        """What is not hidden. Of a folder that we may not read nothing can be told, except of `base`: `OSError`."""
        try:
            with os.scandir(place) as listing:
                for entry in listing:
                    self.count_entry()
                    if not entry.name.startswith("."):
                        yield entry
        except OSError:
            if place == self.base:
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
