"""Which track of a video is shown, and how long it is: previews, covers, sounds and clocks do not decide it."""

from __future__ import annotations

import struct
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from media_serving.ingest import content
from media_serving.transcoding.requests import plays_in_browsers
from nvr.media.ffmpeg import operations as ffmpeg
from nvr.media.ffmpeg.clips import Cut, cut_videos
from nvr.media.ffmpeg.mp4_metadata import UnreadableMp4, read_movie_info
from nvr.media.ffmpeg.truncation import readable_duration
from tests.films import encode_once

LONG = timedelta(minutes=1)
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10")


def run(*arguments: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, timeout=60)


def colour(name: str, size: str, seconds: float) -> tuple[str, ...]:
    return "-f", "lavfi", "-i", f"color={name}:s={size}:r=10:d={seconds}"


def tone(seconds: float) -> tuple[str, ...]:
    return "-f", "lavfi", "-i", f"sine=sample_rate=8000:duration={seconds}"


def colour_of(picture: Path) -> str:
    with Image.open(picture) as image:
        red, green, blue = image.convert("RGB").resize((1, 1)).getpixel((0, 0))
    return max((red, "red"), (green, "green"), (blue, "blue"))[1]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.ts"])
def test_the_duration_is_that_of_the_video_track_not_the_audio(tmp_path, name):
    codecs = ("-c:v", "mjpeg", "-c:a", "pcm_s16le") if name == "a.avi" else (*H264, "-c:a", "aac", "-b:a", "16k")
    run(*colour("red", "160x120", 4), *tone(40), *codecs, tmp_path / name)

    with (tmp_path / name).open("rb") as file:
        facts = content.inspect(file, is_picture=False)

    assert facts.duration_s == pytest.approx(4, abs=0.1)


def test_the_mp4_metadata_has_the_same_duration(tmp_path):
    run(*colour("red", "160x120", 4), *tone(40), *H264, "-c:a", "aac", "-b:a", "16k", tmp_path / "a.mp4")

    assert from_boxes(tmp_path / "a.mp4") == pytest.approx(4, abs=0.1)


def from_boxes(file: Path) -> float | None:
    with file.open("rb") as opened:
        return read_movie_info(opened, file.stat().st_size).duration_s


FRAGMENTS = (
    "+frag_keyframe",  # the moov holds the first fragment, and mvhd tells its length only
    "+frag_keyframe+empty_moov",
    "+frag_keyframe+empty_moov+default_base_moof",
    "+frag_keyframe+dash",
    "+cmaf+frag_keyframe",
    "+frag_keyframe+empty_moov+omit_tfhd_offset",
)


@pytest.mark.slow
@pytest.mark.parametrize("flags", FRAGMENTS)
@pytest.mark.parametrize("begins_at", [0, 90_000])
def test_fragments_are_included_in_the_duration(tmp_path, flags, begins_at):
    film = tmp_path / "whole.mp4"
    film.write_bytes(encode_once(".mp4", *colour("red", "64x48", 20), *tone(60), *H264, "-c:a", "aac"))
    late = ("-output_ts_offset", begins_at) if begins_at else ()
    run("-i", film, "-c", "copy", "-movflags", flags, *late, tmp_path / "a.mp4")

    assert from_boxes(tmp_path / "a.mp4") == pytest.approx(20, abs=0.3)
    assert ffmpeg.probe(tmp_path / "a.mp4").duration == pytest.approx(20, abs=0.3)


def test_too_many_fragments_are_left_to_ffprobe(tmp_path):
    run(*colour("red", "64x48", 120), *H264, "-movflags", "+frag_every_frame+empty_moov", tmp_path / "a.mp4")

    with pytest.raises(UnreadableMp4, match="too many boxes"):
        from_boxes(tmp_path / "a.mp4")


def test_a_table_over_the_limit_is_left_to_ffprobe(tmp_path):
    run(*colour("red", "64x48", 2), *H264, "-movflags", "+frag_keyframe+empty_moov", tmp_path / "a.mp4")
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    place = data.index(b"trun")
    data[place + 5 : place + 12] = b"\0\x0f\x01" + struct.pack(">I", 2**31)
    (tmp_path / "a.mp4").write_bytes(data)

    with pytest.raises(UnreadableMp4, match="tables"):
        from_boxes(tmp_path / "a.mp4")


def with_preview(path: Path) -> Path:
    """A small preview first, then the pictures, then a track of time codes."""
    run(
        *colour("red", "80x60", 3),
        *colour("blue", "320x240", 3),
        *("-map", 0, "-map", 1, *H264, "-timecode", "01:00:00:00" if path.suffix in {".mp4", ".mov"} else ""),
        path,
    )
    return path


