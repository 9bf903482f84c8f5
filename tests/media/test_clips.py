"""Clips, by real ffmpeg from real films: exactly the frames asked for, whatever they lie in."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from nvr.media.ffmpeg import clips
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.clips import Cut, NoReadableFootage, cut_videos, render_stills
from nvr.media.ffmpeg.processes import FfmpegMissing, FfmpegTimedOut
from nvr.media.files.paths import open_regular
from tests.films import FPS, H264, frame_numbers, numbered_still, numbered_video, streams_by_type

LONG = timedelta(minutes=1)
CONTAINERS = {
    "mp4": (".mp4", H264),
    "no B-frames": (".mp4", (*H264, "-bf", "0")),
    "no B-frames in mkv": (".mkv", (*H264, "-bf", "0")),
    "B-frames": (".mp4", (*H264, "-bf", "3")),
    "mkv": (".mkv", H264),
    "mov": (".mov", ("-c:v", "mpeg4", "-q:v", "2")),
    "mjpeg in avi": (".avi", ("-c:v", "mjpeg", "-q:v", "2")),
    "mpeg4 in avi": (".avi", ("-c:v", "mpeg4", "-q:v", "2", "-g", "25")),
    "h264 in avi": (".avi", (*H264, "-bf", "0")),
    "webm": (".webm", ("-c:v", "libvpx", "-b:v", "1M")),
    "ts": (".ts", H264),
}


@contextmanager
def cuts_from(*places: tuple[Path, float, float]) -> Iterator[list[Cut]]:
    """Open pieces from file, start and length in seconds."""
    with ExitStack() as files:
        yield [cut_of(files, *place) for place in places]


def cut_of(files: ExitStack, film: Path, start: float, length: float) -> Cut:
    source = ffmpeg.source_for(files.enter_context(open_regular(film)))
    return Cut(source, ffmpeg.probe_source(source), start, length)


def clip_of(target: Path, *places: tuple[Path, float, float]) -> list[int]:
    with cuts_from(*places) as cuts:
        cut_videos(cuts, target, timeout=LONG)
    return frame_numbers(target)


def shows(found: Sequence[int], expected: Sequence[int]) -> None:
    """Begin, end and length within one frame, and no frame in between missing or in the wrong place."""
    assert abs(found[0] - expected[0]) <= 1
    assert abs(found[-1] - expected[-1]) <= 1
    assert abs(len(found) - len(expected)) <= 1
    assert all(0 <= later - earlier <= 2 for earlier, later in pairwise(found))


# Every day each start in one container and one start in each.
PIECES = [
    pytest.param(*film, start, id=f"{name} at {start}", marks=() if name == "mp4" or start == 3.3 else pytest.mark.slow)
    for name, film in CONTAINERS.items()
    for start in (0.0, 3.3, 7.84)
]


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "options", "start"), PIECES)
def test_a_cut_starts_and_ends_at_the_requested_frames(tmp_path, suffix, options, start):
    film = numbered_video(tmp_path / f"film{suffix}", *options)

    found = clip_of(tmp_path / "clip.part", (film, start, 2.0))

    first = round(start * FPS)
    shows(found, range(first, first + 20))


CAMERA_LIKE = (*H264, "-bf", "0", "-crf", "30")


def is_a_copy(clip: Path) -> bool:
    """By the settings that the encoder writes beside its first picture."""
    data = clip.read_bytes()
    assert (b"crf=30" in data) != (b"crf=23" in data)
    return b"crf=30" in data


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("sound", [(), ("-c:a", "pcm_s16le"), ("-c:a", "aac")], ids=["silent", "pcm", "aac"])
def test_a_stream_that_browsers_play_is_copied_and_its_audio_trimmed(tmp_path, suffix, sound):
    if (suffix, "pcm_s16le") == (".mp4", *sound[1:]):
        suffix = ".mov"
    film, target = tmp_path / f"film{suffix}", tmp_path / "clip.part"
    numbered_video(film, *CAMERA_LIKE, *sound, sound=bool(sound))

    shows(clip_of(target, (film, 1.3, 4)), range(13, 53))

    assert is_a_copy(target)
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    if sound:
        told = streams_by_type(target)["audio"]
        assert told["codec_name"] == "aac"
        assert float(told["duration"]) == pytest.approx(4, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".mp4", ("-bf", "3")), (".mp4", ("-g", "1000", "-sc_threshold", "0")), (".mp4", ("-pix_fmt", "yuv444p"))],
    ids=["in another order", "key frames far apart", "colours that few play"],
)
def test_other_streams_are_encoded(tmp_path, suffix, options):
    film = numbered_video(tmp_path / f"film{suffix}", *CAMERA_LIKE, *options, frames=150, size="32x32")

    found = clip_of(tmp_path / "clip.part", (film, 11.0, 1.0))

    assert found[0] >= 100
    assert len(found) == 10
    assert not is_a_copy(tmp_path / "clip.part")


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["all", "the middle"])
def test_a_damaged_stream_is_not_copied(tmp_path, damage):
    film = numbered_video(tmp_path / "film.mp4", *CAMERA_LIKE, size="320x240")
    data = bytearray(film.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    if damage == "the middle":
        start, end = start + (end - start) // 2, start + (end - start) * 3 // 4
    data[start:end] = bytes(end - start)
    film.write_bytes(data)

    if damage == "all":
        with pytest.raises(ffmpeg.FfmpegFailed):
            clip_of(tmp_path / "clip.part", (film, 0.0, 9.0))
    else:
        assert set(clip_of(tmp_path / "clip.part", (film, 0.0, 9.0))) >= set(range(2, 35))
        assert not is_a_copy(tmp_path / "clip.part")


@pytest.mark.slow
def test_a_video_that_does_not_start_at_0_is_cut_correctly(tmp_path):
    film, late = numbered_video(tmp_path / "film.mkv", *CAMERA_LIKE), tmp_path / "late.mkv"
    command = ["ffmpeg", "-v", "error", "-i", film, "-c", "copy", "-output_ts_offset", "3600", late]
    subprocess.run(command, check=True, timeout=60)

    shows(clip_of(tmp_path / "clip.part", (late, 3.3, 2.0)), range(33, 53))


@pytest.mark.slow
@pytest.mark.parametrize("options", [CAMERA_LIKE, H264], ids=["to be copied", "to be encoded"])
def test_a_video_with_a_frame_every_five_seconds_is_cut_to_its_length(tmp_path, options):
    quick, film, target = (
        numbered_video(tmp_path / "quick.mp4", *options),
        tmp_path / "film.mp4",
        tmp_path / "clip.part",
    )
    subprocess.run(
        ["ffmpeg", "-v", "error", "-itsscale", "50", "-i", quick, "-c", "copy", film], check=True, timeout=60
    )

    found = clip_of(target, (film, 7.0, 12.0))

    assert sorted(set(found))[-2:] == [2, 3]
    assert float(streams_by_type(target)["video"]["duration"]) == pytest.approx(12, abs=1.1)


@pytest.mark.slow
def test_a_gap_in_the_frames_does_not_lengthen_the_cut(tmp_path):
    whole, film = numbered_video(tmp_path / "whole.mp4"), tmp_path / "film.mp4"
    holed = ("-vf", "select='not(between(n,30,59))'", "-vsync", "vfr", *H264)
    subprocess.run(["ffmpeg", "-v", "error", "-i", whole, *holed, film], check=True, timeout=60)

    found = clip_of(tmp_path / "clip.part", (film, 3.3, 4.0))

    assert float(streams_by_type(tmp_path / "clip.part")["video"]["duration"]) == pytest.approx(4, abs=0.2)
    assert found[-1] == pytest.approx(72, abs=2)


def test_three_cuts_are_concatenated_without_missing_or_extra_frames(tmp_path):
    one = numbered_video(tmp_path / "1.mp4")
    two = numbered_video(tmp_path / "2.avi", "-c:v", "mjpeg", "-q:v", "2", frames=10, first=40)
    three = numbered_video(tmp_path / "3.mkv", first=0)

    found = clip_of(tmp_path / "clip.part", (one, 2.0, 2.0), (two, 0.0, 1.0), (three, 5.0, 2.5))

    expected = [*range(20, 40), *range(40, 50), *range(50, 75)]
    assert len(found) == len(expected)
    assert all(abs(shown - number) <= 1 for shown, number in zip(found, expected, strict=True))
    assert float(streams_by_type(tmp_path / "clip.part")["video"]["duration"]) == pytest.approx(5.5, abs=0.02)


@pytest.mark.slow
def test_a_clip_plays_in_a_browser_while_it_loads(tmp_path):
    film = numbered_video(tmp_path / "film.avi", "-c:v", "mjpeg", "-q:v", "2", size="65x49")
    again = numbered_video(tmp_path / "again.mp4")
    for places in ([(film, 1.0, 1.0)], [(film, 1.0, 1.0), (again, 1.0, 1.0)]):
        clip_of(tmp_path / "clip.part", *places)

        video = streams_by_type(tmp_path / "clip.part")["video"]
        assert (video["codec_name"], video["pix_fmt"]) == ("h264", "yuv420p")
        assert (video["width"] % 2, video["height"] % 2) == (0, 0)
        data = (tmp_path / "clip.part").read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.slow
def test_cuts_of_other_sizes_are_letterboxed_to_the_first(tmp_path):
    wide = numbered_video(tmp_path / "wide.mp4", size="128x48")
    high = numbered_video(tmp_path / "high.mp4", size="48x96")

    found = clip_of(tmp_path / "clip.part", (wide, 0, 1), (high, 1, 1))

    video = streams_by_type(tmp_path / "clip.part")["video"]
    assert (video["width"], video["height"]) == (128, 48)
    shows(found, range(20))


def test_large_videos_are_scaled_down_and_pixels_are_square():
    facts = ffmpeg.MediaInfo(3840, 2160, 1, "h264", None, "mov", "yuv420p")
    analogue = ffmpeg.MediaInfo(704, 576, 1, "mpeg4", None, "avi", "yuv420p", pixel_aspect_ratio=12 / 11)

    assert clips.clip_size(facts) == (1920, 1080)
    assert clips.clip_size(analogue) == (768, 576)


def test_a_single_video_keeps_its_audio_and_several_have_none(tmp_path):
    film = numbered_video(tmp_path / "film.mp4", *H264, "-c:a", "aac", sound=True)
    target = tmp_path / "clip.part"

    shows(clip_of(target, (film, 2, 3)), range(20, 50))
    sound = streams_by_type(target)["audio"]
    assert sound["codec_name"] == "aac"
    assert float(sound["duration"]) == pytest.approx(3, abs=0.15)

    clip_of(target, (film, 2, 1), (film, 4, 1))
    assert "audio" not in streams_by_type(target)


@pytest.mark.slow
def test_undecodable_audio_does_not_prevent_a_clip(tmp_path, monkeypatch):
    film = numbered_video(tmp_path / "film.mp4", *H264, "-c:a", "aac", sound=True)
    monkeypatch.setattr(clips, "filter_audio", lambda stream, cut: stream.filter("no_such_filter"))

    shows(clip_of(tmp_path / "clip.part", (film, 2, 1)), range(20, 30))


def test_a_truncated_video_among_others_is_skipped(tmp_path):
    whole = numbered_video(tmp_path / "whole.mp4")
    torn = numbered_video(tmp_path / "torn.mp4")
    with cuts_from((whole, 0, 1), (torn, 2, 1), (whole, 3, 1)) as cuts:
        data = bytearray(torn.read_bytes())
        data[data.index(b"mdat") + 4 : data.index(b"moov")] = bytes(data.index(b"moov") - data.index(b"mdat") - 4)
        torn.write_bytes(data)
        cut_videos(cuts, tmp_path / "clip.part", timeout=LONG)

    found = frame_numbers(tmp_path / "clip.part")
    assert set(found) <= {*range(11), *range(29, 41)}
    assert len(found) == 20


@pytest.mark.slow
@pytest.mark.parametrize("start", [0.0, 0.1, 2.0])
def test_a_truncated_video_is_cut_correctly(tmp_path, start):
    one_key_frame = (*H264, "-g", "250", "-vf", "noise=c1s=60:c1f=t:c2s=60:c2f=t")
    film = numbered_video(tmp_path / "film.mkv", *one_key_frame)
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])

    shows(clip_of(tmp_path / "clip.part", (film, start, 1)), range(int(start * FPS), int(start * FPS) + 10))


@pytest.mark.slow
def test_a_cut_after_the_end_is_an_error(tmp_path):
    film = numbered_video(tmp_path / "film.mp4", frames=20)

    for places in ([(film, 30.0, 2.0)], [(film, 30.0, 2.0), (film, 40.0, 2.0)]):
        with pytest.raises(NoReadableFootage):
            clip_of(tmp_path / "clip.part", *places)
    assert len(clip_of(tmp_path / "clip.part", (film, 1.0, 2.0), (film, 30.0, 2.0))) == 10


@pytest.mark.slow
def test_the_time_limit_covers_all_cuts(tmp_path):
    film = numbered_video(tmp_path / "film.mp4")
    with cuts_from(*[(film, 0, 10)] * 30) as cuts, pytest.raises(FfmpegTimedOut):
        cut_videos(cuts, tmp_path / "clip.part", timeout=timedelta(milliseconds=200))


def test_a_missing_ffmpeg_is_reported(tmp_path, monkeypatch):
    film = numbered_video(tmp_path / "film.mp4")
    with cuts_from((film, 0, 1), (film, 1, 1)) as cuts:
        monkeypatch.setenv("PATH", "/nonexistent")
        for some in (cuts, cuts[:1]):
            with pytest.raises(FfmpegMissing):
                cut_videos(some, tmp_path / "clip.part", timeout=LONG)


def test_stills_play_at_two_per_second_and_the_last_is_held(tmp_path):
    numbers = [5, 20, 35, 50, 65]

    render_stills((io.BytesIO(numbered_still(number)) for number in numbers), tmp_path / "clip.part", timeout=LONG)

    found = frame_numbers(tmp_path / "clip.part")
    assert len(found) == 7
    assert all(abs(shown - number) <= 1 for shown, number in zip(found, [*numbers, 65, 65], strict=True))
    video = streams_by_type(tmp_path / "clip.part")["video"]
    assert (video["codec_name"], video["pix_fmt"], video["width"], video["height"]) == ("h264", "yuv420p", 64, 48)
    assert float(video["duration"]) == pytest.approx(3.5, abs=0.01)
    data = (tmp_path / "clip.part").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.slow
def test_stills_of_every_format_fit_the_first_and_truncated_ones_are_skipped(tmp_path):
    odd = numbered_still(10, size=(65, 49))
    cmyk = io.BytesIO()
    Image.new("CMYK", (30, 90)).save(cmyk, "JPEG")
    pictures = [b"", odd[:300], odd, b"#EXTM3U\n/etc/passwd", numbered_still(20, (200, 20), "PNG"), cmyk.getvalue()]

    render_stills(map(io.BytesIO, pictures), tmp_path / "clip.part", timeout=LONG)

    found = frame_numbers(tmp_path / "clip.part", middle=False)
    video = streams_by_type(tmp_path / "clip.part")["video"]
    assert (video["width"], video["height"]) == (64, 48)
    assert len(found) == 5


@pytest.mark.parametrize("pictures", [[], [b""], [b"no picture"]])
def test_without_stills_there_is_no_footage(tmp_path, pictures):
    with pytest.raises(NoReadableFootage):
        render_stills(map(io.BytesIO, pictures), tmp_path / "clip.part", timeout=LONG)


def test_no_temporary_files_remain(tmp_path):
    film = numbered_video(tmp_path / "films/film.mp4")
    folder = tmp_path / "clips"
    folder.mkdir()

    clip_of(folder / "clip.part", (film, 0, 1), (film, 2, 1))
    render_stills([io.BytesIO(numbered_still(1))], folder / "stills.part", timeout=LONG)

    assert sorted(path.name for path in folder.iterdir()) == ["clip.part", "stills.part"]
