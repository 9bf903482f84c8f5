"""What the camera's detector finds in a picture, or in the frames of a video."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from PIL import Image

from cameras.models import Camera, Detector
from media_serving import detectors
from media_serving.detectors import DetectedObject, Frame, sampling
from media_serving.models import CameraTurn
from nvr.media.ffmpeg.operations import FfmpegFailed, FfmpegKilled
from nvr.media.images.decoder import pictures


@dataclass
class Findings:
    """`found` are columns of detections; `memory` is the detector's, None if it has not looked."""

    found: list[dict[str, Any]] = field(default_factory=list)
    width: int | None = None
    height: int | None = None
    memory: bytes | None = None
    note: str = ""


def find_in(camera: Camera, turn: CameraTurn, file: BinaryIO, taken_at: datetime, *, is_picture: bool) -> Findings:
    """Raises what reading a picture or video raises; what was found in a video before it broke off is kept."""
    findings = Findings()
    if camera.detector == Detector.NONE:
        return findings
    detector = detectors.detector_for(detectors.config_for(camera))
    memory = bytes(turn.memory) if turn.detector == camera.detector else b""
    frames = picture(file, taken_at, detector.width_px) if is_picture else sampling.sample_frames(file, taken_at)
    with closing(frames):
        try:
            for frame in frames:
                result = detector.detect(frame, memory)
                memory, findings.width, findings.height = result.memory, result.width, result.height
                findings.found += [columns(frame, found) for found in result.objects]
        except FfmpegFailed as error:
            # The system's kill may be meant for all of us: the next attempt sees the rest.
            if findings.width is None or isinstance(error, FfmpegKilled):
                raise
            findings.note = f"Not all of it could be looked at. {error.detail}"
    findings.memory = memory
    return findings


def picture(file: BinaryIO, taken_at: datetime, width_px: int) -> Generator[Frame]:
    """In grey and as small as the detector wants it: a child process decodes it so."""
    grey = pictures.decode_grayscale(file, width_px)
    image = Image.frombytes("L", (grey.width, grey.height), grey.data)
    yield Frame(image, taken_at, full_size=grey.full_size)


def columns(frame: Frame, found: DetectedObject) -> dict[str, Any]:
    x, y, width, height = found.box or (None, None, None, None)
    return {
        "detected_at": frame.at,
        "offset_ms": frame.offset_ms,
        "object_class": found.object_class,
        "confidence": found.confidence,
        "bbox_x": x,
        "bbox_y": y,
        "bbox_width": width,
        "bbox_height": height,
    }