def with_cover(path: Path) -> Path:
    """A large single picture that no flag calls a cover, and small pictures that last."""
    run(
        *("-f", "lavfi", "-i", "color=red:s=1280x960:r=10:d=0.1"),
        *colour("blue", "320x240", 3),
        *("-map", 0, "-map", 1, "-c:v:0", "mjpeg", "-c:v:1", "libx264", "-pix_fmt:v:1", "yuv420p", "-g", 10),
        path,
    )
    return path


# One demuxer reads .mp4 and .mov.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", pytest.param("a.mov", marks=pytest.mark.slow), "a.mkv", "a.avi"])
@pytest.mark.parametrize("make", [with_preview, with_cover])
def test_the_main_video_track_is_used_everywhere(tmp_path, make, name):
    film = make(tmp_path / name)

    facts = ffmpeg.probe(film)
    ffmpeg.extract_frame(film, 1, tmp_path / "frame.jpg")
    ffmpeg.extract_early_frame(film, 2, tmp_path / "early.jpg", 256)
    ffmpeg.transcode_mp4(film, tmp_path / "played.mp4", timeout=LONG)
    ffmpeg.extract_frame(tmp_path / "played.mp4", 1, tmp_path / "played.jpg")
    with ffmpeg.open_source(film) as source:
        cut_videos([Cut(source, facts, 1.2, 1.0)], tmp_path / "clip.mp4", timeout=LONG)
    ffmpeg.extract_frame(tmp_path / "clip.mp4", 0.5, tmp_path / "clip.jpg")
    sample = next(iter(ffmpeg.sample_frames(film, interval=timedelta(seconds=1), max_frames=1, timeout=LONG)))

    assert (facts.width, facts.height) == (320, 240)
    assert facts.duration == pytest.approx(3, abs=0.2)
    for shown in ("frame.jpg", "early.jpg", "played.jpg", "clip.jpg"):
        assert colour_of(tmp_path / shown) == "blue", shown
    assert (sample.width, sample.height) == (320, 240)


def test_several_video_tracks_are_left_to_ffprobe(tmp_path):
    with pytest.raises(UnreadableMp4):
        from_boxes(with_preview(tmp_path / "a.mp4"))


def silenced(path: Path) -> Path:
    """Pictures that anybody can decode beside a sound that nobody can."""
    if path.suffix == ".avi":
        run(*colour("blue", "160x120", 3), *tone(3), "-c:v", "mjpeg", "-c:a", "pcm_s16le", path)
        data = bytearray(path.read_bytes())
        struct.pack_into("<H", data, data.find(b"strf", data.find(b"auds")) + 8, 0x7ABC)
    else:
        run(*colour("blue", "160x120", 3), *tone(3), *H264, "-c:a", "aac", path)
        data = bytearray(path.read_bytes().replace(b"mp4a", b"zz26").replace(b"esds", b"zzzz"))
    path.write_bytes(data)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_undecodable_audio_does_not_prevent_playback(tmp_path, name):
    film = silenced(tmp_path / name)

    facts = ffmpeg.probe(film)
    ffmpeg.transcode_mp4(film, tmp_path / "played.mp4", timeout=LONG)
    if ffmpeg.can_remux(facts):
        ffmpeg.remux_mp4(film, tmp_path / "remuxed.mp4", timeout=LONG)
        remuxed = ffmpeg.probe(tmp_path / "remuxed.mp4")
        assert (remuxed.duration, remuxed.audio_stream) == (pytest.approx(3, abs=0.2), None)
    with ffmpeg.open_source(film) as source:
        cut_videos([Cut(source, facts, 1.2, 1.0)], tmp_path / "clip.mp4", timeout=LONG)

    played = ffmpeg.probe(tmp_path / "played.mp4")
    assert (played.duration, played.audio_stream) == (pytest.approx(3, abs=0.2), None)
    assert ffmpeg.probe(tmp_path / "clip.mp4").duration == pytest.approx(1, abs=0.2)


def test_decodable_audio_is_kept(tmp_path):
    run(*colour("blue", "160x120", 3), *tone(3), "-c:v", "mjpeg", "-c:a", "pcm_s16le", tmp_path / "a.avi")

    ffmpeg.transcode_mp4(tmp_path / "a.avi", tmp_path / "b.mp4", timeout=LONG)

    assert ffmpeg.probe(tmp_path / "b.mp4").audio_codec == "aac"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4", "a.mpg", "fragments.mp4"])
