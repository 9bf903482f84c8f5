"""Sample frames of a video file for a detector: people do not appear and leave within a second."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from media_serving.detectors import Frame
from nvr.media.ffmpeg import operations as ffmpeg

FRAME_INTERVAL = timedelta(seconds=1)
MAX_FRAMES = 600  # per video, spread evenly over its length
TIME_LIMIT = timedelta(minutes=10)  # includes the detector's time: 600 frames take a slow core two minutes


def sample_frames(
    video: Path | BinaryIO,
    started_at: datetime,
    *,
    interval: timedelta = FRAME_INTERVAL,
    max_frames: int = MAX_FRAMES,
    time_limit: timedelta = TIME_LIMIT,
    root: Path | None = None,
) -> Generator[Frame]:
    """Yield frames with their position in the video as `offset_ms`; only one frame is in memory at a time.

    Raises `UnknownContainer` and `FfmpegFailed` (no video stream, unreadable, damaged in the middle). Of these,
    `FfmpegTimedOut`, `FfmpegKilled` and `FfmpegMissing` are worth a retry. Also raises the errors of opening the file.
    """
    samples = ffmpeg.sample_frames(video, interval=interval, max_frames=max_frames, timeout=time_limit, root=root)
    for sample in samples:
        image = Image.frombuffer("RGB", (sample.width, sample.height), sample.pixels, "raw", "RGB", 0, 1)
        yield Frame(image, started_at + sample.offset, sample.offset // timedelta(milliseconds=1))
