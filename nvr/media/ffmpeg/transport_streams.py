"""Telling an MPEG transport stream from what else is called `.ts`: sources in TypeScript, and translations."""

from __future__ import annotations

from typing import Final

SYNC_BYTE: Final = 0x47
PACKET_SIZES: Final = (188, 192, 204)  # plain; M2TS, with 4 bytes of time before each; with check bytes behind each
SYNC_COUNT: Final = 5  # in a row, if the file is that long
MIN_SYNC_COUNT: Final = 2
HEAD_BYTES: Final = (SYNC_COUNT + 1) * max(PACKET_SIZES)


def is_transport_stream(head: bytes) -> bool:
    """Whether a file that begins with `head` (`HEAD_BYTES` of it) is one; it may begin in the middle of a packet."""
    return not is_text(head) and any(has_sync_bytes(head, size) for size in PACKET_SIZES)


def has_sync_bytes(head: bytes, size: int) -> bool:
    for first in range(size):
        syncs = head[first::size][:SYNC_COUNT]
        if len(syncs) >= MIN_SYNC_COUNT and syncs.count(SYNC_BYTE) == len(syncs):
            return True
    return False


def is_text(head: bytes) -> bool:
    """Whether it can be: a stream always has bytes that no text has."""
    if b"\0" in head:
        return False
    try:
        head[: len(head) - 3].decode()  # the last character may have been cut
    except UnicodeDecodeError:
        return False
    return True