def test_timestamps_far_from_zero_do_not_shift_frames(tmp_path, name):
    """The pictures are red for two seconds, then blue for two."""
    flags = ("-movflags", "+frag_keyframe+empty_moov") if name == "fragments.mp4" else ()
    codecs = ("-c:v", "mpeg2video", "-r", 25) if name == "a.mpg" else H264
    joined = ("-filter_complex", "[0][1]concat")
    film = tmp_path / name
    inputs = (*colour("red", "160x120", 2), *colour("blue", "160x120", 2))
    run(*inputs, *joined, *codecs, "-bf", 0, *flags, "-output_ts_offset", 90_000, film)

    facts = ffmpeg.probe(film)
    for at, colour_there in ((1, "red"), (3, "blue"), (10, "blue")):
        ffmpeg.extract_frame(film, at, tmp_path / "frame.jpg")
        assert colour_of(tmp_path / "frame.jpg") == colour_there, at
    samples = list(ffmpeg.sample_frames(film, interval=timedelta(seconds=1), max_frames=10, timeout=LONG))
    with ffmpeg.open_source(film) as source:
        there = readable_duration(source, facts, until=2.5, timeout=LONG)
        cut_videos([Cut(source, facts, 2.5, 1.0)], tmp_path / "clip.mp4", timeout=LONG)
    ffmpeg.extract_frame(tmp_path / "clip.mp4", 0.1, tmp_path / "clip.jpg")
    ffmpeg.transcode_mp4(film, tmp_path / "played.mp4", timeout=LONG)

    assert facts.duration == pytest.approx(4, abs=0.6)
    assert len(samples) in {4, 5}
    assert there >= 2.5
    assert colour_of(tmp_path / "clip.jpg") == "blue"
    assert ffmpeg.probe(tmp_path / "played.mp4").duration == pytest.approx(4, abs=0.6)


def test_a_position_after_the_video_track_shows_its_last_frame(tmp_path):
    inputs = (*colour("red", "160x120", 2), *colour("blue", "160x120", 2), *tone(30))
    run(*inputs, "-filter_complex", "[0][1]concat", *H264, "-c:a", "aac", tmp_path / "a.mp4")

    ffmpeg.extract_frame(tmp_path / "a.mp4", 20, tmp_path / "frame.jpg")

    assert colour_of(tmp_path / "frame.jpg") == "blue"


def test_audio_that_cannot_be_copied_is_encoded(tmp_path):
    """AAC as it is broadcast, with heads of its own."""
    run(*colour("blue", "160x120", 3), *tone(3), *H264, "-c:a", "aac", "-f", "mpegts", tmp_path / "a.ts")
    run("-i", tmp_path / "a.ts", "-c", "copy", tmp_path / "a.mkv")

    for name in ("a.ts", "a.mkv"):
        ffmpeg.remux_mp4(tmp_path / name, tmp_path / "b.mp4", timeout=LONG)
        assert ffmpeg.probe(tmp_path / "b.mp4").audio_codec == "aac", name


@pytest.mark.parametrize("name", ["a.mp4", "b.mp4"])
def test_a_file_with_several_tracks_is_not_playable_as_it_is(tmp_path, name):
    film = silenced(tmp_path / name) if name == "b.mp4" else with_preview(tmp_path / name)

    assert plays_in_browsers(film) is False


def test_the_duration_of_a_program_stream_is_that_of_its_video(tmp_path):
    run(*colour("red", "160x120", 4), *tone(90), "-c:v", "mpeg2video", "-r", 25, "-c:a", "mp2", tmp_path / "a.mpg")

    assert ffmpeg.probe(tmp_path / "a.mpg").duration == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("codec", [H264, ("-c:v", "libx265", "-x265-params", "log-level=0")])
def test_the_duration_of_an_elementary_stream_is_that_of_its_frames(tmp_path, codec):
    film = tmp_path / ("a.h264" if codec == H264 else "a.hevc")
    run(*colour("red", "160x120", 2), *colour("blue", "160x120", 2), "-filter_complex", "[0][1]concat", *codec, film)
    film.rename(tmp_path / "a.mp4")

    ffmpeg.extract_frame(tmp_path / "a.mp4", 30, tmp_path / "frame.jpg")

    assert ffmpeg.probe(tmp_path / "a.mp4").duration == pytest.approx(4, abs=0.3)
    assert colour_of(tmp_path / "frame.jpg") == "blue"
