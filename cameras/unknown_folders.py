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

SEARCH_S = 2.0
TIMEOUT_S = 2.5  # for a search that keeps its own limit, and a little more
QUICK_S = 0.15
FRESH_S = 20
MAX_ENTRIES = 10_000
ROOT_PK = 0  # of no camera
SHOWN = 20
MAX_KEYS = 300  # a cookie has 4 KiB


@dataclass(frozen=True)
class UnknownFolder:
    """`path` as a camera's folder would be written; `name` may be empty; `fault` tells why it can be no camera's."""

    path: str
    name: str
    fault: str


@dataclass(frozen=True)
class Offer:
    """Up to `SHOWN` folders by name, how many `more` there are, and in `note` why there may be others.

    `keys` names the first `MAX_KEYS` of them all, as the cookie of closed notices does: see `key_of`.
    """

    folders: list[UnknownFolder]
    more: int = 0
    note: str = ""
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """Folders by their place below the camera root, and why the search ended early, if it did."""

    below: list[str]
    note: str = ""


class SearchEnded(Exception):
    """One of the search's limits is reached; the message says which."""


def offer_for(user: User | AbstractBaseUser | AnonymousUser) -> Offer:
    """What `user` may add; nothing for who may not add cameras, or does not see all that there is below the root."""
    if not may_add(user):
        return Offer([])
    folders = current_folders()
    finding = _probe.run([the_root()], partial(probe, folders=folders)).get(ROOT_PK) or not_answering(the_root())
    return offer_of(finding, folders)


def recent_offer_for(user: User | AbstractBaseUser | AnonymousUser, closed: frozenset[str] = frozenset()) -> Offer:
    """The same for a page that must not wait: of the last search, if it is fresh, else of one that ends at once.

    A search that takes longer goes on; its finding is there for the next page. Folders whose keys are in `closed`
    are left out: the user has closed the notice of them.
    """
    if not may_add(user):
        return Offer([])
    folders, root = current_folders(), the_root()
    known = _recent.get(root.folder_path)
    if known is None or time.monotonic() - known[0] > FRESH_S:
        _quick_probe.run([root], partial(probe_and_remember, folders=folders))
        known = _recent.get(root.folder_path)
    return offer_of(known[1], folders, closed) if known else Offer([])


def may_add(user: User | AbstractBaseUser | AnonymousUser) -> bool:
    allowed = user.is_active and user.has_perm("cameras.add_camera")  # type: ignore[attr-defined]
    return bool(allowed and sees_all(user))


def the_root() -> Camera:
    """The camera root as a camera's folder, so that a `ConcurrentProbe` can look at it."""
    return Camera(pk=ROOT_PK, folder_path=str(settings.NVR_CAMERA_ROOT))


def register_used_folders(paths: Callable[[], Iterable[str]]) -> None:
    """An app above uses these folders in its own way (absolute, without links): they are nobody's lost uploads."""
    _elsewhere.append(paths)


def key_of(path: str) -> str:
    """Names a folder in the cookie of closed notices, which must stay small."""
    return f"{crc32(os.fsencode(path)):08x}"


def offer_of(finding: Finding, folders: Folders, closed: frozenset[str] = frozenset()) -> Offer:
    taken = set(folders.written.values())  # perhaps only since the search, which others share
    used = used_elsewhere()
    root = str(Path(settings.NVR_CAMERA_ROOT))
    # Each poll of the live view asks: of perhaps ten thousand folders only those that are shown are described.
    found = [below for below in finding.below if f"{root}/{below}" not in taken and not is_below_any(below, used)]
    if closed:
        found = [below for below in found if key_of(f"{root}/{below}") not in closed]
    notes = [finding.note, *(note_on_trashed(folders) if found else [])]
    return Offer(
        [unknown_folder(below) for below in found[:SHOWN]],
        max(0, len(found) - SHOWN),
        " ".join(note for note in notes if note),
        [key_of(f"{root}/{below}") for below in found[:MAX_KEYS]],
    )


def used_elsewhere() -> set[str]:
    """Folders that an app above uses, by their place below the camera root."""
    base = os.path.realpath(settings.NVR_CAMERA_ROOT)
    paths = (path for paths in _elsewhere for path in paths())
    return {os.path.relpath(path, base) for path in paths if Path(base) in Path(path).parents}


def is_below_any(below: str, places: set[str]) -> bool:
    """Whether it is one of `places` or lies in one."""
    while below and below not in places:
        below = below.rpartition("/")[0]
    return bool(below)


