"""Which of a video's tracks is the one to show, to hear, and how long the pictures last.

Files hold more than one: a small preview beside the full picture, a cover, a track of time codes, a second lens. The
one that is shown lasts (a cover is a single picture), is the largest of those, and the one that the file itself marks.
"""

from __future__ import annotations

from typing import Any

Stream = dict[str, Any]

# Dispositions of what accompanies a video.
AUXILIARY_DISPOSITIONS = ("attached_pic", "timed_thumbnails", "still_image")
MIN_DURATION_RATIO = 0.5  # of the longest track of pictures: what is shorter is a preview or a title
UNKNOWN_CODECS = {"unknown", "none"}
DURATION_FROM_ZERO = {"matroska", "mov"}  # the file's duration; of others from where they begin


def select_video_track(streams: list[Stream], container: str) -> Stream | None:
    """The track that is shown; None if there is none with a size."""
    sized = [s for s in streams if s.get("codec_type") == "video" and s.get("width") and s.get("height")]
    moving = [s for s in sized if not any(s.get("disposition", {}).get(name) for name in AUXILIARY_DISPOSITIONS)]
    longest = max((stream_duration(s, container) or 0.0 for s in moving), default=0.0)
    return max(moving, key=lambda s: video_rank(s, longest, container), default=None)


def video_rank(stream: Stream, longest: float, container: str) -> tuple[bool, bool, int, int, int]:
    length = stream_duration(stream, container)
    lasts = length is None or length >= longest * MIN_DURATION_RATIO
    is_default = int(stream.get("disposition", {}).get("default", 0))
    return has_decoder(stream), lasts, int(stream["width"]) * int(stream["height"]), is_default, -stream_index(stream)


def select_audio_track(streams: list[Stream]) -> Stream | None:
    """The first that can be decoded, of those that the file marks; None if there is none."""
    heard = [s for s in streams if s.get("codec_type") == "audio" and has_decoder(s) and s.get("sample_rate") != "0"]
    return max(heard, key=lambda s: (int(s.get("disposition", {}).get("default", 0)), -stream_index(s)), default=None)


def has_decoder(stream: Stream) -> bool:
    return str(stream.get("codec_name", "unknown")) not in UNKNOWN_CODECS


def stream_index(stream: Stream) -> int:
    return int(stream.get("index", 0))


def stream_duration(stream: Stream, container: str) -> float | None:
    """In seconds, as the track itself tells; None if it does not."""
    if container != "matroska":
        return parse_seconds(stream.get("duration")) or None
    # There ffprobe gives each track the file's length; what the writer noted is where the track ends.
    end = parse_clock_time(str(stream.get("tags", {}).get("DURATION", "")))
    begin = parse_seconds(stream.get("start_time")) or 0.0
    return end - begin if end is not None and end > begin else None


def count_tracks(streams: list[Stream]) -> int:
    """Of pictures that move, and of sounds."""
    return sum(
        stream.get("codec_type") == "audio"
        or (stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic"))
        for stream in streams
    )


def has_duration(streams: list[Stream], picture: str) -> bool:
    return any(parse_seconds(stream.get("duration")) for stream in streams if str(stream_index(stream)) == picture)


def video_duration(file: Stream, stream: Stream, container: str) -> float | None:
    """Seconds from the first picture to the last: a sound may go on for longer, or have a wrong clock.

    What recorders cut out of one long stream often does not begin at 0.
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
    """Seconds of Matroska's `25:00:04.000000000`."""
    hours, _, rest = text.partition(":")
    minutes, _, seconds = rest.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal()):
        return None
    parsed = parse_seconds(seconds)
    return None if parsed is None else int(hours) * 3600 + int(minutes) * 60 + parsed
