"""Sampled frames of a video: which and how many, and files that are no videos or declare wrong values."""

from __future__ import annotations

import struct
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from media_serving.detectors.vision.sampling import sample_frames
from nvr.media.ffmpeg import processes
from nvr.media.ffmpeg.operations import FfmpegFailed, FfmpegTimedOut, UnknownContainer
from nvr.media.files.paths import NoSuchFile

AT = datetime(2026, 1, 1, tzinfo=UTC)
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
# Every frame is grey and brighter than the previous one: at 10 frames/s, by 30 levels per second.
BRIGHTER = "color=black:s=160x120:r=10:d={seconds},format=yuv420p,geq=lum='16+3*N':cb=128:cr=128"


def make_video_file(path: Path, *options: str, seconds: float = 4) -> Path:
    source = ["-f", "lavfi", "-i", BRIGHTER.format(seconds=seconds)]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *source, *(options or H264), str(path)], check=True, timeout=150)
    return path


@pytest.fixture(scope="module")
def four_seconds(tmp_path_factory) -> Path:
    return make_video_file(tmp_path_factory.mktemp("films") / "a.mkv")


def brightness(frame) -> int:
    return frame.image.convert("L").getpixel((80, 60))


def test_one_frame_per_second_with_offset_and_timestamp(four_seconds):
    frames = list(sample_frames(four_seconds, AT))

    assert [frame.offset_ms for frame in frames] == [0, 1000, 2000, 3000]
    assert [frame.at - AT for frame in frames] == [timedelta(seconds=second) for second in range(4)]
    assert {frame.image.size for frame in frames} == {(160, 120)}


def test_a_frame_is_the_one_shown_at_its_timestamp(four_seconds):
    levels = [brightness(frame) for frame in sample_frames(four_seconds, AT, interval=timedelta(milliseconds=500))]

    expected = [round(15 * step * 255 / 219) for step in range(8)]
    assert levels == pytest.approx(expected, abs=2)  # the next frame of the video is 3.5 levels brighter


def test_offsets_of_a_video_with_a_late_start_count_from_its_start(tmp_path):
    late = make_video_file(tmp_path / "late.ts", *H264, "-output_ts_offset", "3600")

    assert [frame.offset_ms for frame in sample_frames(late, AT)] == [0, 1000, 2000, 3000]


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.ts", "a.mpg"])
def test_every_container_is_sampled(tmp_path, name):
    video = make_video_file(tmp_path / name, *(("-c:v", "mpeg2video", "-r", "25") if name == "a.mpg" else H264))

    assert [frame.offset_ms for frame in sample_frames(video, AT)][:4] == [0, 1000, 2000, 3000]


def test_a_long_video_is_sampled_thinly_to_its_end(tmp_path):
    video = make_video_file(tmp_path / "long.avi", "-c:v", "mjpeg", seconds=20)

    offsets = [frame.offset_ms for frame in sample_frames(video, AT, max_frames=5)]

    assert offsets == [0, 4000, 8000, 12000, 16000]


def with_declared_duration(source: Path, target: Path, seconds: float) -> Path:
    """A copy of a Matroska file that declares a duration of `seconds`."""
    data = bytearray(source.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", seconds * 1000)
    target.write_bytes(data)
    return target


def test_a_video_that_declares_ten_hours_yields_only_its_actual_frames(four_seconds, tmp_path):
    with_wrong_duration = with_declared_duration(four_seconds, tmp_path / "lying.mkv", 36_000)

    assert [frame.offset_ms for frame in sample_frames(with_wrong_duration, AT)] == [0, 1000, 2000, 3000]


def test_a_frame_that_lasts_for_hours_ends_at_the_limit(tmp_path):
    sparse = make_video_file(
        tmp_path / "sparse.mkv", *H264, "-vf", "setpts=PTS*9000", "-vsync", "passthrough", seconds=0.2
    )

    assert len(list(sample_frames(sparse, AT, max_frames=20))) <= 20


def test_large_frames_are_scaled_down(tmp_path):
    video = make_video_file(tmp_path / "large.mp4", *H264, "-vf", "scale=2560:1440", seconds=0.5)

    (frame,) = sample_frames(video, AT)

    assert frame.image.size == (1920, 1080)


def without_moov(path: Path) -> Path:
    whole = make_video_file(path).read_bytes()
    path.write_bytes(whole[: whole.index(b"moov") - 4])
    return path


def with_sound_only(path: Path) -> Path:
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(path)], check=True
    )
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize("maker", [without_moov, with_sound_only, empty])
def test_a_file_without_a_readable_frame_is_rejected(tmp_path, maker):
    with pytest.raises(FfmpegFailed) as refusal:
        list(sample_frames(maker(tmp_path / "a.mp4"), AT))

    assert refusal.value.detail


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:1,\n{0}\n", "ffconcat version 1.0\nfile {0}\n", "[playlist]\nFile1={0}"]
)
def test_a_playlist_with_a_video_extension_is_rejected(tmp_path, four_seconds, text):
    disguised = tmp_path / "a.avi"
    disguised.write_text(text.format(four_seconds))

    with pytest.raises(UnknownContainer):
        list(sample_frames(disguised, AT))


def test_a_missing_file_and_a_link_outside_the_root_are_rejected(tmp_path, four_seconds):
    with pytest.raises(NoSuchFile):
        list(sample_frames(tmp_path / "gone.mp4", AT))
    link = tmp_path / "link.mkv"
    link.symlink_to(four_seconds)
    with pytest.raises(NoSuchFile):
        list(sample_frames(link, AT, root=tmp_path.resolve()))


def test_a_truncated_video_yields_its_readable_frames(four_seconds, tmp_path):
    whole = make_video_file(tmp_path / "whole.avi", "-c:v", "mjpeg").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) * 6 // 10])

    offsets = [frame.offset_ms for frame in sample_frames(cut, AT)]

    assert offsets[:2] == [0, 1000]


def test_a_slow_caller_exceeds_the_time_limit(four_seconds):
    frames = sample_frames(four_seconds, AT, interval=timedelta(milliseconds=10), time_limit=timedelta(seconds=4))

    next(frames)
    time.sleep(4.1)

    with pytest.raises(FfmpegTimedOut):
        list(frames)


def test_closing_the_generator_early_leaves_no_process(four_seconds, monkeypatch):
    started = []
    start = processes.start_process
    monkeypatch.setattr(processes, "start_process", lambda *given: started.append(start(*given)) or started[-1])
    frames = sample_frames(four_seconds, AT)

    next(frames)
    frames.close()

    assert [process.returncode is not None for process in started] == [True, True]
