"""`motion`: detects differences from the camera's running background, at an eighth of the picture's size.

Light changes in all or part of the picture (exposure, clouds, shadows, the switch to infrared), noise and specks are
not motion. Each moving region is a separate detection, up to `MAX_REGIONS`: one box around two people at opposite ends
would be the whole picture, and its thumbnail would show neither.

The first picture of a burst is compared with the background from before the pause, however long it was. If the light
has changed too much for that, the whole picture is one detection: a camera that uploads on motion has already decided
that something moved. This does not apply to cameras that upload on a schedule, nor to videos, where the next frame
shows the motion. A camera's first picture never has motion: it becomes the background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from media_serving.detectors import DetectedObject, DetectionResult, Detector, DetectorConfig, Frame
from media_serving.detectors.vision.background import DARK_OFFSET, Background, Cells, Mask, changed_cells
from media_serving.detectors.vision.opencv import cv2
from nvr.media.images.grayscale import to_grayscale

Box = tuple[float, float, float, float]

GRID_PX = 96  # 768 / 8, also for larger pictures: the memory stays below 10 kB
MAX_REGIONS = 4
MIN_CELLS = 3  # smaller regions are specks: an insect, a leaf, a reflection
# If more than this share changed, the light changed or the camera was turned: no moving object fills half of the
# picture from one picture to the next, unless it covers the lens.
MAX_CHANGED_SHARE = 0.5
# Median difference in grey levels, after correction for brightness, when a camera has switched to infrared. Noise alone
# causes 2 or 3.
MAX_LIGHT_CHANGE = 8.0
DILATION = (3, 5)  # width, height in cells: joins legs and head with the coat between them
# In a region where only the light changed, the ratio to the background is uniform and not extreme.
# Half of the interquartile range of the ratio's logarithm: 0.02 in shadows, mostly 0.1 to 0.5 in people.
MAX_RATIO_SPREAD = 0.04
MIN_CORE_CELLS = (
    20  # cells whose eight neighbours are also in the region; fewer do not suffice to detect a light change
)
SHADE_RANGE = (0.4, 2.5)
CAMERA_TRIGGER_CONFIDENCE = 0.5  # of motion that only the camera's own trigger indicates


@dataclass(frozen=True)
class Region:
    """A moving region: `box` in shares of the picture (0 to 1), and the number of changed cells."""

    box: Box
    cells: int


@dataclass(frozen=True)
class MotionResult:
    """Regions, largest first, and their share of the picture in percent.

    `has_fresh_background`: the picture was compared with a recent background. `is_camera_triggered`: the picture came
    after a pause, off schedule, and in too different a light to compare it.
    """

    regions: list[Region]
    percent: float
    memory: bytes
    has_fresh_background: bool = True
    is_camera_triggered: bool = False


@dataclass(frozen=True)
class MotionDetector:
    config: DetectorConfig
    name: str = "motion"
    width_px: int = GRID_PX

    def detect(self, frame: Frame, memory: bytes) -> DetectionResult:
        width, height = frame.size
        motion = detect_motion(frame, to_grayscale(frame.image, GRID_PX), memory)
        objects: list[DetectedObject] = []
        if motion.is_camera_triggered and frame.offset_ms is None:
            objects = [DetectedObject("motion", CAMERA_TRIGGER_CONFIDENCE, (0.0, 0.0, float(width), float(height)))]
        elif exceeds_threshold(motion, self.config.sensitivity):
            confidence = confidence_of(motion, self.config.sensitivity)
            boxes = [to_pixels(region.box, width, height) for region in motion.regions[:MAX_REGIONS]]
            objects = [DetectedObject("motion", confidence, box) for box in boxes]
        return DetectionResult(self.config.accepted(objects), motion.memory, width, height)


def make(config: DetectorConfig) -> Detector:
    return MotionDetector(config)


def threshold_percent(sensitivity: float) -> float:
    """The share of the picture, in percent, that has to change: 1 % at sensitivity 0, 0.25 % at 0.5, any at 1."""
    return (1 - sensitivity) ** 2


def exceeds_threshold(motion: MotionResult, sensitivity: float) -> bool:
    return motion.percent > threshold_percent(sensitivity)


def confidence_of(motion: MotionResult, sensitivity: float) -> float:
    """0.5 at the threshold, 0.9 at nine times the threshold."""
    return motion.percent / (motion.percent + threshold_percent(sensitivity))


def detect_motion(frame: Frame, picture: Image.Image, memory: bytes) -> MotionResult:
    """Detect motion in `picture`, the grey version of `frame`."""
    small = picture if picture.width <= GRID_PX else to_grayscale(picture, GRID_PX)
    levels = np.asarray(small, dtype=np.uint8)
    cells = levels.astype(np.float32)
    background = Background.from_bytes(memory, levels.shape)
    if background is None:
        return MotionResult([], 0.0, Background.started_with(levels, frame.at).to_bytes(), has_fresh_background=False)
    is_fresh = background.is_fresh(frame.at)
    expected = background.with_light_of(cells)
    changed = changed_cells(cells, expected)
    if changed.mean() > MAX_CHANGED_SHARE or np.median(np.abs(cells - expected)) > MAX_LIGHT_CHANGE:
        new_memory = Background.started_with(levels, frame.at, background).to_bytes()
        is_triggered = not is_fresh and not background.is_on_schedule(frame.at)
        return MotionResult([], 0.0, new_memory, has_fresh_background=False, is_camera_triggered=is_triggered)
    regions = find_regions(changed, cells, expected)
    # A shadow is neither motion nor background: when it moves on, the light is as before.
    updated = background.updated_with(cells, expected, changed, frame.at)
    percent = 100 * sum(region.cells for region in regions) / changed.size
    return MotionResult(regions, percent, updated.to_bytes(), is_fresh)


def find_regions(changed: Mask, cells: Cells, expected: Cells) -> list[Region]:
    """The moving regions, largest first, without specks and light changes."""
    joined = cv2.dilate(changed.astype(np.uint8), np.ones(DILATION[::-1], np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(joined)
    ratio = np.log((cells + DARK_OFFSET) / (expected + DARK_OFFSET))
    regions = []
    for number, (left, top, width, height, _) in enumerate(boxes.tolist()[1:], start=1):
        part = np.s_[top : top + height, left : left + width]
        mask = np.asarray(changed[part] & (labels[part] == number))
        count = int(np.count_nonzero(mask))
        if count >= MIN_CELLS and not (count > MIN_CORE_CELLS and is_light_change(mask, ratio[part])):
            regions.append(Region(bounding_box(mask, left, top, changed.shape), count))
    return sorted(regions, key=lambda region: -region.cells)


def is_light_change(mask: Mask, ratio: Cells) -> bool:
    """Whether a region is background in a different light: a shadow darkens a whole area by the same factor.

    The region's edge is ignored, as the edges of shadows are soft. Small regions consist of edges only.
    """
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    levels = np.sort(ratio[core])
    if len(levels) < MIN_CORE_CELLS:
        return False
    low, middle, high = levels[[len(levels) // 4, len(levels) // 2, len(levels) * 3 // 4]]
    return bool(high - low < 2 * MAX_RATIO_SPREAD and np.log(SHADE_RANGE[0]) < middle < np.log(SHADE_RANGE[1]))


def bounding_box(mask: Mask, left: int, top: int, shape: tuple[int, ...]) -> Box:
    """The box of `mask`, at `left` and `top` in a picture of `shape` cells, in shares of that picture."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = shape
    return (
        (left + int(columns[0])) / width,
        (top + int(rows[0])) / height,
        int(columns[-1] + 1 - columns[0]) / width,
        int(rows[-1] + 1 - rows[0]) / height,
    )


def to_pixels(box: Box, width: int, height: int) -> Box:
    """Convert a box in shares of the picture to pixels of a picture of `width` by `height`."""
    x, y, across, down = box
    return x * width, y * height, across * width, down * height
