"""Sparse files: find and copy the ranges that contain data.

`st_blocks` is unreliable: ZFS and FUSE count differently. File systems without holes report everything as data.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import BinaryIO, Final

MAX_RANGES: Final = 10_000  # everything after these counts as data
BLOCK_BYTES: Final = 2**20


def data_ranges(descriptor: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each data range, in order. Raises OSError; changes the file position."""
    size = os.fstat(descriptor).st_size
    end = 0
    for _ in range(MAX_RANGES):
        try:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        except OSError as fault:
            if fault.errno == errno.ENXIO:  # only a hole remains
                return
            if fault.errno in {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}:
                break
            raise
        yield begin, end
        if end >= size:
            return
    if end < size:
        yield end, size


def data_bytes(descriptor: int) -> int:
    return sum(end - begin for begin, end in data_ranges(descriptor))


def copy_sparse(source: BinaryIO, target: BinaryIO) -> None:
    """Copy to the empty `target`, preserving holes. Raises OSError."""
    size = os.fstat(source.fileno()).st_size
    for begin, end in data_ranges(source.fileno()):
        source.seek(begin)
        target.seek(begin)
        copy_bytes(source, target, end - begin)
    target.truncate(size)


def copy_bytes(source: BinaryIO, target: BinaryIO, length: int) -> None:
    while length > 0 and (block := source.read(min(BLOCK_BYTES, length))):
        target.write(block)
        length -= len(block)
