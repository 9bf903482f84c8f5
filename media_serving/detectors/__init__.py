"""Object detectors: every module of this package is one, and its file name is the detector's name.

To add a detector, write a module with `make(config) -> Detector`; there is no list to edit. A detector accesses neither
the database nor the disk: it returns the state that it needs for the next picture as bytes, and the caller stores them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from cameras.detector_choices import register_detector
from nvr.errors import Unavailable

if TYPE_CHECKING:
    from PIL import Image

NONE = "none"  # for cameras whose pictures are only stored: ingest does not decode them


class UnknownDetector(Unavailable):
    """The camera's detector is no longer installed: its files wait until it is, or until the camera has another."""

    title = "There is no detector of this name"


@dataclass(frozen=True)
class Frame:
    """One camera picture, opened with `images.open_image` and possibly not decoded yet.

    Detection decodes `image` in place, small and grey if the format allows: open it again for any other use. If the
    picture was already scaled down, `full_size` is its original size.
    """

    image: Image.Image
    at: datetime
    offset_ms: int | None = None
    full_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the upright full-size picture; read it before `image` is decoded."""
        from nvr.media.images.grayscale import upright_size

        return self.full_size or upright_size(self.image)


@dataclass(frozen=True)
class DetectedObject:
    """`confidence` is 0 to 1; `box` is x, y, width and height in pixels of the upright full-size frame."""

    object_class: str
    confidence: float
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class DetectionResult:
    """Detected objects, most confident first, the detector's new memory, and the upright frame's size in pixels."""

    objects: list[DetectedObject]
    memory: bytes
    width: int
    height: int


class Detector(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def width_px(self) -> int:
        """The widest picture that the detector can use."""
        ...

    def detect(self, frame: Frame, memory: bytes) -> DetectionResult:
        """Detect objects in `frame`. `memory` is from the previous result; empty or unknown memory is ignored.

        The same frame and memory give the same result. Raises the errors of image decoding (`images.DECODE_ERRORS`).
        """
        ...


@dataclass(frozen=True)
class DetectorConfig:
    """A camera's detection settings; the defaults are those of a new camera.

    Empty `classes` means all classes. Pictures wider than `width_px` are scaled down to it before people are detected.
    """

    detector: str = "people"
    sensitivity: float = 0.5
    confidence: float = 0.5
    classes: Collection[str] = ()
    width_px: int = 768
    every_frame: bool = False

    def accepts(self, detected: DetectedObject) -> bool:
        return detected.confidence >= self.confidence and (not self.classes or detected.object_class in self.classes)

    def accepted(self, objects: Iterable[DetectedObject]) -> list[DetectedObject]:
        """The objects that match the camera's settings, most confident first."""
        return sorted(filter(self.accepts, objects), key=lambda each: -each.confidence)


class DetectorColumns(Protocol):
    """The detection columns of a camera."""

    detector: str
    motion_sensitivity: float
    detection_confidence: float
    detection_classes: list[str]
    detection_width: int
    detect_every_frame: bool


def config_for(camera: DetectorColumns) -> DetectorConfig:
    return DetectorConfig(
        detector=camera.detector,
        sensitivity=camera.motion_sensitivity,
        confidence=camera.detection_confidence,
        classes=frozenset(camera.detection_classes),
        width_px=camera.detection_width,
        every_frame=camera.detect_every_frame,
    )


Factory = Callable[[DetectorConfig], Detector]
_factories: dict[str, Factory] = {}


def register(name: str, label: str, make: Factory) -> None:
    """Let cameras use a detector, which `make` creates; for apps whose detector is not in this package."""
    register_detector(name, label)
    _factories[name] = make


def register_modules() -> None:
    """Register the modules of this package; the label of `license_plates` is “License plates”. Folders are skipped."""
    for module in pkgutil.iter_modules(__path__):
        if not module.ispkg:
            register(module.name, module.name.replace("_", " ").capitalize(), partial(_make, module.name))


def _make(name: str, config: DetectorConfig) -> Detector:
    # Imported on first use: importing OpenCV and numpy takes a quarter of a second and 60 MB.
    return cast(Detector, import_module(f"{__name__}.{name}").make(config))


def detector_for(config: DetectorConfig) -> Detector:
    """Raises `UnknownDetector` for a name that is not registered."""
    if config.detector not in _factories:
        raise UnknownDetector(f"There is no detector {config.detector!r}; there are {', '.join(sorted(_factories))}.")
    return _factories[config.detector](config)
