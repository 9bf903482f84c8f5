"""Resolves a client's path to a review path that the user may review, and a file below it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cameras.folders.ownership import Folders, current_folders
from nvr.audit.actor import Actor
from nvr.errors import BadRequest, Forbidden
from nvr.media.files.paths import error_for, is_inside, resolve_with_mode
from nvr.media.files.system_folders import has_hidden_folder
from reviewer.catalog.media_types import has_unambiguous_name, holds_video, media_type_of
from reviewer.catalog.scanner import PathUnavailable, path_unavailable_reason
from reviewer.models import ReviewPath
from reviewer.non_utf8_names import REPLACED, as_on_disk
from reviewer.registry import known_path, known_paths, normalize_path


class OutsideReview(Forbidden):
    title = "The path is not under a known review path."


class Missing(BadRequest):
    title = "The file does not exist."


class NotMedia(BadRequest):
    title = "The file is neither a picture nor a video."


@dataclass(frozen=True)
class ResolvedPath:
    """A path below a review path. Its folder has no links.

    `root` is the deepest known review path that contains it; `roots` are all that do.
    """

    path: Path
    root: ReviewPath
    roots: tuple[ReviewPath, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class MediaFile(ResolvedPath):
    """A picture or video.

    For a link, `path` is the link, which has marks of its own, and `file` is its target; each of `roots` contains
    both. Otherwise they are the same. `file_stat` describes `file`.
    """

    file_stat: os.stat_result
    file: Path = field(kw_only=True)


def get_review_path(user: Actor, value: Any) -> ReviewPath:
    """Return the known review path. Raises `OutsideReview`, and `BadRequest` for an invalid path."""
    root = known_path(user, value)
    if root is None:
        raise OutsideReview
    return root


def resolve_path(user: Actor, value: Any) -> ResolvedPath:
    """Resolve a path that need not exist.

    Raises `OutsideReview`, also if a link leads out of the review path, and `Missing` for hidden names.
    """
    roots = known_paths(user)
    return locate(resolve_links(path_on_disk(value, roots)), roots)


def path_on_disk(value: Any, roots: Iterable[ReviewPath]) -> str:
    """Return the normalized path, with the names on disk for names that are not UTF-8."""
    path = normalize_path(value)
    if REPLACED in path:
        return next((as_on_disk(path, root.path) for root in roots if is_inside(path, root.path)), path)
    return path


def locate(path: str, roots: Iterable[ReviewPath]) -> ResolvedPath:
    """Raises `OutsideReview` if no root contains the path, and `Missing` for hidden names and system folders."""
    containing = tuple(root for root in roots if is_inside(path, root.path))
    if not containing:
        raise OutsideReview
    root = max(containing, key=lambda root: len(root.path))
    if has_hidden_folder(path[len(root.path) :]):
        raise Missing
    return ResolvedPath(Path(path), root, roots=containing)


def resolve_links(path: str) -> str:
    """Return the path without links. It need not exist."""
    try:
        # One system call; `realpath` needs one for each component.
        return resolve_with_mode(path)[0]
    except OSError:
        return os.path.realpath(path)


def resolve_media(user: Actor, value: Any, known: list[ReviewPath] | None = None) -> MediaFile:
    """Resolve the path of a picture or video. `known`: the user's review paths, if the caller has already read them.

    Raises `OutsideReview`, `Missing`, `NotMedia`, or `PathUnavailable` (not `Missing`) while the volume is missing.
    """
    roots = known_paths(user) if known is None else known
    path = path_on_disk(value, roots)
    target = locate(resolve_links(path), roots)
    listed = target if path == str(target.path) else listed_path(path, target)
    file_stat = stat_file(target)
    if not stat.S_ISREG(file_stat.st_mode):
        raise Missing
    media_type = media_type_of(listed.path.name)
    # A link is listed with the media type of its own name, so its target must have the same one.
    if media_type is None or (listed is not target and media_type != media_type_of(target.path.name)):
        raise NotMedia
    target_path = os.fsencode(target.path)
    if not has_unambiguous_name(target_path) and not holds_video(target_path, file_stat):
        raise NotMedia
    return MediaFile(listed.path, listed.root, file_stat, file=target.path, roots=listed.roots)


def listed_path(path: str, target: ResolvedPath) -> ResolvedPath:
    """Return the path under which `path` is listed: a link under its own name if one review path contains both."""
    folder, _, name = path.rpartition("/")
    try:
        return locate(f"{resolve_links(folder or '/').rstrip('/')}/{name}", target.roots)
    except OutsideReview:
        return target


def stat_file(resolved: ResolvedPath) -> os.stat_result:
    """Raises `Missing`, `PathUnavailable` and `StorageFault`."""
    try:
        return os.stat(resolved.path)  # noqa: PTH116 - runs for every picture
    except FileNotFoundError:
        raise missing_error(resolved.root) from None
    except OSError as fault:
        error = error_for(fault)
        if error.status == HTTPStatus.NOT_FOUND:
            raise missing_error(resolved.root) from fault
        raise error from fault


def missing_error(root: ReviewPath) -> Missing | PathUnavailable:
    """Return the error for a missing file. While the volume is missing, its files must not be reported as deleted."""
    reason = path_unavailable_reason(root)
    return PathUnavailable(reason) if reason else Missing()


def camera_of(resolved: ResolvedPath, folders: Folders | None = None) -> int | None:
    """Return the camera that the file belongs to. `folders`: the camera folders, if already read."""
    owners = (folders or current_folders()).owners_of(resolved.path)
    return min(owners, default=None)
