"""What ffmpeg can read safely is recognised by its content, and nothing that is dressed up as it opens anything."""

from __future__ import annotations

import os
import struct
import subprocess
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from media_serving.ingest import content
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.clips import Cut, cut_videos
from nvr.media.ffmpeg.containers import HEAD_BYTES, UnknownContainer, demuxer_for
from nvr.media.ffmpeg.operations import FfmpegFailed
from tests.films import encode_once
from tests.media.test_ffmpeg import CONCAT, HLS, LONG, listener, works

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Four seconds of pictures in several codecs and containers."""
    folder = tmp_path_factory.mktemp("base")
    made = {
        "a.mp4": H264,
        "a.h264": H264,
        "a.hevc": ("-c:v", "libx265", "-x265-params", "log-level=0"),
        "a.m4v": ("-c:v", "mpeg4", "-f", "m4v"),
        "a.m2v": ("-c:v", "mpeg2video", "-r", "25", "-f", "mpeg2video"),
        "a.mjpeg": ("-c:v", "mjpeg", "-f", "mjpeg"),
        "a.ts": H264,
        "a.m2ts": (*H264, "-mpegts_m2ts_mode", "1"),
        "a.mpg": ("-c:v", "mpeg2video", "-r", "25"),
        "h264.mpg": (*H264, "-f", "mpeg"),
        "a.flv": H264,
        "fragments.mp4": (*H264, "-movflags", "+frag_keyframe+empty_moov+default_base_moof"),
    }
    for name, options in made.items():
        source = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=4")
        (folder / name).write_bytes(encode_once(Path(name).suffix, *source, *options))
    return folder


def box(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def with_check_bytes(packets: bytes) -> bytes:
    return b"".join(packets[at : at + 188] + b"\xa5" * 16 for at in range(0, len(packets), 188))


def begun_with(movie: bytes, *kinds: bytes) -> bytes:
    """As recorders write it that know no `ftyp`: other boxes in its place, of the same length in all."""
    length = int.from_bytes(movie[:4])
    *small, last = kinds
    head = b"".join(box(kind) for kind in small)
    return head + box(last, bytes(length - len(head) - 8)) + movie[length:]


def dhav(stream: bytes) -> bytes:
    """Dahua's container: a head and a tail around each frame, of which the first is a key frame."""
    frames = b""
    starts = [at for at in range(len(stream)) if stream.startswith(b"\0\0\0\1\x09", at)] or [0]
    for number, (at, end) in enumerate(pairwise([*starts, len(stream)])):
        data = stream[at:end]
        extension = b"\x81\0\x02\x04" + b"\x80\0\x14\x0f"  # H.264, 25 frames a second
        length = 24 + len(extension) + len(data) + 8
        kind = 0xFD if b"\0\0\1\x67" in data else 0xFC
        head = struct.pack("<4sBBBBIIIHBB", b"DHAV", kind, 0, 0, 0, number, length, 0x5A8A1000, number * 40, 8, 0)
        frames += head + extension + data + b"dhav" + struct.pack("<I", length)
    return frames


HEADERS = {
    "hikvision": b"IMKH\x01\x01\0\0\x02\0\x10\0\x01\x10\0\0" + bytes(24),
    "hikvision private": b"HKMI" + bytes(36),
    "another maker": b"\x01\x02\x03" * 100,
}
VARIANTS = {
    "free first": ("a.mp4", lambda data: begun_with(data, b"free"), "mov"),
    "skip first": ("a.mp4", lambda data: begun_with(data, b"skip"), "mov"),
    "wide first": ("a.mp4", lambda data: begun_with(data, b"wide", b"free"), "mov"),
    "uuid first": ("a.mp4", lambda data: begun_with(data, b"uuid"), "mov"),
    "pnot first": ("a.mp4", lambda data: begun_with(data, b"pnot"), "mov"),
    "styp first": ("fragments.mp4", lambda data: box(b"styp", b"msdh\0\0\0\0msdh") + data, "mov"),
    "emsg first": ("fragments.mp4", lambda data: box(b"emsg", bytes(40)) + data, "mov"),
    "raw h264": ("a.h264", bytes, "h264"),
    "raw hevc": ("a.hevc", bytes, "hevc"),
    "raw mpeg4": ("a.m4v", bytes, "m4v"),
    "raw mpeg2": ("a.m2v", bytes, "mpegvideo"),
    "mjpeg stream": ("a.mjpeg", bytes, "mjpeg"),
    "ts from the middle of a packet": ("a.ts", lambda data: data[100:], "mpegts"),
    "ts of 204 bytes": ("a.ts", with_check_bytes, "mpegts"),
    "ts of 204 bytes from the middle": ("a.ts", lambda data: with_check_bytes(data)[150:], "mpegts"),
    "m2ts": ("a.m2ts", bytes, "mpegts"),
    "m2ts from the middle of a packet": ("a.m2ts", lambda data: data[77:], "mpegts"),
    "flv": ("a.flv", bytes, "flv"),
    **{f"mpeg behind {name}": ("a.mpg", head.__add__, "mpeg") for name, head in HEADERS.items()},
    "h264 behind hikvision": ("h264.mpg", HEADERS["hikvision"].__add__, "mpeg"),
}


# Those that share a demuxer differ only in how they are recognised.
OF_EACH_DEMUXER = {demuxer: name for name, (_, _, demuxer) in reversed(VARIANTS.items())}.values()
one_of_each_demuxer = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OF_EACH_DEMUXER else pytest.mark.slow) for name in VARIANTS]
)


