"""Who looks at a camera's pictures: detectors by name, each a module of its own.

A new detector is a module with `make(wanted) -> Detector`, and a line in `MODULES`. None touches the database or the
disk: what one has to remember from picture to picture it gives back as bytes, which the caller keeps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from nvr.errors import Invalid

if TYPE_CHECKING:
    from PIL import Image

# By name, not imported: OpenCV and numpy cost a process that detects nothing a quarter of a second and 60 MB.
MODULES = {
    "none": "media_serving.detectors.null",
    "motion": "media_serving.detectors.motion",
    "people": "media_serving.detectors.people",
}


class UnknownDetector(Invalid):
    title = "There is no detector of this name"


@dataclass(frozen=True)
class Frame:
    """One picture as the camera took it, opened with `images.opened` and perhaps not decoded yet.

    Looking decodes `image` in place, small and grey where it can be: open it again for anything else. If it was made
    smaller before, `full_size` is that of the whole.
    """

    image: Image.Image
    at: datetime
    offset_ms: int | None = None
    full_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the whole as people see it; ask before anything is decoded."""
        from nvr.media.images.grayscale import upright_size

        return self.full_size or upright_size(self.image)


@dataclass(frozen=True)
class DetectedObject:
    """`confidence` is 0 to 1; `box` is x, y, width and height in pixels of the whole, upright frame."""

    object_class: str
    confidence: float
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class DetectionResult:
    """What was found, most confident first, what to remember, and the upright frame's size in pixels."""

    found: list[DetectedObject]
    memory: bytes
    width: int
    height: int


class Detector(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def width_px(self) -> int:
        """No picture need be wider."""
        ...

    def detect(self, frame: Frame, memory: bytes) -> DetectionResult:
        """What is in `frame`. `memory` is what the last look gave back; empty or of another kind: start anew.

        The same frame and memory give the same result. Raises what decoding the image raises (`images.BROKEN`).
        """
        ...


@dataclass(frozen=True)
class DetectorConfig:
    """How a camera is to be looked at; the defaults are those of a new camera.

    `classes` empty means all; pictures wider than `width_px` are made that wide before people are looked for.
    """

    detector: str = "people"
    sensitivity: float = 0.5
    confidence: float = 0.5
    classes: Collection[str] = ()
    width_px: int = 768
    every_frame: bool = False

    def keeps(self, found: DetectedObject) -> bool:
        return found.confidence >= self.confidence and (not self.classes or found.object_class in self.classes)

    def best_of(self, found: Iterable[DetectedObject]) -> list[DetectedObject]:
        """Those that the camera's settings keep, most confident first."""
        return sorted(filter(self.keeps, found), key=lambda each: -each.confidence)


class Configured(Protocol):
    """The columns of a camera that say how it is looked at."""

    detector: str
    motion_sensitivity: float
    detection_confidence: float
    detection_classes: list[str]
    detection_width: int
    detect_every_frame: bool


def wanted_of(camera: Configured) -> DetectorConfig:
    return DetectorConfig(
        detector=camera.detector,
        sensitivity=camera.motion_sensitivity,
        confidence=camera.detection_confidence,
        classes=frozenset(camera.detection_classes),
        width_px=camera.detection_width,
        every_frame=camera.detect_every_frame,
    )


def detector_for(wanted: DetectorConfig) -> Detector:
    """Raises `UnknownDetector` for a name that is not in `MODULES`."""
    if wanted.detector not in MODULES:
        raise UnknownDetector(f"There is no detector {wanted.detector!r}; there are {', '.join(sorted(MODULES))}.")
    return cast(Detector, import_module(MODULES[wanted.detector]).make(wanted))
