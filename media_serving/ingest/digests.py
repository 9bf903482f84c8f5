"""What tells one content from another: the SHA-256 of the bytes; of a large file, that of its blocks' digests.

A large file is read in slices, so that a camera with 40 GB does not keep the workers from the others: the digests of
the blocks that were read are kept with the upload, and the next slice goes on behind them.
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
from media_serving.models.uploads import LARGE_BYTES, stored_mtime_ns
from nvr.errors import Conflict
from nvr.media.files.paths import translate_os_errors
from nvr.media.files.sparse import data_bytes

READ_BYTES: Final = 2**20
CHECK_S: Final = 2.0  # between two looks whether the file is still wanted
HEX_CHARS: Final = 64
SPARSE_BYTES: Final = 256 * 2**20  # of what is larger, half must have been written


class Changed(Conflict):
    """The file is not the one any more that was entered: it is still being written, or another took its name.

    `facts` are of what is there now, once somebody has looked.
    """

    facts: os.stat_result | None = None


class NotWanted(Conflict):
    title = "The camera was switched off or trashed while the file was read"


class Unfinished(Conflict):
    """The slice is over and the file is not read to its end: `block_digests` is how far it came."""

    def __init__(self, block_digests: str, size: int) -> None:
        done = min(len(block_digests) // HEX_CHARS * LARGE_BYTES, size)
        super().__init__(f"It is large and read in slices: {readable(done)} of {readable(size)} so far.")
        self.block_digests = block_digests


def readable(size: int) -> str:
    return filesizeformat(size).replace("\xa0", " ")


def check_same(upload: Upload, file: BinaryIO) -> None:
    """Raises `Changed` if the open file was written to since it was entered."""
    with translate_os_errors():
        facts = os.fstat(file.fileno())
    if (facts.st_size, stored_mtime_ns(facts.st_mtime_ns)) != (upload.size_bytes, upload.mtime_ns):
        raise Changed


def check_is_written(file: BinaryIO) -> None:
    """Raises `Incomplete` for a large file of which most was never written: to read zeros for hours tells nothing."""
    with translate_os_errors():
        size = os.fstat(file.fileno()).st_size
        if size <= SPARSE_BYTES:
            return
        written = data_bytes(file.fileno())
    if written < size / 2:
        raise Incomplete(f"Of its {readable(size)} only {readable(written)} have been written: the rest is empty.")


def digest_of(file: BinaryIO, check: Callable[[], None] = lambda: None) -> str:
    """Of a file that is not large."""
    digest = hashlib.sha256()
    with translate_os_errors():
        file.seek(0)
        for block in blocks(file, None, check):
            digest.update(block)
    return digest.hexdigest()


def digest_in_slices(file: BinaryIO, known: str, until: float, check: Callable[[], None]) -> str:
    """Of a large file of which the digests of the first blocks are `known`; at least one block is read.

    Raises `Unfinished` when it is past `until` (monotonic seconds), and what `check` raises.
    """
    with translate_os_errors():
        size = os.fstat(file.fileno()).st_size
        file.seek(len(known) // HEX_CHARS * LARGE_BYTES)
        while block := block_digest(file, check):
            known += block
            if time.monotonic() >= until and len(known) // HEX_CHARS * LARGE_BYTES < size:
                raise Unfinished(known, size)
    return hashlib.sha256(known.encode()).hexdigest()


def block_digest(file: BinaryIO, check: Callable[[], None]) -> str:
    """Of the next block; empty at the file's end."""
    digest, length = hashlib.sha256(), 0
    for block in blocks(file, LARGE_BYTES, check):
        digest.update(block)
        length += len(block)
    return digest.hexdigest() if length else ""


def blocks(file: BinaryIO, length: int | None, check: Callable[[], None]) -> Iterator[bytes]:
    """The next `length` bytes, or all that are left; between them it is checked whether the file is still wanted."""
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


def check_is_wanted(upload: Upload, file: BinaryIO) -> None:
    """Raises `NotWanted` when the camera is switched off or trashed, `Changed` or `NoSuchFile` for another file."""
    if not Camera.objects.filter(pk=upload.camera_id, enabled=True).exists():
        raise NotWanted
    with translate_os_errors():
        is_same = os.path.samestat(upload.file.stat(), os.fstat(file.fileno()))
    if not is_same:
        raise Changed