@pytest.mark.parametrize("name", VARIANTS)
def test_containers_of_cameras_are_read(base, tmp_path, name):
    is_read(base, tmp_path, name, ".mp4")


@pytest.mark.slow
@one_of_each_demuxer
def test_containers_are_recognized_under_any_extension(base, tmp_path, name):
    is_read(base, tmp_path, name, ".avi")


def is_read(base: Path, tmp_path: Path, name: str, extension: str) -> None:
    file, demuxer = variant(base, name, tmp_path / f"a{extension}"), VARIANTS[name][2]

    facts = ffmpeg.probe(file)
    ffmpeg.extract_frame(file, 2, tmp_path / "frame.jpg")

    assert facts.container == demuxer
    assert (facts.width, facts.height) == (160, 120)
    with file.open("rb") as opened:
        assert content.inspect(opened, is_picture=False).width == 160


def variant(base: Path, name: str, file: Path) -> Path:
    origin, make, _ = VARIANTS[name]
    file.write_bytes(make((base / origin).read_bytes()))
    return file


@pytest.mark.slow
@one_of_each_demuxer
def test_containers_of_cameras_can_be_converted_and_cut(base, tmp_path, name):
    file = variant(base, name, tmp_path / "a.mp4")

    ffmpeg.transcode_mp4(file, tmp_path / "played.mp4", timeout=LONG)
    with ffmpeg.open_source(file) as source:
        cut_videos([Cut(source, ffmpeg.probe(file), 0.5, 1.0)], tmp_path / "clip.mp4", timeout=timedelta(minutes=1))

    assert ffmpeg.probe(tmp_path / "played.mp4").duration == pytest.approx(4, abs=2.5)  # a bare stream tells no rate
    assert ffmpeg.probe(tmp_path / "clip.mp4").duration == pytest.approx(1, abs=0.3)


def test_the_dahua_container_is_read(base, tmp_path):
    (tmp_path / "a.h264").write_bytes(b"")
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(base / "a.mp4"), "-c", "copy", "-bsf:v"]
    command += ["h264_mp4toannexb,h264_metadata=aud=insert", str(tmp_path / "a.h264")]
    subprocess.run(command, check=True, timeout=60)
    (tmp_path / "a.mp4").write_bytes(dhav((tmp_path / "a.h264").read_bytes()))

    facts = ffmpeg.probe(tmp_path / "a.mp4")
    ffmpeg.extract_frame(tmp_path / "a.mp4", 1, tmp_path / "frame.jpg")

    assert (facts.container, facts.width) == ("dhav", 160)


DISGUISES = {
    **{f"{kind.decode()} box": box(kind, bytes(8)) for kind in (b"free", b"moof", b"styp", b"uuid", b"pnot", b"emsg")},
    "h264": b"\0\0\0\1\x67\x42\xc0\x1e\0\0\0\1\x68\xce\x3c\x80",
    "hevc": b"\0\0\0\1\x40\1\x0c\0\0\0\1\x42\1\1\0\0\0\1\x44\1\xc1",
    "mpeg4": b"\0\0\1\xb0\1\0\0\1\xb5",
    "mjpeg": b"\xff\xd8\xff\xdb\xff\xd9\xff\xd8\xff\xdb",
    "flv": b"FLV\1\5\0\0\0\t\0\0\0\0",
    "dhav": b"DHAV\xfd\0\0\0" + bytes(16),
    "dahua": b"DAHUA" + bytes(27),
    "ts from the middle": b"\n" * 100 + (b"G" + b"\n" * 187) * 6,
    "ts of 204": (b"G" + b"\n" * 203) * 6,
    **{name: head + b"\0\0\1\xba\x44" + bytes(9) + b"\0\0\1\xbb" for name, head in HEADERS.items()},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DISGUISES)
@pytest.mark.parametrize(
    "script", [pytest.param(HLS, id="hls"), pytest.param(CONCAT, id="concat", marks=pytest.mark.slow)]
)
def test_a_disguised_playlist_opens_no_file(tmp_path, name, script):
    with listener() as (address, visits):
        (tmp_path / "a.mp4").write_bytes(DISGUISES[name] + b"\n" + script.format(f"http://{address}/x").encode())
        for work in works(tmp_path / "a.mp4", tmp_path / "out"):
            with pytest.raises(FfmpegFailed):
                work()

    assert visits == []
    assert os.listdir(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("head", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("script", [HLS, CONCAT], ids=["hls", "concat"])
def test_a_playlist_after_a_vendor_header_is_not_a_video(head, script):
    with pytest.raises(UnknownContainer):
        demuxer_for((head + script.format("http://127.0.0.1/x").encode())[:HEAD_BYTES])


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe0" + bytes(5000),
        b"\0\0\0\1" + bytes(5000),
        b"\0\0\0\4free" + bytes(5000),
        b"GGGG" * 2,
        b"\0\0\0\1\x67" + bytes(5000),
        os.urandom(16_384).replace(b"\0\0\1", b"\1\1\1"),
        b"a" * 16_384,
        b"\n#EXTM3U\n" * 100,
    ],
)
def test_a_file_with_only_a_matching_prefix_is_unknown(data):
    with pytest.raises(UnknownContainer):
        demuxer_for(data)
