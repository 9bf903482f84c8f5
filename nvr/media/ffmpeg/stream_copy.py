"""Whether a cut can be copied into a clip without encoding it again, which takes a hundredth of the time.

The MP4 then begins at the key frame before the cut; an edit list tells the player where to start.
"""

from __future__ import annotations

from datetime import timedelta

from nvr.media.ffmpeg import operations as ff

MAX_LEAD_S = 10.0  # stored in the clip but not displayed
DEMUXERS_WITH_INDEX = {"mov", "matroska"}
MAX_WIDTH_PX, MAX_HEIGHT_PX = 4096, 2304  # the largest size that browsers decode


def can_copy_stream(source: ff.Source, info: ff.MediaInfo, start: float, *, timeout: timedelta) -> bool:
    """Whether browsers play the video stream, and a key frame lies shortly before `start` (seconds).

    Video with B-frames is not copied: the clip would end a few frames late. Raises `FfmpegFailed`.
    """
    plays = info.video_codec == "h264" and info.pix_fmt in ff.BROWSER_PIXEL_FORMATS and not info.has_b_frames
    fits = info.width <= MAX_WIDTH_PX and info.height <= MAX_HEIGHT_PX
    if not plays or not fits or source.demuxer not in DEMUXERS_WITH_INDEX:
        return False
    return start == 0 or 0 <= key_frame_lead(source, info, start, timeout=timeout) <= MAX_LEAD_S


def key_frame_lead(source: ff.Source, info: ff.MediaInfo, start: float, *, timeout: timedelta) -> float:
    """Return the seconds from the preceding key frame to `start`; negative if there is none.

    ffprobe's timestamps are those in the file, which may not begin at 0.
    """
    place = info.start_time + start
    first = (
        "-select_streams",
        info.video_stream,
        "-read_intervals",
        f"{place:.6f}%+#1",
        "-show_entries",
        "packet=pts_time",
    )
    packets = ff.run_ffprobe(source, *first, timeout=timeout).get("packets")
    at = ff.parse_seconds(packets[0].get("pts_time")) if packets else None
    return -1.0 if at is None else place - at
