"""Dimensions and durations: from headers, from ffprobe until a deadline, and from a worker for the rest."""

from __future__ import annotations

import errno
import io
import itertools
import os
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from nvr.media.ffmpeg.mp4_metadata import MAX_BOXES, UnreadableMp4, read_movie_info
from nvr.media.ffmpeg.operations import FfmpegKilled, FfmpegMissing, FfmpegTimedOut
from nvr.media.files.paths import StorageFault
from nvr.media.images.letterbox import CONTENT_SIZE_KEY
from reviewer.media_info import cache as probe_cache
from reviewer.media_info import probes
from reviewer.media_info.cache import UNKNOWN, MediaInfo
from reviewer.media_info.probes import Deadline, media_info_of
from reviewer.thumbnails.rendering import Source, get_thumbnail
from tests.factories import jpeg, put
from tests.reviewer.test_listings import streamed


def video(path: Path, *options: str, seconds: int = 3) -> Path:
    source = ["-f", "lavfi", "-i", f"testsrc=s=320x180:r=5:d={seconds}"]
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *source, *options, str(path)], check=True)
    return path


def probe(*files: Path, wait: bool = False) -> list[MediaInfo | None]:
    paths, root = [os.fsencode(file) for file in files], files[0].parent.resolve()
    known = media_info_of([(path, os.stat(path)) for path in paths], Deadline(for_all=wait), root=root)
    return [known.get(path) for path in paths]


@pytest.fixture(autouse=True)
def no_worker(monkeypatch):
    sent: list[list[str]] = []

    def send_task(name: str, args: list[Any], **_: Any) -> None:
        if name == probes.TASK:
            sent.append(args[0])

    monkeypatch.setattr("reviewer.media_info.probes.current_app.send_task", send_task)
    yield sent
    _, connection = probe_cache._local.__dict__.pop("probes", (None, None))
    if connection:
        connection.close()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", ()),
        ("a.mov", ("-c:v", "mjpeg")),
        ("a.m4v", ()),
        ("a.3gp", ("-c:v", "libx264")),
        ("fast.mp4", ("-movflags", "faststart")),
    ],
)
def test_mp4_is_read_without_ffprobe(tmp_path, monkeypatch, name, options):
    file = video(tmp_path / name, *options)
    monkeypatch.setattr(probes, "ffprobe_info", lambda *_: pytest.fail("called ffprobe"))

    assert probe(file) == [MediaInfo(320, 180, 3.0)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.avi", ()),
        ("a.mkv", ()),
        ("a.webm", ("-c:v", "libvpx", "-deadline", "realtime")),
        ("a.ts", ()),
        ("a.mpg", ("-r", "25")),
        ("a.wmv", ()),
        ("fragments.mp4", ("-movflags", "frag_keyframe+empty_moov")),
    ],
)
def test_other_videos_are_read_with_ffprobe(tmp_path, name, options):
    (info,) = probe(video(tmp_path / name, *options), wait=True)

    assert info is not None
    assert (info.width, info.height) == (320, 180)
    assert info.duration_s == pytest.approx(3, abs=0.5)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_video_dimensions_respect_rotation(tmp_path, name, rotation):
    coded = video(tmp_path / "coded.mp4")
    file = tmp_path / name
    options = ["-c", "copy", "-metadata:s:v", f"rotate={rotation}"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(coded), *options, str(file)], check=True)
    expected = (180, 320) if rotation % 180 else (320, 180)

    assert (
        probes.header_info(os.fsencode(file), tmp_path)
        == probes.ffprobe_info(os.fsencode(file), tmp_path)
        == MediaInfo(*expected, 3.0)
    )
    assert content_size(file, tmp_path) == expected


