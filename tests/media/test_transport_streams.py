"""A transport stream is known by its first bytes, wherever in a packet it begins."""

from __future__ import annotations

import pytest

from nvr.media.ffmpeg.transport_streams import HEAD_BYTES, is_transport_stream

PACKET = b"\x47\x40\x11\x10\x00\x42\xf0" + b"\xff" * 181
STREAM = PACKET * 12
M2TS = b"".join(bytes([0, 0, number, 9]) + PACKET for number in range(12))


@pytest.mark.parametrize("head", [STREAM, STREAM[100:], M2TS, M2TS[77:], PACKET * 2, STREAM[1:]])
def test_transport_streams_are_recognized(head: bytes) -> None:
    assert is_transport_stream(head[:HEAD_BYTES])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        PACKET,
        b"G" * 4000,
        b"export const GREETING = 'Gruess Gott';\n" * 80,
        "ä".encode() * 900,
        b'<?xml version="1.0"?><TS version="2.1"><context><name>G</name></context></TS>' * 20,
        b"\0" * 4000,
        b"\xff\xd8\xff\xe0" + b"\x12\x00" * 2000,
    ],
)
def test_other_ts_files_are_not_transport_streams(head: bytes) -> None:
    assert not is_transport_stream(head[:HEAD_BYTES])
