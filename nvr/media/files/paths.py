"""From a name that came from outside to a file inside a root: the only place where that step is taken."""

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

# Errors that say something of the name or of who asks. All others say that the storage does not answer.
NAME_ERRORS = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EACCES,
    errno.EPERM,
    errno.EINVAL,  # a character that this file system cannot hold
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
    """The storage did not answer (EIO, ESTALE, …): never to be taken for "missing"."""

    title = "The storage does not answer"


class NotAbsolute(Invalid):
    title = "The path must begin with /"


def error_for(fault: OSError) -> NvrError:
    """What an `OSError` means to whoever asked for a file: no such file, or no such storage now."""
    if fault.errno in NAME_ERRORS:
        return NoSuchFile()
    return StorageFault(f"The storage does not answer: {fault.strerror or fault}.")


@contextmanager
def translate_os_errors() -> Iterator[None]:
    """Raise `NoSuchFile` or `StorageFault` for an `OSError` of the block."""
    try:
        yield
    except OSError as fault:
        raise error_for(fault) from fault


def check_name(relative: str) -> list[str]:
    """The segments of a relative path; raises what is wrong with it without looking at the disk."""
    segments = relative.split("/")
    if relative.startswith("/") or ".." in segments:
        raise PathTraversal
    if "\0" in relative:
        raise NulInPath
    try:
        relative.encode()
    except UnicodeEncodeError:  # a lone surrogate: no name that a client can have sent as text
        raise NoSuchFile from None
    if segments[-1] in {"", "."}:
        raise NoSuchFile
    return segments


def is_hidden(directories: list[str] | tuple[str, ...]) -> bool:
    return any(name != "." and is_hidden_folder(name) for name in directories)


def resolve_inside(root: Path, relative: str) -> Path:
    """The regular file that `relative` names below `root`, with all symlinks resolved.

    Raises `PathTraversal`, `NulInPath`, `OutsideRoot` when a link leads out, `NoSuchFile` for everything that
    is not a regular file which we may read, and `StorageFault` when the storage does not answer.
    """
    with translate_os_errors():
        resolved_root = os.path.realpath(root, strict=True)
    return resolve_below(resolved_root, relative)


def resolve_below(resolved_root: str, relative: str) -> Path:
    """`resolve_inside` for a root that is known to be without symlinks; raises the same."""
    if is_hidden(check_name(relative)[:-1]):
        raise NoSuchFile
    return resolve_raw(resolved_root, relative)


def resolve_raw(resolved_root: str, relative: str) -> Path:
    """The same for a name that we have from the disk itself: it need not be text. Raises the same."""
    path = f"{resolved_root}/{relative}"
    try:
        resolved, mode = resolve_with_mode(path)
    except OSError as fault:
        check_inside(os.path.realpath(path), resolved_root)  # a link out tells nothing of what is there or not
        raise error_for(fault) from fault
    check_inside(resolved, resolved_root)
    if not stat.S_ISREG(mode):
        raise NoSuchFile
    return Path(resolved)


def resolve_with_mode(path: str) -> tuple[str, int]:
    """Where `path` leads when all links are followed, and the mode of what is there; one look at the disk.

    The kernel resolves, and tells of the file itself: `realpath` asks it for each directory on the way. Nothing is
    opened in the sense that a device or FIFO would notice.
    """
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return descriptor_path(descriptor), os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)


def descriptor_path(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - a Path costs more than the look


def check_inside(resolved: str, resolved_root: str) -> None:
    """Both without symlinks. A link may stay inside the root, but not lead into a hidden directory there."""
    if not is_inside(resolved, resolved_root):
        raise OutsideRoot
    if is_hidden(resolved[len(resolved_root) :].split("/")[:-1]):
        raise NoSuchFile


def open_regular(path: Path, *, root: Path | None = None) -> BinaryIO:
    """Open for reading, unbuffered; a FIFO or device never blocks, a link in the last place is not followed.

    With `root` (resolved), the file that was really opened must lie inside it: whoever swaps a directory
    of the path for a link between resolving and opening gets `OutsideRoot`.
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
    """Whether `path` is `root` or lies below it, by name alone: resolve both first if links matter."""
    inner, outer = str(path), str(root)
    return inner == outer or inner.startswith(outer if outer.endswith("/") else f"{outer}/")


def normalise_folder(path: str) -> str:
    """`//`, `/./` and a trailing `/` folded; symlinks and `..` are left alone. Raises `NotAbsolute`."""
    if not path.startswith("/"):
        raise NotAbsolute
    return "/" + "/".join(segment for segment in path.split("/") if segment not in {"", "."})