@pytest.mark.parametrize("rotation", range(1, 9))
def test_image_dimensions_respect_orientation(tmp_path, rotation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = rotation
    file = tmp_path / "a.jpg"
    Image.new("RGB", (64, 48)).save(file, exif=exif)
    expected = (48, 64) if rotation >= 5 else (64, 48)

    assert probe(file) == [MediaInfo(*expected)]
    assert content_size(file, tmp_path) == expected


def content_size(file: Path, root: Path) -> tuple[int, int]:
    """Return the size of the picture within its thumbnail of 512 pixels."""
    file_stat = file.stat()
    thumbnail = get_thumbnail(Source(file, root, file_stat.st_mtime_ns, file_stat.st_size), 512)
    with Image.open(io.BytesIO(thumbnail.read())) as image:
        width, height = image.info[CONTENT_SIZE_KEY].split("x")
    return int(width), int(height)


def test_file_is_probed_once_until_it_changes(tmp_path, monkeypatch):
    picture = put(tmp_path, "a.jpg", jpeg(64, 48))
    assert probe(picture) == [MediaInfo(64, 48)]
    with monkeypatch.context() as patched:
        patched.setattr(probes, "image_info", lambda *_: pytest.fail("probed again"))
        assert probe(picture) == [MediaInfo(64, 48)]

    put(tmp_path, "a.jpg", jpeg(80, 60), age_s=5)
    assert probe(picture) == [MediaInfo(80, 60)]


def test_broken_file_is_cached_as_unknown(tmp_path, monkeypatch):
    files = [
        put(tmp_path, "a.jpg", b"no picture"),
        put(tmp_path, "b.mp4", b"no video"),
        put(tmp_path, "c.avi", b"#EXTM3U\nhttp://127.0.0.1:1/a.ts\n"),
        put(tmp_path, "d.mkv", b""),
        put(tmp_path, "e.ts", b"ffconcat version 1.0\nfile /etc/passwd\n"),
    ]
    assert probe(*files, wait=True) == [UNKNOWN] * 5

    monkeypatch.setattr(probes, "ffprobe_info", lambda *_: pytest.fail("probed again"))
    monkeypatch.setattr(probes, "image_info", lambda *_: pytest.fail("probed again"))
    assert probe(*files) == [UNKNOWN] * 5


@pytest.mark.parametrize("fault", [FfmpegTimedOut(), FfmpegMissing(), FfmpegKilled(), StorageFault()], ids=repr)
@pytest.mark.parametrize("name", ["a.jpg", "a.mp4", "a.avi"])
def test_other_failures_are_retried(tmp_path, monkeypatch, name, fault):
    file = video(tmp_path / name) if name != "a.jpg" else put(tmp_path, name, jpeg(320, 180))

    def fail(*_: object, **__: object) -> None:
        raise fault

    with monkeypatch.context() as patched:
        for target in ("reviewer.media_info.probes.open_regular", "nvr.media.ffmpeg.operations.probe"):
            patched.setattr(target, fail)
        assert probe(file, wait=True) == [None]
        probes.probe_all([str(file)], tmp_path)

    (info,) = probe(file, wait=True)
    assert info is not None
    assert (info.width, info.height) == (320, 180)


def test_storage_fault_differs_from_a_truncated_file(tmp_path, monkeypatch):
    complete = video(tmp_path / "complete.mkv")
    short = put(tmp_path, "short.mkv", complete.read_bytes()[:100])
    for target, fault in (
        ("reviewer.media_info.probes.check_readable", StorageFault()),
        (
            "nvr.media.ffmpeg.probing.detect_demuxer",
            OSError(errno.EIO, "Input/output error"),
        ),  # as reading the header does
    ):
        with monkeypatch.context() as patched:
            patched.setattr(target, raising(fault))
            assert probe(short, wait=True) == [None]

    assert probe(short, wait=True) == [UNKNOWN]


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4", "a.avi"])
def test_file_outside_the_root_is_not_probed(tmp_path, name):
    outside, card = tmp_path.resolve() / "outside", tmp_path.resolve() / "card"
    outside.mkdir(), card.mkdir()
    video(outside / name) if name != "a.jpg" else put(outside, name, jpeg())
    (card / "DCIM").symlink_to(outside)
    file = os.fsencode(card / "DCIM" / name)
    files = [(file, os.stat(file))]

    assert media_info_of(files, Deadline(for_all=True), root=card) == {}
    probes.probe_all([os.fsdecode(file)], card)
    assert media_info_of(files, Deadline(for_all=True), root=card) == {}
    own = os.fsencode(outside / name)
    assert media_info_of([(own, os.stat(own))], Deadline(for_all=True), root=outside).keys() == {own}


def test_inside_link_has_the_metadata_of_its_target(tmp_path):
    put(tmp_path, "a.jpg", jpeg(64, 48))
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")

    assert probe(tmp_path / "link.jpg") == [MediaInfo(64, 48)]


def test_sent_mark_is_shared_by_all_processes(monkeypatch):
    keys: list[str] = []
    monkeypatch.setattr(probes.cache, "add", lambda key, *_: keys.append(key))

    probes.mark_sent(b"/card/a.avi")

    assert keys == ["probe:48f8aea9721bdb8543500cb0c92bad19"]  # whatever PYTHONHASHSEED is


def test_page_waits_until_the_deadline_and_a_worker_probes_the_rest(tmp_path, monkeypatch, settings, no_worker):
    settings.NVR_REVIEW_PROBE_WAIT = timedelta(seconds=1)
    files = [put(tmp_path, f"{number}.avi", b"x") for number in range(8)]
    calls, resume = itertools.count(), threading.Event()

    def answer_first_two(*_: object) -> MediaInfo:
        if next(calls) >= 2:
            resume.wait(60)
        return MediaInfo(1, 2, 3.0)

    monkeypatch.setattr(probes, "ffprobe_info", answer_first_two)
    started = time.monotonic()

    first = probe(*files)

    resume.set()
    assert time.monotonic() - started < 30
    assert first.count(MediaInfo(1, 2, 3.0)) == 2
    assert len(no_worker) == 1 and len(no_worker[0]) == 6
    probe(*files)
    assert len(no_worker) == 1  # each file is sent once
    monkeypatch.setattr(probes, "ffprobe_info", lambda *_: MediaInfo(4, 5, 6.0))
    probes.probe_all(no_worker[0], tmp_path)
    assert None not in probe(*files)


def test_waiting_for_all_probes_every_file(tmp_path, monkeypatch, settings):
    settings.NVR_REVIEW_PROBE_WAIT = timedelta(0)
    files = [put(tmp_path, f"{number}.avi", b"x") for number in range(4)]
    monkeypatch.setattr(probes, "ffprobe_info", lambda *_: MediaInfo(1, 2, 3.0))

    assert probe(*files) == [None] * 4
    assert probe(*files, wait=True) == [MediaInfo(1, 2, 3.0)] * 4


def test_damaged_cache_is_deleted(tmp_path, settings):
    picture = put(tmp_path, "a.jpg", jpeg(64, 48))
    probe(picture)
    _, connection = probe_cache._local.__dict__.pop("probes")
    connection.close()
    cache_file = settings.NVR_DATA_DIR / "review-index" / "probes.sqlite3"
    cache_file.write_bytes(b"\0" * 10_000)
    for suffix in ("-wal", "-shm"):
        Path(f"{cache_file}{suffix}").unlink(missing_ok=True)

    assert probe(picture) == [MediaInfo(64, 48)]
    assert probe(picture) == [MediaInfo(64, 48)]


def test_items_contain_the_metadata(review, card):
    video(card / "DCIM/100MEDIA/clip.mp4")

    (item,) = [item for item in streamed(review, card, wait=1) if item["name"] == "clip.mp4"]
    assert item["mediaType"] == "video"
    assert item["metadata"] == {"width": 320, "height": 180, "duration_seconds": 3.0}


def box(kind: bytes, *inner: bytes, length: int | None = None) -> bytes:
    body = b"".join(inner)
    return struct.pack(">I4s", 8 + len(body) if length is None else length, kind) + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"\0" * 100,
        box(b"ftyp", b"mp42"),
        box(b"moov", length=7),
        box(b"free") * (MAX_BOXES + 1),
        struct.pack(">I4sQ", 1, b"free", 2**63) + b"\0" * 20,
        struct.pack(">I4sQ", 1, b"moov", 3),
        box(b"moov", *[box(b"trak", box(b"mdia"))] * (MAX_BOXES // 2)),
        box(b"moov", box(b"mvhd", b"\0\0")),
        box(b"moov", box(b"trak", box(b"mdia", box(b"hdlr", b"\0" * 8)))),
    ],
)
def test_malicious_boxes_are_rejected_quickly(data):
    started = time.monotonic()
    with pytest.raises(UnreadableMp4):
        read_movie_info(io.BytesIO(data), len(data))
    assert time.monotonic() - started < 10


def test_box_size_can_exceed_the_file_size():
    data = box(b"moov", box(b"mvhd", b"\0" * 12, struct.pack(">II", 1000, 2000)), length=2**31)

    assert read_movie_info(io.BytesIO(data), len(data)).duration_s == 2.0
