"""`people`: OpenCV's pedestrian detector (histograms of oriented gradients), where something moves or everywhere.

It knows upright people at least 96 pixels high, and security cameras show them at 50 to 90: pictures are enlarged
first. Looking only where something moves pays for that, and spares the lamp posts that look like people to it. Where
no fresh background tells what moves, all of the picture is looked at: the first picture of a burst is often the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from media_serving.detectors import DetectedObject, DetectionResult, Detector, DetectorConfig, Frame
from media_serving.detectors.motion import Movement, enlarged, fires, movement_in
from media_serving.detectors.opencv import cv2
from nvr.media.images.grayscale import grey

Pixels = NDArray[np.uint8]

STRIDE = (8, 8)
WINDOW = (64, 128)  # pixels of the enlarged picture
MARGIN = 24  # pixels around what moves: the detector wants to see what surrounds a person
WHOLE_FROM = 0.5  # where regions fill more than this share of the picture, one look at all of it is cheaper
# A window is wider and higher than the person in it: by these shares of it on each side.
SIDES, ENDS = 0.18, 0.07
OVERLAP = 0.4  # of two boxes that share more (of both together), or
COVERED = 0.7  # of which one covers more of the other, the surer one stays
# The logistic function that fits best which boxes were people, when the whole of each labelled frame of the tests was
# looked at, as it is and as JPEG of three qualities, enlarged by 1.4 and by 1.5. Where something moves, more are.
SLOPE, OFFSET = 2.976, -1.874
SUREST = 0.99  # where it tells more, none of 165 boxes was wrong: so few cannot show that one in a thousand is not


class Care(NamedTuple):
    """How much a picture is enlarged, and the step from one size of people to the next."""

    enlarged: float
    step: float


CAREFUL = Care(1.75, 1.1)  # makes 96 pixels of 55
QUICK = Care(1.4, 1.15)  # for whole pictures: a third of the time it would take with care


class Seen(NamedTuple):
    """A person in pixels of the picture looked at, and how far on the right side of the SVM's margin."""

    x: float
    y: float
    width: float
    height: float
    score: float


class Area(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class People:
    wanted: DetectorConfig
    name: str = "people"

    @property
    def width_px(self) -> int:
        return self.wanted.width_px

    def detect(self, frame: Frame, memory: bytes) -> DetectionResult:
        width, height = frame.size
        picture = grey(frame.image, self.wanted.width_px)
        areas: list[Area] = []
        is_of_all = self.wanted.every_frame
        if not is_of_all:
            movement = movement_in(frame, picture, memory)
            memory, is_of_all = movement.memory, not movement.is_compared
            areas = areas_of(movement, picture) if fires(movement, self.wanted.sensitivity) else []
        if is_of_all and whole(picture) not in areas:
            areas.append(whole(picture))
        found = [found_from(each, picture, width, height) for each in people_in(picture, areas)]
        return DetectionResult(self.wanted.best_of(found), memory, width, height)


def make(wanted: DetectorConfig) -> Detector:
    return People(wanted)


def whole(picture: Image.Image) -> Area:
    return Area(0, 0, picture.width, picture.height)


def areas_of(movement: Movement, picture: Image.Image) -> list[Area]:
    """What moves, with margins, in pixels; areas that overlap are one, and many are the whole picture."""
    areas: list[Area] = []
    for region in movement.regions:
        area = with_margin(enlarged(region.box, picture.width, picture.height), picture)
        while (other := next((each for each in areas if overlap(area, each)), None)) is not None:
            areas.remove(other)
            area = around(area, other)
        areas.append(area)
    if sum(area.size for area in areas) > WHOLE_FROM * picture.width * picture.height:
        return [whole(picture)]
    return areas


def with_margin(box: tuple[float, float, float, float], picture: Image.Image) -> Area:
    """At least as large as the window, so that one fits; inside the picture."""
    x, y, width, height = box
    across = max(MARGIN, (WINDOW[0] / CAREFUL.enlarged - width) / 2 + 1)
    down = max(MARGIN, (WINDOW[1] / CAREFUL.enlarged - height) / 2 + 1)
    left, top = max(0, round(x - across)), max(0, round(y - down))
    return Area(left, top, min(picture.width, round(x + width + across)), min(picture.height, round(y + height + down)))


def overlap(one: Area, other: Area) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return across > 0 and down > 0


def around(one: Area, other: Area) -> Area:
    return Area(
        min(one.left, other.left), min(one.top, other.top), max(one.right, other.right), max(one.bottom, other.bottom)
    )


def people_in(picture: Image.Image, areas: list[Area]) -> list[Seen]:
    pixels = np.asarray(picture, dtype=np.uint8)
    cares = [QUICK if area == whole(picture) else CAREFUL for area in areas]
    found = (people_within(pixels, area, care) for area, care in zip(areas, cares, strict=True))
    return surest([seen for each in found for seen in each])


def people_within(pixels: Pixels, area: Area, care: Care) -> list[Seen]:
    part = pixels[area.top : area.bottom, area.left : area.right]
    size = [max(round(side * care.enlarged), least) for side, least in zip(part.shape[::-1], WINDOW, strict=True)]
    enlarged_part = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    windows, scores = pedestrians().detectMultiScale(
        enlarged_part, winStride=STRIDE, scale=care.step, groupThreshold=0, hitThreshold=0
    )
    factors = part.shape[1] / size[0], part.shape[0] / size[1]
    return [
        without_rim(window, float(score), area, factors)
        for window, score in zip(windows, np.ravel(scores), strict=True)
    ]


@cache
def pedestrians() -> cv2.HOGDescriptor:
    descriptor = cv2.HOGDescriptor()
    descriptor.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector()))
    return descriptor


def without_rim(window: Sequence[int], score: float, area: Area, factors: tuple[float, float]) -> Seen:
    x, y, width, height = (float(side) for side in window)
    return Seen(
        area.left + (x + SIDES * width) * factors[0],
        area.top + (y + ENDS * height) * factors[1],
        (1 - 2 * SIDES) * width * factors[0],
        (1 - 2 * ENDS) * height * factors[1],
        score,
    )


def surest(seen: list[Seen]) -> list[Seen]:
    """Each person once: non-maximum suppression, also of a box that lies inside another."""
    kept: list[Seen] = []
    for each in sorted(seen, key=lambda one: -one.score):
        if not any(is_same(each, other) for other in kept):
            kept.append(each)
    return kept


def is_same(one: Seen, other: Seen) -> bool:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0.0, across) * max(0.0, down)
    areas = one.width * one.height, other.width * other.height
    return shared > OVERLAP * (sum(areas) - shared) or shared > COVERED * min(areas)


def confidence_of(score: float) -> float:
    """How often a box of this score was a person: 0.5 at a score of 0.63, 0.9 at 1.37."""
    return min(SUREST, 1 / (1 + exp(-(SLOPE * score + OFFSET))))


def found_from(seen: Seen, picture: Image.Image, width: int, height: int) -> DetectedObject:
    """In pixels of the whole frame, cut off at its edges."""
    across, down = width / picture.width, height / picture.height
    left, top = max(0.0, seen.x * across), max(0.0, seen.y * down)
    right, bottom = min(width, (seen.x + seen.width) * across), min(height, (seen.y + seen.height) * down)
    return DetectedObject("person", confidence_of(seen.score), (left, top, right - left, bottom - top))
