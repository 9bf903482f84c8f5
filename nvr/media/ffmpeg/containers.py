"""Detect a file's container by its content, not by its name.

Each detected container is read by exactly one ffmpeg demuxer, which opens no other file. Playlists and scripts, which
would make ffmpeg open the files that they name, are never accepted.
"""

from __future__ import annotations

import os
import re
from typing import Final

from nvr.media.ffmpeg.processes import FfmpegFailed

HEAD_BYTES: Final = 16_384
MJPEG_BYTES: Final = 4 * 2**20  # the second image of a JPEG stream begins within these
# MPEG-TS; with a timestamp before each packet (M2TS); with error correction after each packet.
TS_PACKET_SIZES: Final = (188, 192, 204)
TS_SYNC_COUNT: Final = 5
MP4_BOXES: Final = {
    *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx", b"ssix", b"uuid"),
    *(b"emsg", b"prft", b"udta", b"PICT", b"junk", b"pdin", b"mfra", b"meta"),
}
MIN_BOX_BYTES: Final = 8
MAGIC: Final = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpegvideo"),
    (b"\x00\x00\x01\xb0", "m4v"),
    (b"FLV\x01", "flv"),
    (b"DHAV", "dhav"),  # Dahua's recorders, whatever the name ends with
    (b"DAHUA", "dhav"),
)
# An MPEG-2 or MPEG-1 pack header (by its first bits) after a vendor's header, such as Hikvision's IMKH.
PACK: Final = re.compile(rb"\x00\x00\x01\xba[\x20-\x2f\x40-\x7f]")
VENDOR_HEADER_BYTES: Final = 1024
START_CODES: Final = (b"\0\0\1", b"\0\0\0\1")
H264_PARAMETERS: Final = (re.compile(rb"\x00\x00\x01[\x27\x47\x67]"), re.compile(rb"\x00\x00\x01[\x28\x48\x68]"))
HEVC_PARAMETERS: Final = tuple(
    re.compile(rb"\x00\x00\x01" + kind + rb"[\x01-\x07]") for kind in (b"\x40", b"\x42", b"\x44")
)
# Raw video without a container: no timestamps, index or duration.
ELEMENTARY_STREAMS: Final = {"h264", "hevc", "m4v", "mjpeg", "mpegvideo"}
JPEG_START: Final = b"\xff\xd8\xff"
NEXT_JPEG: Final = re.compile(rb"\xff\xd9(?:\r?\n|\0{0,16})\xff\xd8\xff", re.DOTALL)


class UnknownContainer(FfmpegFailed):
    title = "The file is not a video of a known format"


def detect_demuxer(descriptor: int) -> str:
    """Return the demuxer for an open file; the file position is not changed. Raises `UnknownContainer` and OSError."""
    head = os.pread(descriptor, HEAD_BYTES, 0)
    if head.startswith(JPEG_START) and not NEXT_JPEG.search(head):
        head = os.pread(descriptor, MJPEG_BYTES, 0)  # a single JPEG is not a video
    return demuxer_for(head)


def demuxer_for(head: bytes) -> str:
    """Return ffmpeg's name of the only demuxer that may read a file that begins with `head`.

    `HEAD_BYTES` are enough, except for a stream of JPEGs. Raises `UnknownContainer`, also for playlists and scripts.
    """
    if is_mp4_box(head):
        return "mov"
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return "avi"
    for magic, demuxer in MAGIC:
        if head.startswith(magic):
            return demuxer
    found = elementary_stream(head) or packetized_stream(head)
    if found is None:
        raise UnknownContainer
    return found


def is_mp4_box(head: bytes) -> bool:
    """Whether `head` is a possible first MP4 box with a valid length (1: 64-bit length follows, 0: to the end)."""
    length = int.from_bytes(head[:4])
    return head[4:8] in MP4_BOXES and (length >= MIN_BOX_BYTES or length in {0, 1})


def elementary_stream(head: bytes) -> str | None:
    """Detect raw H.264, H.265 or MJPEG by the parameter sets or markers that a decoder needs first."""
    if head.startswith(START_CODES):
        if all(pattern.search(head) for pattern in HEVC_PARAMETERS):
            return "hevc"
        if all(pattern.search(head) for pattern in H264_PARAMETERS):
            return "h264"
    if head.startswith(JPEG_START) and NEXT_JPEG.search(head):
        return "mjpeg"
    return None


def packetized_stream(head: bytes) -> str | None:
    """Detect MPEG program and transport streams that begin with a vendor's header or in the middle of a packet."""
    pack = PACK.search(head, 0, VENDOR_HEADER_BYTES)
    if pack and b"\0\0\1" in head[pack.end() : pack.end() + 300]:
        return "mpeg"
    for step in TS_PACKET_SIZES:
        if any(has_sync_bytes(head, at, step) for at in range(step)):
            return "mpegts"
    return None


def has_sync_bytes(head: bytes, at: int, step: int) -> bool:
    """Whether all packets from offset `at` begin with the sync byte G: up to `TS_SYNC_COUNT` packets, at least two."""
    syncs = head[at : at + TS_SYNC_COUNT * step : step]
    is_enough = len(syncs) == TS_SYNC_COUNT or (len(syncs) >= 2 and at in {0, 4})
    return is_enough and syncs.count(b"G") == len(syncs)
