"""Render a drawn scene as a video."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import ffmpeg

from nvr.demo.scenes import Scene, draw
from nvr.media.ffmpeg.processes import run

TIME_LIMIT: Final = timedelta(seconds=60)


def render_video(scene: Scene, start: datetime, target: Path, *, seconds: int, fps: int) -> None:
    """Write `target` (MP4, H.264). Raises what `run` raises, and OSError."""
    frames = target.with_name(f".{target.stem}.frames")
    frames.mkdir()
    try:
        for number in range(seconds * fps):
            frame = draw(scene, start.timestamp() + number / fps)
            frame.save(frames / f"{number:03}.jpg", "JPEG", quality=80)
        pictures = ffmpeg.input(str(frames / "%03d.jpg"), format="image2", framerate=fps)
        options = {
            "vcodec": "libx264",
            "preset": "veryfast",
            "pix_fmt": "yuv420p",
            "movflags": "+faststart",
            "format": "mp4",
        }
        output = pictures.output(str(target), **options).global_args("-v", "error", "-nostdin", "-y")
        run(ffmpeg.compile(output), timeout=TIME_LIMIT)
    finally:
        shutil.rmtree(frames, ignore_errors=True)