def trashed_around_root(folders: Folders) -> frozenset[int]:
    """Cameras in the trash whose folder is, or holds, the camera root: all below it would be theirs.

    Nothing of a trashed camera is processed, so what arrives there would go unnoticed until the camera is purged.
    """
    live = {camera.pk for camera in folders.live.values()}
    around = (pk for pk, place in folders.resolved.items() if is_inside(folders.base, place))
    return frozenset(around) - live - folders.strayed


def note_on_trashed(folders: Folders) -> list[str]:
    names = Camera.everything.filter(pk__in=trashed_around_root(folders)).values_list("name", flat=True)
    return [f"They may also be folders of {name}, a camera in the trash that holds the camera root." for name in names]


def unknown_folder(below: str) -> UnknownFolder:
    path = str(Path(settings.NVR_CAMERA_ROOT, below))
    return UnknownFolder(os.fsencode(path).decode("utf-8", "replace"), name_for(path), fault_of(path))


def name_for(path: str) -> str:
    """A camera's name made from its folder's; empty if none follows."""
    words = " ".join(Path(path).name.replace("_", " ").replace("-", " ").split())
    try:
        return clean_new_name(words[:1].upper() + words[1:])
    except ValidationError:
        return ""


def fault_of(path: str) -> str:
    try:
        path.encode()
        clean_folder_path(path)
    except UnicodeEncodeError:
        return "Its name is not UTF-8: rename it to add it."
    except ValidationError as error:
        return f"A camera's folder {error.message.rstrip('.')}: rename it to add it."
    return ""


def probe(root: Camera, *, folders: Folders) -> Finding:
    """What lies below the root, as far as a search within its limits comes."""
    search, note = Search(os.path.realpath(root.folder_path), folders), ""
    try:
        search.run()
    except SearchEnded as limit:
        note = f"The search ended {limit}: there may be more."
    except OSError as fault:
        note = f"The camera root {root.folder_path} cannot be read ({fault.strerror})."
    return Finding(sorted(search.found), note)


def not_answering(root: Camera) -> Finding:
    return Finding([], f"The camera root {root.folder_path} does not answer: check its disk or mount.")


def probe_and_remember(root: Camera, *, folders: Folders) -> Finding:
    finding = probe(root, folders=folders)
    _recent[root.folder_path] = (time.monotonic(), finding)
    return finding


_probe: ConcurrentProbe[Finding] = ConcurrentProbe(late=not_answering, timeout_s=TIMEOUT_S, name="unknown-folders")
_quick_probe: ConcurrentProbe[Finding] = ConcurrentProbe(
    late=not_answering, timeout_s=QUICK_S, name="unknown-folders-quick"
)
_elsewhere: list[Callable[[], Iterable[str]]] = []
_recent: dict[str, tuple[float, Finding]] = {}  # by the camera root: when it was searched, and what was found


class Search:
    """One search below `base` (without symlinks). Hidden, system and cameras' folders, and links, are not entered."""

    def __init__(self, base: str, folders: Folders) -> None:
        self.base, self.folders, self.passed_over = base, folders, trashed_around_root(folders)
        self.above = {str(parent) for holder in folders.holders for parent in Path(holder).parents}
        self.entries_left, self.deadline = MAX_ENTRIES, time.monotonic() + SEARCH_S
        self.found: list[str] = []  # below `base`

    def run(self) -> None:
        """Raises `SearchEnded`, and `OSError` if `base` itself cannot be read; what was found by then is there."""
        waiting = [self.base]
        while waiting:
            place, told = waiting.pop(), False
            for entry in self.entries(place):
                if is_folder(entry):
                    waiting += self.to_be_entered(entry.path)
                elif not told and place != self.base and is_media(entry):
                    told = True
                    self.note(place)

    def to_be_entered(self, folder: str) -> list[str]:
        """The folder itself, if cameras' folders lie in it; else it is none or one of the unknown ones."""
        if self.folders.owners_of(f"{folder}/") - self.passed_over:
            return []
        if folder in self.above:
            return [folder]
        if self.holds_media(folder):
            self.note(folder)
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
                    self.count_one()
                    if not entry.name.startswith("."):
                        yield entry
        except OSError:
            if place == self.base:
                raise

    def count_one(self) -> None:
        if not self.entries_left:
            raise SearchEnded(f"after {MAX_ENTRIES} entries")
        if time.monotonic() > self.deadline:
            raise SearchEnded(f"after {SEARCH_S:g} s")
        self.entries_left -= 1

    def note(self, folder: str) -> None:
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
