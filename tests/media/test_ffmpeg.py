"""ffmpeg, real: what it may open, how long it may take, what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from nvr.media.ffmpeg import containers, probing, processes
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.containers import HEAD_BYTES, demuxer_for
from nvr.media.ffmpeg.operations import FfmpegFailed, FfmpegMissing, FfmpegTimedOut, UnknownContainer
from nvr.media.files.atomic_write import remove_abandoned_parts, write_to
from nvr.media.files.paths import NoSuchFile
from nvr.media.images.decoder import pictures
from tests.films import encode_once

LONG = timedelta(minutes=2)
BASE_DIR = Path(__file__).resolve().parents[2]


def film(path: Path, *options: str, size: str = "160x120", seconds: float = 2, sound: bool = False) -> Path:
    """The colours change with time: red in the first second, then blue."""
    picture = f"color=red:s={size}:r=10:d={seconds / 2}[a];color=blue:s={size}:r=10:d={seconds / 2}[b];[a][b]concat"
    inputs = ["-f", "lavfi", "-i", picture]
    if sound:
        inputs += ["-f", "lavfi", "-i", f"sine=duration={seconds}"]
    path.write_bytes(encode_once(path.suffix, *inputs, *(options or ("-c:v", "libx264", "-pix_fmt", "yuv420p"))))
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    h264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
    film(folder / "a.mp4", *h264, "-c:a", "aac", sound=True)
    film(folder / "a.mov", *h264)
    film(folder / "a.mkv", *h264, "-c:a", "libmp3lame", sound=True)
    film(folder / "a.webm", "-c:v", "libvpx", "-c:a", "libopus", sound=True)
    film(folder / "a.avi", "-c:v", "mpeg4")
    film(folder / "h264.avi", *h264)
    film(folder / "a.ts", *h264)
    film(folder / "a.mpg", "-c:v", "mpeg2video", "-r", "25")
    film(folder / "a.wmv", "-c:v", "wmv2")
    film(folder / "odd.avi", "-c:v", "mjpeg", "-pix_fmt", "yuvj444p", size="161x121")
    film(folder / "pcm.avi", *h264, "-c:a", "pcm_s16le", sound=True)
    film(folder / "ten_bit.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p10le")
    return folder


CONTAINERS = {
    "a.mp4": "mov",
    "a.mov": "mov",
    "a.mkv": "matroska",
    "a.webm": "matroska",
    "a.avi": "avi",
    "a.ts": "mpegts",
    "a.mpg": "mpeg",
    "a.wmv": "asf",
}


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_the_duration_of_a_cut_from_a_stream_is_that_of_its_frames(films, tmp_path, name):
    late = tmp_path / name
    command = ["ffmpeg", "-v", "error", "-i", films / name, "-c", "copy", "-output_ts_offset", "3600", late]
    subprocess.run(command, check=True, timeout=60)

    assert ffmpeg.probe(late).duration == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(("name", "container"), CONTAINERS.items())
def test_the_container_is_detected_by_its_first_bytes(films, tmp_path, name, container):
    shutil.copy(films / name, tmp_path / "renamed.bin")

    facts = ffmpeg.probe(tmp_path / "renamed.bin")

    assert facts.container == container
    assert (facts.width, facts.height) == (160, 120)
    assert facts.duration == pytest.approx(2, abs=0.6)  # MPEG program streams say no more than their last time stamp


def test_probe_returns_codecs_size_and_duration(films):
    facts = ffmpeg.probe(films / "a.mp4")

    assert (facts.video_codec, facts.audio_codec, facts.pix_fmt) == ("h264", "aac", "yuv420p")
    assert ffmpeg.probe(films / "a.avi").audio_codec is None


def test_a_rotated_video_has_its_displayed_size(films, tmp_path):
    command = ["ffmpeg", "-v", "error", "-display_rotation", "90", "-i", films / "a.mov", "-c", "copy"]
    command += ["-metadata:s:v", "rotate=90", tmp_path / "turned.mov"]
    if subprocess.run(command, check=False, timeout=60, stderr=subprocess.DEVNULL).returncode != 0:
        command[3:5] = []  # before ffmpeg 6 the metadata does it
        subprocess.run(command, check=True, timeout=60)

    facts = ffmpeg.probe(tmp_path / "turned.mov")

    assert (facts.width, facts.height) == (120, 160)


def test_a_file_with_audio_only_is_not_a_video(tmp_path):
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", tmp_path / "a.mp4"]
    subprocess.run(command, check=True, timeout=60)

    with pytest.raises(FfmpegFailed, match="contains no video"):
        ffmpeg.probe(tmp_path / "a.mp4")


def dominant(path: Path) -> str:
    with Image.open(path) as image:
        red, _, blue = image.convert("RGB").resize((1, 1)).getpixel((0, 0))
    return "red" if red > blue else "blue"


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_frame_is_extracted_at_the_requested_position(films, tmp_path, name):
    for at, colour in ((0.3, "red"), (1.5, "blue")):
        ffmpeg.extract_frame(films / name, at, tmp_path / "frame.jpg")

        assert dominant(tmp_path / "frame.jpg") == colour
        assert pictures.check(tmp_path / "frame.jpg").has_end


@pytest.mark.parametrize(("at", "colour"), [(99.0, "blue"), (2.0, "blue"), (-5.0, "red"), (0.0, "red")])
def test_a_position_outside_the_video_returns_the_nearest_frame(films, tmp_path, at, colour):
    ffmpeg.extract_frame(films / "a.mp4", at, tmp_path / "frame.jpg")

    assert dominant(tmp_path / "frame.jpg") == colour


@pytest.mark.parametrize("extract", ["extract_frame", "extract_early_frame"])
def test_all_attempts_for_a_frame_share_one_time_limit(films, tmp_path, monkeypatch, extract):
    """Behind the end of a video ffprobe is asked too: a web server waits for it."""
    limits: list[timedelta] = []

    def noted(arguments, *, timeout, **options):
        limits.append(timeout)
        return processes.run(arguments, timeout=timeout, **options)

    monkeypatch.setattr(ffmpeg, "run", noted)
    monkeypatch.setattr(probing, "run", noted)

    getattr(ffmpeg, extract)(films / "a.mp4", 60, tmp_path / "frame.jpg", 160, timeout=timedelta(seconds=9))

    assert len(limits) >= 3
    assert max(limits) <= timedelta(seconds=9) and limits[1:] == sorted(limits[1:], reverse=True)


@pytest.mark.parametrize(("width", "expected"), [(None, (160, 120)), (80, (80, 60)), (999, (160, 120)), (81, (81, 61))])
def test_a_frame_is_never_enlarged(films, tmp_path, width, expected):
    ffmpeg.extract_frame(films / "a.avi", 0, tmp_path / "frame.jpg", width)

    assert Image.open(tmp_path / "frame.jpg").size == expected


def test_a_partly_written_video_still_has_a_frame(films, tmp_path):
    data = (films / "a.mkv").read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) * 2 // 3])

    ffmpeg.extract_frame(tmp_path / "half.mkv", 0.2, tmp_path / "frame.jpg")

    assert dominant(tmp_path / "frame.jpg") == "red"


@pytest.mark.parametrize("name", ["a 'b\".avi", "-i.avi", "%03d.avi", "a:b.avi", "ä\n.avi", "$(touch x).avi", "|x.avi"])
def test_file_names_are_never_options_patterns_or_commands(films, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(films / "a.avi", tmp_path / name)
    target = (tmp_path / name).with_suffix(".jpg")

    ffmpeg.extract_frame(Path(name), 0, target)

    assert sorted(os.listdir(tmp_path)) == sorted([name, target.name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "playable"),
    [
        ("a.mp4", True),
        ("h264.avi", True),
        ("a.mkv", True),
        ("a.ts", True),
        ("a.avi", False),
        ("odd.avi", False),
        ("pcm.avi", False),
        ("ten_bit.mp4", False),
        ("a.webm", False),
    ],
)
def test_only_streams_that_browsers_play_are_remuxed(films, name, playable):
    assert ffmpeg.can_remux(ffmpeg.probe(films / name)) is playable


@pytest.mark.parametrize("name", ["a.mp4", "h264.avi", "a.mkv", "a.ts", "a.mov"])
def test_a_remux_keeps_the_streams_and_plays_while_it_loads(films, tmp_path, name):
    ffmpeg.remux_mp4(films / name, tmp_path / "b.mp4", timeout=LONG)

    before, after = ffmpeg.probe(films / name), ffmpeg.probe(tmp_path / "b.mp4")
    assert (after.video_codec, after.audio_codec) == (before.video_codec, before.audio_codec)
    assert after.duration == pytest.approx(2, abs=0.3)
    assert index_comes_first(tmp_path / "b.mp4")
    ffmpeg.extract_frame(tmp_path / "b.mp4", 1.5, tmp_path / "frame.jpg")
    assert dominant(tmp_path / "frame.jpg") == "blue"


@pytest.mark.parametrize("name", ["a.avi", "odd.avi", "pcm.avi", "ten_bit.mp4", "a.webm", "a.wmv", "a.mpg"])
def test_a_transcode_is_in_a_format_that_every_browser_plays(films, tmp_path, name):
    ffmpeg.transcode_mp4(films / name, tmp_path / "b.mp4", timeout=LONG)

    facts = ffmpeg.probe(tmp_path / "b.mp4")
    assert (facts.video_codec, facts.pix_fmt) == ("h264", "yuv420p")
    assert facts.audio_codec in {None, "aac"}
    assert facts.width % 2 == facts.height % 2 == 0
    assert index_comes_first(tmp_path / "b.mp4")
    assert facts.duration == pytest.approx(2, abs=0.3)


def index_comes_first(path: Path) -> bool:
    data = path.read_bytes()
    return 0 < data.find(b"moov") < data.find(b"mdat")


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"
DASH = '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>{}</BaseURL></MPD>'
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na={}\n"
SUBTITLES = "1\n00:00:00,000 --> 00:00:02,000\n{}\n"


@pytest.mark.parametrize("script", [HLS, CONCAT, DASH, SDP, SUBTITLES], ids=["hls", "concat", "dash", "sdp", "srt"])
@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv", "a.ts"])
def test_a_script_disguised_as_a_video_opens_no_file(films, tmp_path, script, name):
    with listener() as (address, visits):
        for target in (str(films / "a.mp4"), f"http://{address}/x", f"rtsp://{address}/x", f"tcp://{address}"):
            (tmp_path / name).write_text(script.format(target))
            for work in works(tmp_path / name, tmp_path / "out"):
                with pytest.raises(UnknownContainer):
                    work()

    assert visits == []
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x18ftypmp42",
        b"RIFF\0\0\0\0AVI ",
        b"\x1a\x45\xdf\xa3",
        b"\0\0\x01\xba",
        b"G" + b"\n" * 187 + b"G\n",
    ],
    ids=["mov", "avi", "matroska", "mpeg", "mpegts"],
)
@pytest.mark.parametrize("script", [HLS, CONCAT], ids=["hls", "concat"])
def test_a_script_after_a_videos_first_bytes_opens_no_file(films, tmp_path, head, script):
    with listener() as (address, visits):
        (tmp_path / "a.mp4").write_bytes(head + b"\n" + script.format(f"http://{address}/x").encode())
        for work in works(tmp_path / "a.mp4", tmp_path / "out"):
            with pytest.raises(FfmpegFailed):
                work()

    assert visits == []
    assert os.listdir(tmp_path) == ["a.mp4"]


def works(source: Path, target: Path):
    return [
        lambda: ffmpeg.probe(source),
        lambda: ffmpeg.extract_frame(source, 0, target),
        lambda: ffmpeg.remux_mp4(source, target, timeout=LONG),
        lambda: ffmpeg.transcode_mp4(source, target, timeout=LONG),
    ]


class listener:
    """A port that notes who connects."""

    def __enter__(self) -> tuple[str, list[object]]:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.visits: list[object] = []
        self.thread = threading.Thread(target=self.note, daemon=True)
        self.thread.start()
        return f"127.0.0.1:{self.socket.getsockname()[1]}", self.visits

    def note(self) -> None:
        while True:
            try:
                connection, visitor = self.socket.accept()
            except OSError:
                return
            self.visits.append(visitor)
            connection.close()

    def __exit__(self, *_: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.mark.parametrize("data", [b"", b"\0" * 1000, b"#!/bin/sh\n", b"<svg/>", b"GIF89a", b"\xff\xd8\xff\xe0", b"G"])
def test_a_file_that_is_not_a_video_is_rejected(tmp_path, data):
    (tmp_path / "a.mp4").write_bytes(data)

    with pytest.raises(UnknownContainer):
        ffmpeg.probe(tmp_path / "a.mp4")
    with pytest.raises(UnknownContainer):
        demuxer_for(data[:HEAD_BYTES])


@pytest.mark.timeout(30)
def test_special_files_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    (tmp_path / "link.mp4").symlink_to("/etc/passwd")

    for name in ("a.mp4", "link.mp4", "missing.mp4"):
        with pytest.raises(NoSuchFile):
            ffmpeg.probe(tmp_path / name)


def test_a_failure_leaves_the_target_unchanged(films, tmp_path):
    data = (films / "a.avi").read_bytes()
    (tmp_path / "torn.avi").write_bytes(data[:3000])
    (tmp_path / "b.mp4").write_bytes(b"what was there")

    with pytest.raises(FfmpegFailed):
        ffmpeg.transcode_mp4(tmp_path / "torn.avi", tmp_path / "b.mp4", timeout=LONG)

    assert (tmp_path / "b.mp4").read_bytes() == b"what was there"
    assert sorted(os.listdir(tmp_path)) == ["b.mp4", "torn.avi"]


def test_a_picture_that_claims_to_be_enormous_is_not_decoded(films, tmp_path, settings):
    settings.NVR_MAX_IMAGE_PIXELS = 100 * 100

    with pytest.raises(FfmpegFailed):
        ffmpeg.extract_frame(films / "a.avi", 0, tmp_path / "frame.jpg")


def running_in(group: int) -> list[str]:
    found = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True, check=False)
    return [state for state in found.stdout.split() if not state.startswith("Z")]


@pytest.mark.timeout(60)
def test_a_timeout_kills_the_whole_group(tmp_path):
    """A shell that forks and ignores SIGTERM; its children hold its pipes."""
    script = f"echo $$ > {tmp_path}/pid; trap '' TERM HUP INT; (trap '' TERM; sleep 300) & sleep 300 & wait"
    started = time.monotonic()

    with pytest.raises(FfmpegTimedOut):
        processes.run(["sh", "-c", script], timeout=timedelta(seconds=1))

    assert time.monotonic() - started < 10
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.timeout(60)
def test_children_of_an_exited_process_are_killed_too(tmp_path):
    script = f"echo $$ > {tmp_path}/pid; sleep 300 & exit 0"

    with pytest.raises(FfmpegTimedOut):
        processes.run(["sh", "-c", script], timeout=timedelta(seconds=1))

    assert gone(int((tmp_path / "pid").read_text()))


def gone(group: int) -> bool:
    for _ in range(50):
        if not running_in(group):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.timeout(60)
def test_closing_the_pipes_does_not_escape_the_timeout():
    with pytest.raises(FfmpegTimedOut):
        processes.run(["sh", "-c", "exec >&- 2>&-; sleep 300"], timeout=timedelta(seconds=1))


@pytest.mark.timeout(60)
def test_ffmpeg_ends_with_a_killed_worker(tmp_path):
    program = (
        "from datetime import timedelta; from nvr.media.ffmpeg.processes import run\n"
        f"run(['sh', '-c', 'echo $$ > {tmp_path}/pid; exec sleep 300'], timeout=timedelta(minutes=5))"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=BASE_DIR)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.05)

    worker.send_signal(signal.SIGKILL)
    worker.wait()

    assert gone(int((tmp_path / "pid").read_text()))


def test_endless_output_does_not_fill_the_memory():
    with pytest.raises(FfmpegTimedOut):
        processes.run(["sh", "-c", "yes >&2 & yes"], timeout=timedelta(seconds=1))

    with pytest.raises(FfmpegFailed) as failure:
        processes.run(["sh", "-c", "yes | head -c 20000000; seq 100000 >&2; exit 3"], timeout=LONG)
    assert failure.value.detail.endswith("99996 / 99997 / 99998 / 99999 / 100000")
    assert len(processes.run(["sh", "-c", "yes | head -c 20000000"], timeout=LONG)) == processes.MAX_OUTPUT_BYTES


def test_ffmpeg_runs_at_low_priority_without_stdin():
    assert processes.run(["sh", "-c", "nice; cat"], timeout=LONG) == b"%d\n" % min(19, os.nice(0) + 10)


def test_no_descriptor_stays_open():
    before = len(os.listdir("/proc/self/fd"))

    for command in ("true", "false", "sleep 9"):
        try:
            processes.run(["sh", "-c", command], timeout=timedelta(seconds=0.2))
        except FfmpegFailed:
            continue

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_missing_ffmpeg_is_reported_with_a_fix(films, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(FfmpegMissing, match="apt install ffmpeg"):
        ffmpeg.probe(films / "a.mp4")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://u:p@cam/1: failed", "rtsp://***@cam/1: failed"),
        ("rtsp://u:p@ss/w@rd@cam/1", "rtsp://***@cam/1"),
        ("a RTSPS://u@cam b http://x:y@z c", "a RTSPS://***@cam b http://***@z c"),
        ("http://cam/?user=a&password=p&x=1", "http://cam/?user=a&password=***&x=1"),
        ("http://cam/?PWD=p api_key=k token=t", "http://cam/?PWD=*** api_key=*** token=***"),
        ("file:/a/b@c.avi", "file:/a/b@c.avi"),
        ("nothing here", "nothing here"),
    ],
)
def test_credentials_are_masked(text, masked):
    assert ffmpeg.mask_credentials(text) == masked


def test_credentials_in_error_messages_are_masked():
    with pytest.raises(FfmpegFailed) as failure:
        processes.run(["sh", "-c", "echo 'rtsp://admin:hunter2@cam/1: refused' >&2; exit 1"], timeout=LONG)

    assert failure.value.detail == "The video could not be read: rtsp://***@cam/1: refused"
    assert "hunter2" not in str(failure.value)


def test_a_temporary_file_is_renamed_or_removed(tmp_path):
    target = tmp_path / "new folder" / "a.jpg"

    with pytest.raises(RuntimeError), write_to(target) as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert os.listdir(target.parent) == []

    with write_to(target) as part:
        part.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert os.listdir(target.parent) == ["a.jpg"]


def test_files_of_killed_writers_are_removed_but_not_work_in_progress(tmp_path):
    for name, age in (("1.part", 999_999), ("2.part", 1), ("a.jpg", 999_999)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))

    assert remove_abandoned_parts(tmp_path) == 1
    assert sorted(os.listdir(tmp_path)) == ["2.part", "a.jpg"]


def test_every_signature_has_a_demuxer_of_ffmpeg():
    known = subprocess.run(["ffmpeg", "-v", "error", "-demuxers"], capture_output=True, text=True, check=True).stdout
    names = {name for line in known.splitlines() if line.startswith(" D") for name in line.split()[1].split(",")}

    assert {demuxer for _, demuxer in containers.MAGIC} | {"mov", "avi", "mpegts"} <= names
