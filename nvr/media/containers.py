"""Which container a file is, by its first bytes: its name is only what someone called it."""

from __future__ import annotations

from nvr.media.processes import FfmpegFailed

HEAD_BYTES = 400
TS_PACKETS = ((0, 188), (4, 192))  # where the sync bytes stand: MPEG-TS, and M2TS with its time stamps before each
MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
MAGIC = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpegvideo"),
    (b"FLV\x01", "flv"),
)


class UnknownContainer(FfmpegFailed):
    title = "The file is not a video of a known format"


def demuxer_for(head: bytes) -> str:
    """ffmpeg's name of the one demuxer that may read a file which begins with `head` (`HEAD_BYTES` are enough).

    Raises `UnknownContainer`: for playlists and scripts too, which would make ffmpeg open what they name.
    """
    if head[4:8] in MP4_BOXES:
        return "mov"
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return "avi"
    for magic, demuxer in MAGIC:
        if head.startswith(magic):
            return demuxer
    if any(head[at : at + 1] == head[at + step : at + step + 1] == b"G" for at, step in TS_PACKETS):
        return "mpegts"
    raise UnknownContainer
