"""`motion`: what differs from the camera's running background, at an eighth of the picture's size.

Not motion: light that changes for the whole picture or in a part of it (exposure, clouds, a shadow, the switch to
infrared), noise, and specks. Every region that moves is a detection of its own, up to `MAX_REGIONS`: one box around
two people at both ends of the picture would be the whole picture, and its thumbnail would show neither.

The first picture of a burst is compared with the background from before the pause, however long that was. Where it
cannot be (the light is another), the picture counts as a whole: a camera that uploads when it saw something has
already decided that something moved. Not of a camera that sends by the clock, and not in a video, where the next frame
tells. A camera's very first picture is no motion: the others are compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from media_serving.detectors import DetectedObject, DetectionResult, Detector, DetectorConfig, Frame
from media_serving.detectors.background import DARK, Background, Cells, Mask, differing
from media_serving.detectors.opencv import cv2
from nvr.media.images.grayscale import grey

Box = tuple[float, float, float, float]

GRID_PX = 96  # 768 / 8, and no more for larger pictures: the memory stays below 10 kB
MAX_REGIONS = 4
MIN_CELLS = 3  # a region of fewer is a speck: an insect, a leaf, a reflection
# More than this and the light has changed, or the camera was turned: nothing that moves fills half of the picture
# from one picture to the next, except what covers the lens.
WHOLE_PICTURE = 0.5
# Grey levels that half of all cells differ by, whatever the gain, when a camera has switched to infrared. Noise alone
# makes 2 or 3.
ANOTHER_LIGHT = 8.0
JOINS = (3, 5)  # width, height in cells: legs and head belong to the coat between them
# A region in another light: inside it, the ratio to the background is the same everywhere, and not extreme.
ALIKE = 0.04  # half of the middle 50 % of the ratio's logarithm: in a shadow 0.02, in people mostly 0.1 to 0.5
MIN_CORE = 20  # cells whose eight neighbours belong to the region too; fewer say nothing about light
SHADE = (0.4, 2.5)
BY_THE_CAMERA = 0.5  # how sure it is that something moved where the camera alone says so


@dataclass(frozen=True)
class Region:
    """Where something moves: `box` as a share of the picture (0 to 1), `cells` how many it fills."""

    box: Box
    cells: int


@dataclass(frozen=True)
class Movement:
    """Regions, largest first, and their share of the picture in percent.

    `is_compared` if that was told by a background, and by a fresh one. `is_unannounced` if the picture came after a
    pause, not by the clock, and in another light than all before it.
    """

    regions: list[Region]
    percent: float
    memory: bytes
    is_compared: bool = True
    is_unannounced: bool = False


@dataclass(frozen=True)
class Motion:
    wanted: DetectorConfig
    name: str = "motion"
    width_px: int = GRID_PX

    def detect(self, frame: Frame, memory: bytes) -> DetectionResult:
        width, height = frame.size
        movement = movement_in(frame, grey(frame.image, GRID_PX), memory)
        found: list[DetectedObject] = []
        if movement.is_unannounced and frame.offset_ms is None:
            found = [DetectedObject("motion", BY_THE_CAMERA, (0.0, 0.0, float(width), float(height)))]
        elif fires(movement, self.wanted.sensitivity):
            confidence = confidence_of(movement, self.wanted.sensitivity)
            boxes = [enlarged(region.box, width, height) for region in movement.regions[:MAX_REGIONS]]
            found = [DetectedObject("motion", confidence, box) for box in boxes]
        return DetectionResult(self.wanted.best_of(found), movement.memory, width, height)


def make(wanted: DetectorConfig) -> Detector:
    return Motion(wanted)


def trigger_percent(sensitivity: float) -> float:
    """The share of the picture, in percent, that has to change: 1 % at sensitivity 0, 0.25 % at 0.5, any at 1."""
    return (1 - sensitivity) ** 2


def fires(movement: Movement, sensitivity: float) -> bool:
    return movement.percent > trigger_percent(sensitivity)


def confidence_of(movement: Movement, sensitivity: float) -> float:
    """0.5 where it just fires, 0.9 where nine times as much moves."""
    return movement.percent / (movement.percent + trigger_percent(sensitivity))


def movement_in(frame: Frame, picture: Image.Image, memory: bytes) -> Movement:
    """What moves in `picture`, which is `frame`'s, grey."""
    small = picture if picture.width <= GRID_PX else grey(picture, GRID_PX)
    levels = np.asarray(small, dtype=np.uint8)
    cells = levels.astype(np.float32)
    background = Background.remembered(memory, levels.shape)
    if background is None:
        return Movement([], 0.0, Background.starting(levels, frame.at).packed(), is_compared=False)
    is_fresh = background.is_fresh(frame.at)
    expected = background.lit_like(cells)
    differs = differing(cells, expected)
    if differs.mean() > WHOLE_PICTURE or np.median(np.abs(cells - expected)) > ANOTHER_LIGHT:
        anew = Background.starting(levels, frame.at, background)
        is_unannounced = not is_fresh and not background.expects(frame.at)
        return Movement([], 0.0, anew.packed(), is_compared=False, is_unannounced=is_unannounced)
    regions = regions_of(differs, cells, expected)
    # A shadow is no motion, and no background either: where it moves on, the light is as it was.
    after = background.followed(cells, expected, differs, frame.at)
    percent = 100 * sum(region.cells for region in regions) / differs.size
    return Movement(regions, percent, after.packed(), is_fresh)


def regions_of(differs: Mask, cells: Cells, expected: Cells) -> list[Region]:
    """What moves, largest first: not specks, and not where only the light is another."""
    joined = cv2.dilate(differs.astype(np.uint8), np.ones(JOINS[::-1], np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(joined)
    ratio = np.log((cells + DARK) / (expected + DARK))
    regions = []
    for number, (left, top, width, height, _) in enumerate(boxes.tolist()[1:], start=1):
        part = np.s_[top : top + height, left : left + width]
        mask = np.asarray(differs[part] & (labels[part] == number))
        count = int(np.count_nonzero(mask))
        if count >= MIN_CELLS and not (count > MIN_CORE and is_light(mask, ratio[part])):
            regions.append(Region(box_around(mask, left, top, differs.shape), count))
    return sorted(regions, key=lambda region: -region.cells)


def is_light(mask: Mask, ratio: Cells) -> bool:
    """Whether a region is the background, lit otherwise: a shadow darkens all of a spot by the same factor.

    A region's rim says nothing (a shadow's is soft), and a small one has nothing but its rim.
    """
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    levels = np.sort(ratio[core])
    if len(levels) < MIN_CORE:
        return False
    low, middle, high = levels[[len(levels) // 4, len(levels) // 2, len(levels) * 3 // 4]]
    return bool(high - low < 2 * ALIKE and np.log(SHADE[0]) < middle < np.log(SHADE[1]))


def box_around(mask: Mask, left: int, top: int, shape: tuple[int, ...]) -> Box:
    """As a share of a picture of `shape` cells, in which `mask` stands at `left` and `top`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = shape
    return (
        (left + int(columns[0])) / width,
        (top + int(rows[0])) / height,
        int(columns[-1] + 1 - columns[0]) / width,
        int(rows[-1] + 1 - rows[0]) / height,
    )


def enlarged(box: Box, width: int, height: int) -> Box:
    """A box that is a share of the picture, in pixels of one of `width` by `height`."""
    x, y, across, down = box
    return x * width, y * height, across * width, down * height
