"""Distinguish MPEG transport streams from other `.ts` files: TypeScript sources and Qt translations."""

from __future__ import annotations

from typing import Final

SYNC_BYTE: Final = 0x47
# Plain; M2TS with a 4-byte timestamp before each packet; with error correction after each packet.
PACKET_SIZES: Final = (188, 192, 204)
SYNC_COUNT: Final = 5  # in a row, if the file is that long
MIN_SYNC_COUNT: Final = 2
HEAD_BYTES: Final = (SYNC_COUNT + 1) * max(PACKET_SIZES)


def is_transport_stream(head: bytes) -> bool:
    """Whether a file that begins with `head` (`HEAD_BYTES` of it) is a transport stream, even if a packet is cut."""
    return not is_text(head) and any(has_sync_bytes(head, size) for size in PACKET_SIZES)


def has_sync_bytes(head: bytes, size: int) -> bool:
    for first in range(size):
        syncs = head[first::size][:SYNC_COUNT]
        if len(syncs) >= MIN_SYNC_COUNT and syncs.count(SYNC_BYTE) == len(syncs):
            return True
    return False


def is_text(head: bytes) -> bool:
    """Whether `head` can be text: a transport stream always contains bytes that text does not."""
    if b"\0" in head:
        return False
    try:
        head[: len(head) - 3].decode()  # the last character may have been cut
    except UnicodeDecodeError:
        return False
    return True
