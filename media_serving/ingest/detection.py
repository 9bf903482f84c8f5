"""Run the camera's detector on a picture, or on the frames of a video."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from PIL import Image

from cameras.models import Camera
from media_serving import detectors
from media_serving.detectors import DetectedObject, Frame
from media_serving.detectors.vision import sampling
from media_serving.models import CameraLease
from nvr.media.ffmpeg.operations import FfmpegFailed, FfmpegKilled
from nvr.media.images.decoder import pictures


@dataclass
class DetectorRun:
    """`detections` are column values of detections; `memory` is the detector's, None if it did not run."""

    detections: list[dict[str, Any]] = field(default_factory=list)
    width: int | None = None
    height: int | None = None
    memory: bytes | None = None
    note: str = ""


def run_detector(
    camera: Camera, lease: CameraLease, file: BinaryIO, taken_at: datetime, *, is_picture: bool
) -> DetectorRun:
    """Run the camera's detector on the file; detections in a video before a read error are kept.

    Raises the errors of reading a picture or video.
    """
    detector_run = DetectorRun()
    if camera.detector == detectors.NONE:
        return detector_run
    detector = detectors.detector_for(detectors.config_for(camera))
    memory = bytes(lease.memory) if lease.detector == camera.detector else b""
    frames = decode_picture(file, taken_at, detector.width_px) if is_picture else sampling.sample_frames(file, taken_at)
    with closing(frames):
        try:
            for frame in frames:
                result = detector.detect(frame, memory)
                memory, detector_run.width, detector_run.height = result.memory, result.width, result.height
                detector_run.detections += [detection_fields(frame, detected) for detected in result.objects]
        except FfmpegFailed as error:
            # The system may be killing all processes: the next attempt reads the rest.
            if detector_run.width is None or isinstance(error, FfmpegKilled):
                raise
            detector_run.note = f"Not all of it could be processed. {error.detail}"
    detector_run.memory = memory
    return detector_run


def decode_picture(file: BinaryIO, taken_at: datetime, width_px: int) -> Generator[Frame]:
    """Yield the picture in grey, scaled down to `width_px`; a child process decodes it."""
    grey = pictures.decode_grayscale(file, width_px)
    image = Image.frombytes("L", (grey.width, grey.height), grey.data)
    yield Frame(image, taken_at, full_size=grey.full_size)


def detection_fields(frame: Frame, detected: DetectedObject) -> dict[str, Any]:
    x, y, width, height = detected.box or (None, None, None, None)
    return {
        "detected_at": frame.at,
        "offset_ms": frame.offset_ms,
        "object_class": detected.object_class,
        "confidence": detected.confidence,
        "bbox_x": x,
        "bbox_y": y,
        "bbox_width": width,
        "bbox_height": height,
    }
