"""Test videos that encode the number of each frame in its brightness, and functions that read these numbers."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from functools import cache
from pathlib import Path

from PIL import Image

from tests.shared import made_once

FPS = 10
DARKEST, STEP = 20, 2
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25")  # few key frames, as in cameras' videos


def numbered_video(
    path: Path, *options: str, first: int = 0, frames: int = 100, size: str = "64x48", sound: bool = False
) -> Path:
    """Frames `first` to `first + frames` at 10 per second; `options` are ffmpeg's for the output."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encode_video(path.suffix, options or H264, first, frames, size, sound))
    return path


@cache
def encode_once(suffix: str, *arguments: str) -> bytes:
    """Return the file that ffmpeg writes with these arguments; encoded once per test run."""

    def encode(path: Path) -> None:
        subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, str(path)], check=True, timeout=150)

    name = hashlib.sha256("\0".join(arguments).encode()).hexdigest()[:32]
    return made_once(f"{name}{suffix}", encode).read_bytes()


def _encode_video(suffix: str, options: tuple[str, ...], first: int, frames: int, size: str, sound: bool) -> bytes:
    grey = f"nullsrc=s={size}:r={FPS}:d={frames / FPS},geq=lum='{DARKEST}+{STEP}*(N+{first})':cb=128:cr=128"
    inputs = ["-f", "lavfi", "-i", grey]
    if sound:
        inputs += ["-f", "lavfi", "-i", f"sine=duration={frames / FPS}"]
    return encode_once(suffix, *inputs, *options)


def numbered_still(number: int, size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    # Videos use limited range, images full range.
    level = round((DARKEST + STEP * number - 16) * 255 / 219)
    Image.new("L", size, level).save(buffer, kind, quality=95)
    return buffer.getvalue()


def frame_numbers(film: Path, *, middle: bool = True) -> list[int]:
    """Return the number of each frame, in order, by the brightness of its centre."""
    crop = "crop=16:16," if middle else ""
    # YUV keeps the encoded levels; a conversion to grayscale would stretch them.
    writing = ["-vf", f"{crop}scale=2:2:flags=area", "-pix_fmt", "yuv420p", "-vsync", "passthrough", "-f", "rawvideo"]
    command = ["ffmpeg", "-v", "error", "-i", str(film), *writing, "-"]
    output = subprocess.run(command, check=True, capture_output=True, timeout=150).stdout[::6]
    return [round((level - DARKEST) / STEP) for level in output]


def streams_by_type(film: Path) -> dict[str, dict[str, str]]:
    """Return ffprobe's streams by codec type."""
    command = ["ffprobe", "-v", "error", "-print_format", "json", "-show_streams", str(film)]
    streams = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=150).stdout)["streams"]
    return {stream["codec_type"]: stream for stream in streams}
