"""Files with holes: what of them was ever written.

`st_blocks` does not tell: ZFS and FUSE count in their own ways. A file system without holes says that all is data.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import BinaryIO, Final

MAX_RANGES: Final = 10_000  # looked at; behind them all counts as data
BLOCK_BYTES: Final = 2**20


def data_ranges(descriptor: int) -> Iterator[tuple[int, int]]:
    """Begin and end of what was written, in order. Raises OSError; the file's position is changed."""
    size = os.fstat(descriptor).st_size
    end = 0
    for _ in range(MAX_RANGES):
        try:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        except OSError as fault:
            if fault.errno == errno.ENXIO:  # nothing but a hole is left
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
    """Copy into the empty `target`, with its holes left as holes. Raises OSError."""
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
