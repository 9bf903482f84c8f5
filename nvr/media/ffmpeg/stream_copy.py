"""Whether a piece of a video can go into a clip as it is, which costs a hundredth of encoding it again.

The MP4 then begins at the key frame before the piece, and tells the player from where on to show it (an edit list).
"""

from __future__ import annotations

from datetime import timedelta

from nvr.media.ffmpeg import operations as ff

MAX_LEAD_S = 10.0  # it is stored with the piece, and not shown
DEMUXERS_WITH_INDEX = {"mov", "matroska"}
MAX_WIDTH_PX, MAX_HEIGHT_PX = 4096, 2304  # for which there are decoders in browsers


def can_copy_stream(source: ff.Source, facts: ff.MediaInfo, start: float, *, timeout: timedelta) -> bool:
    """Whether browsers play the pictures as they are, and a key frame lies not long before `start` (seconds).

    What is not coded in the order in which it is shown would end a few frames late: it is not copied. Raises
    `FfmpegFailed`.
    """
    plays = facts.video_codec == "h264" and facts.pix_fmt in ff.BROWSER_PIXEL_FORMATS and not facts.is_reordered
    fits = facts.width <= MAX_WIDTH_PX and facts.height <= MAX_HEIGHT_PX
    if not plays or not fits or source.demuxer not in DEMUXERS_WITH_INDEX:
        return False
    return start == 0 or 0 <= key_frame_lead(source, facts, start, timeout=timeout) <= MAX_LEAD_S


def key_frame_lead(source: ff.Source, facts: ff.MediaInfo, start: float, *, timeout: timedelta) -> float:
    """Seconds from the key frame at which reading begins to `start`; less than 0 if none lies before it.

    ffprobe's times are those of the file's clock.
    """
    place = facts.start_time + start
    first = (
        "-select_streams",
        facts.picture,
        "-read_intervals",
        f"{place:.6f}%+#1",
        "-show_entries",
        "packet=pts_time",
    )
    packets = ff.run_ffprobe(source, *first, timeout=timeout).get("packets")
    at = ff.parse_seconds(packets[0].get("pts_time")) if packets else None
    return -1.0 if at is None else place - at
