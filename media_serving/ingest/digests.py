"""Content digests: the SHA-256 of a file's bytes, or, for a large file, of the digests of its blocks.

A large file is read in slices, so that a camera with 40 GB does not block the workers for other cameras: the digests
of the blocks read so far are stored with the upload, and the next slice continues after them.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from django.template.defaultfilters import filesizeformat

from cameras.models import Camera
from media_serving.ingest.content import Incomplete
from media_serving.models import Upload
from media_serving.models.uploads import LARGE_BYTES, is_unchanged
from nvr.errors import Conflict
from nvr.media.files.paths import translate_os_errors
from nvr.media.files.sparse import data_bytes

READ_BYTES: Final = 2**20
CHECK_S: Final = 2.0  # between two checks whether the digest is still needed
HEX_CHARS: Final = 64
SPARSE_BYTES: Final = 256 * 2**20  # of larger files, half must have been written


class FileChanged(Conflict):
    """The file is no longer the one in the ledger: it is still being written, or another file has its name now.

    `file_stat` is the stat result of the current file, if known.
    """

    file_stat: os.stat_result | None = None


class CameraInactive(Conflict):
    title = "The camera was disabled or trashed while the file was read"


class DigestUnfinished(Conflict):
    """The time budget is over before the end of the file; `block_digests` holds the blocks read so far."""

    def __init__(self, block_digests: str, size: int) -> None:
        done = min(len(block_digests) // HEX_CHARS * LARGE_BYTES, size)
        super().__init__(f"It is large and read in slices: {readable(done)} of {readable(size)} so far.")
        self.block_digests = block_digests


def readable(size: int) -> str:
    return filesizeformat(size).replace("\xa0", " ")


def check_unchanged(upload: Upload, file: BinaryIO) -> None:
    """Raise `FileChanged` if the open file was written to since it was entered in the ledger."""
    with translate_os_errors():
        file_stat = os.fstat(file.fileno())
    if not is_unchanged(upload, file_stat):
        raise FileChanged


def check_not_sparse(file: BinaryIO) -> None:
    """Raise `Incomplete` for a large file that is mostly unwritten: reading zeros for hours is useless."""
    with translate_os_errors():
        size = os.fstat(file.fileno()).st_size
        if size <= SPARSE_BYTES:
            return
        written = data_bytes(file.fileno())
    if written < size / 2:
        raise Incomplete(f"Of its {readable(size)} only {readable(written)} have been written: the rest is empty.")


def digest_of(file: BinaryIO, check: Callable[[], None] = lambda: None) -> str:
    """Return the digest of a file that is not large."""
    digest = hashlib.sha256()
    with translate_os_errors():
        file.seek(0)
        for block in blocks(file, None, check):
            digest.update(block)
    return digest.hexdigest()


def digest_in_slices(file: BinaryIO, known_digests: str, until: float, check: Callable[[], None]) -> str:
    """Return the digest of a large file whose first blocks have the `known_digests`; reads at least one block.

    Raises `DigestUnfinished` after `until` (monotonic seconds), and the errors of `check`.
    """
    with translate_os_errors():
        size = os.fstat(file.fileno()).st_size
        file.seek(len(known_digests) // HEX_CHARS * LARGE_BYTES)
        while block := block_digest(file, check):
            known_digests += block
            if time.monotonic() >= until and len(known_digests) // HEX_CHARS * LARGE_BYTES < size:
                raise DigestUnfinished(known_digests, size)
    return hashlib.sha256(known_digests.encode()).hexdigest()


def block_digest(file: BinaryIO, check: Callable[[], None]) -> str:
    """The next block's digest; empty at the end of the file."""
    digest, length = hashlib.sha256(), 0
    for block in blocks(file, LARGE_BYTES, check):
        digest.update(block)
        length += len(block)
    return digest.hexdigest() if length else ""


def blocks(file: BinaryIO, length: int | None, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the next `length` bytes, or all remaining ones, and call `check` every `CHECK_S`."""
    checked_at = time.monotonic()
    while length is None or length > 0:
        block = file.read(READ_BYTES if length is None else min(READ_BYTES, length))
        if not block:
            return
        yield block
        length = None if length is None else length - len(block)
        if time.monotonic() - checked_at > CHECK_S:
            check()
            checked_at = time.monotonic()


def check_still_needed(upload: Upload, file: BinaryIO) -> None:
    """Raise `CameraInactive` if the camera is disabled or trashed, `FileChanged` or `NoSuchFile` for another file."""
    if not Camera.objects.filter(pk=upload.camera_id, enabled=True).exists():
        raise CameraInactive
    with translate_os_errors():
        is_same = os.path.samestat(upload.file.stat(), os.fstat(file.fileno()))
    if not is_same:
        raise FileChanged
