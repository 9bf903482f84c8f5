"""Resolve untrusted names to files inside a root: the only module that does this."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nvr.errors import BadRequest, Forbidden, Invalid, NotFound, NvrError, Unavailable
from nvr.media.files.system_folders import is_hidden_folder

# Errors caused by the name or by missing permissions. All others mean that the storage does not respond.
NAME_ERRORS = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EACCES,
    errno.EPERM,
    errno.EINVAL,  # a character that this file system does not support
    errno.EILSEQ,
    errno.ENXIO,  # opening a socket
    errno.ENODEV,
}


class PathTraversal(Forbidden):
    title = "Path traversal detected"


class NulInPath(BadRequest):
    title = "A path cannot contain a NUL character"


class OutsideRoot(Forbidden):
    title = "File outside allowed directory"


class NoSuchFile(NotFound):
    title = "File not found"


class StorageFault(Unavailable):
    """The storage did not respond (EIO, ESTALE, …): never treat this as a missing file."""

    title = "The storage does not respond"


class NotAbsolute(Invalid):
    title = "The path must begin with /"


def error_for(fault: OSError) -> NvrError:
    """Translate an `OSError` to `NoSuchFile` or `StorageFault`."""
    if fault.errno in NAME_ERRORS:
        return NoSuchFile()
    return StorageFault(f"The storage does not respond: {fault.strerror or fault}.")


@contextmanager
def translate_os_errors() -> Iterator[None]:
    """Raise `NoSuchFile` or `StorageFault` for an `OSError` of the block."""
    try:
        yield
    except OSError as fault:
        raise error_for(fault) from fault


def check_name(relative: str) -> list[str]:
    """Split a relative path into segments. Raises `PathTraversal`, `NulInPath` and `NoSuchFile` without disk access."""
    segments = relative.split("/")
    if relative.startswith("/") or ".." in segments:
        raise PathTraversal
    if "\0" in relative:
        raise NulInPath
    try:
        relative.encode()
    except UnicodeEncodeError:  # a lone surrogate, which a client cannot send as text
        raise NoSuchFile from None
    if segments[-1] in {"", "."}:
        raise NoSuchFile
    return segments


def is_hidden(directories: list[str] | tuple[str, ...]) -> bool:
    return any(name != "." and is_hidden_folder(name) for name in directories)


def resolve_inside(root: Path, relative: str) -> Path:
    """Return the regular file `relative` below `root`, with all symlinks resolved.

    Raises `PathTraversal`, `NulInPath`, `OutsideRoot` if a link leads out, `NoSuchFile` for everything that
    is not a readable regular file, and `StorageFault` if the storage does not respond.
    """
    with translate_os_errors():
        resolved_root = os.path.realpath(root, strict=True)
    return resolve_below(resolved_root, relative)


def resolve_below(resolved_root: str, relative: str) -> Path:
    """Like `resolve_inside`, for a root that is already resolved; raises the same."""
    if is_hidden(check_name(relative)[:-1]):
        raise NoSuchFile
    return resolve_raw(resolved_root, relative)


def resolve_raw(resolved_root: str, relative: str) -> Path:
    """Like `resolve_below`, for a name read from the disk, which need not be valid text; raises the same."""
    path = f"{resolved_root}/{relative}"
    try:
        resolved, mode = resolve_with_mode(path)
    except OSError as fault:
        check_inside(os.path.realpath(path), resolved_root)  # a link that leads out must not reveal what exists there
        raise error_for(fault) from fault
    check_inside(resolved, resolved_root)
    if not stat.S_ISREG(mode):
        raise NoSuchFile
    return Path(resolved)


def resolve_with_mode(path: str) -> tuple[str, int]:
    """Resolve all symlinks in `path`; return the real path and the mode of the file.

    The kernel resolves the path in one call, whereas `realpath` makes one for each directory. O_PATH does not open
    the file itself: devices and FIFOs are not affected.
    """
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return descriptor_path(descriptor), os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)


def descriptor_path(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - creating a Path costs more than readlink


def check_inside(resolved: str, resolved_root: str) -> None:
    """Raise unless `resolved` is inside the root and in no hidden directory. Both paths must be resolved."""
    if not is_inside(resolved, resolved_root):
        raise OutsideRoot
    if is_hidden(resolved[len(resolved_root) :].split("/")[:-1]):
        raise NoSuchFile


def open_regular(path: Path, *, root: Path | None = None) -> BinaryIO:
    """Open a regular file for reading, unbuffered; FIFOs and devices never block; the last segment may not be a link.

    With `root` (resolved), the opened file must be inside it: if a directory of the path was replaced by a link
    between resolving and opening, this raises `OutsideRoot`.
    """
    with translate_os_errors():
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            check_opened(descriptor, root)
        except BaseException:
            os.close(descriptor)
            raise
    return os.fdopen(descriptor, "rb", buffering=0)


def check_opened(descriptor: int, root: Path | None) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise NoSuchFile
    if root is not None and not is_inside(descriptor_path(descriptor), root):
        raise OutsideRoot


def is_inside(path: Path | str, root: Path | str) -> bool:
    """Whether `path` is `root` or below it, by name alone: resolve both first if links matter."""
    inner, outer = str(path), str(root)
    return inner == outer or inner.startswith(outer if outer.endswith("/") else f"{outer}/")


def normalise_folder(path: str) -> str:
    """Collapse `//` and `/./` and strip a trailing `/`; symlinks and `..` are unchanged. Raises `NotAbsolute`."""
    if not path.startswith("/"):
        raise NotAbsolute
    return "/" + "/".join(segment for segment in path.split("/") if segment not in {"", "."})
