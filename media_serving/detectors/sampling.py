"""Frames of a video file for a detector, some of them: people do not come and go within a second."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from media_serving.detectors import Frame
from nvr.media.ffmpeg import operations as ffmpeg

EVERY = timedelta(seconds=1)
AT_MOST = 600  # frames of one video, evenly over its length
TIME_LIMIT = timedelta(minutes=10)  # with the detector's own time: 600 frames take a slow core two minutes


def frames_of(
    video: Path | BinaryIO,
    began_at: datetime,
    *,
    every: timedelta = EVERY,
    at_most: int = AT_MOST,
    time_limit: timedelta = TIME_LIMIT,
    root: Path | None = None,
) -> Generator[Frame]:
    """Frames with their place in the video as `offset_ms`; one is in memory at a time.

    Raises `UnknownContainer` and `FfmpegFailed` (no video in it, nothing that can be read, damaged in the middle),
    of which `FfmpegTimedOut`, `FfmpegKilled` and `FfmpegMissing` are worth another try; and what opening it raises.
    """
    samples = ffmpeg.sampled_frames(video, every=every, at_most=at_most, timeout=time_limit, root=root)
    for sample in samples:
        image = Image.frombuffer("RGB", (sample.width, sample.height), sample.pixels, "raw", "RGB", 0, 1)
        yield Frame(image, began_at + sample.offset, sample.offset // timedelta(milliseconds=1))
