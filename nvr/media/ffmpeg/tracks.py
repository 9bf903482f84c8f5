"""Select a file's video and audio track, and determine the duration of the video.

Files may contain several: a small preview next to the full video, a cover image, a timecode track, a second lens. The
selected video track is not much shorter than the longest (a cover is a single frame), of those the largest, and then
the file's default.
"""

from __future__ import annotations

from typing import Any

Stream = dict[str, Any]

# Dispositions of streams that accompany a video.
AUXILIARY_DISPOSITIONS = ("attached_pic", "timed_thumbnails", "still_image")
MIN_DURATION_RATIO = 0.5  # of the longest video track: shorter ones are previews or titles
UNKNOWN_CODECS = {"unknown", "none"}
DURATION_FROM_ZERO = {"matroska", "mov"}  # their duration counts from 0, that of others from their start time


def select_video_track(streams: list[Stream], container: str) -> Stream | None:
    """Return the video track to display; None if no video track has a size."""
    sized = [s for s in streams if s.get("codec_type") == "video" and s.get("width") and s.get("height")]
    moving = [s for s in sized if not any(s.get("disposition", {}).get(name) for name in AUXILIARY_DISPOSITIONS)]
    longest = max((stream_duration(s, container) or 0.0 for s in moving), default=0.0)
    return max(moving, key=lambda s: video_rank(s, longest, container), default=None)


def video_rank(stream: Stream, longest: float, container: str) -> tuple[bool, bool, int, int, int]:
    length = stream_duration(stream, container)
    is_long = length is None or length >= longest * MIN_DURATION_RATIO
    is_default = int(stream.get("disposition", {}).get("default", 0))
    return has_decoder(stream), is_long, int(stream["width"]) * int(stream["height"]), is_default, -stream_index(stream)


def select_audio_track(streams: list[Stream]) -> Stream | None:
    """Return the first audio track that can be decoded, default tracks first; None if there is none."""
    audio = [s for s in streams if s.get("codec_type") == "audio" and has_decoder(s) and s.get("sample_rate") != "0"]
    return max(audio, key=lambda s: (int(s.get("disposition", {}).get("default", 0)), -stream_index(s)), default=None)


def has_decoder(stream: Stream) -> bool:
    return str(stream.get("codec_name", "unknown")) not in UNKNOWN_CODECS


def stream_index(stream: Stream) -> int:
    return int(stream.get("index", 0))


def stream_duration(stream: Stream, container: str) -> float | None:
    """Return the duration stored in the track, in seconds; None if there is none."""
    if container != "matroska":
        return parse_seconds(stream.get("duration")) or None
    # For Matroska, ffprobe reports the file's duration for each track; the DURATION tag is where the track ends.
    end = parse_clock_time(str(stream.get("tags", {}).get("DURATION", "")))
    begin = parse_seconds(stream.get("start_time")) or 0.0
    return end - begin if end is not None and end > begin else None


def count_tracks(streams: list[Stream]) -> int:
    """Count the audio tracks and the video tracks that are not cover images."""
    return sum(
        stream.get("codec_type") == "audio"
        or (stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic"))
        for stream in streams
    )


def has_duration(streams: list[Stream], specifier: str) -> bool:
    return any(parse_seconds(stream.get("duration")) for stream in streams if str(stream_index(stream)) == specifier)


def video_duration(file: Stream, stream: Stream, container: str) -> float | None:
    """Return the seconds from the first frame to the last: audio may be longer, or have wrong timestamps.

    Files that recorders cut out of a long stream often do not begin at 0.
    """
    own = stream_duration(stream, container)
    if own is not None and container != "matroska":
        return own
    whole = parse_seconds(file.get("duration"))
    begin = parse_seconds(file.get("start_time")) or 0.0
    if container in DURATION_FROM_ZERO and whole is not None and begin < whole:
        whole -= begin
    return min((seconds for seconds in (own, whole) if seconds is not None), default=None)


def parse_seconds(text: object) -> float | None:
    try:
        seconds = float(str(text))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def parse_clock_time(text: str) -> float | None:
    """Parse Matroska's `25:00:04.000000000` to seconds."""
    hours, _, rest = text.partition(":")
    minutes, _, seconds = rest.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal()):
        return None
    parsed = parse_seconds(seconds)
    return None if parsed is None else int(hours) * 3600 + int(minutes) * 60 + parsed
