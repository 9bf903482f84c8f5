"""`people`: OpenCV's pedestrian detector (histograms of oriented gradients), in moving regions or the whole picture.

It detects upright people at least 96 pixels high, but security cameras show them at 50 to 90: pictures are enlarged
first. Searching only moving regions saves the time for that, and avoids false positives such as lamp posts. Without a
fresh background the whole picture is searched: the first picture of a burst is often the best.
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
from media_serving.detectors.motion import MotionResult, detect_motion, exceeds_threshold, to_pixels
from media_serving.detectors.vision.opencv import cv2
from nvr.media.images.grayscale import to_grayscale

Pixels = NDArray[np.uint8]

STRIDE = (8, 8)
WINDOW = (64, 128)  # pixels of the enlarged picture
MARGIN = 24  # pixels around a moving region: the detector needs a person's surroundings
WHOLE_PICTURE_SHARE = 0.5  # if regions fill more of the picture, searching the whole picture once is cheaper
# A window is wider and higher than the person in it, by these shares on each side.
WINDOW_MARGIN_X, WINDOW_MARGIN_Y = 0.18, 0.07
# Of two boxes with a larger intersection over union, or where one covers more of the other, the higher score wins.
MAX_IOU = 0.4
MAX_COVERAGE = 0.7
# Logistic function fitted to boxes found in the labelled frames of the tests, searched as whole pictures: the original
# and JPEGs of three qualities, enlarged by 1.4 and 1.5. In moving regions, a larger share of the boxes are people.
SLOPE, OFFSET = 2.976, -1.874
MAX_CONFIDENCE = 0.99  # above it, none of 165 boxes was wrong: too few to claim an error rate of one in a thousand


class SearchSettings(NamedTuple):
    """The factor by which a picture is enlarged, and the step between two sizes of people."""

    zoom: float
    step: float


FINE = SearchSettings(1.75, 1.1)  # enlarges 55 pixels to 96
COARSE = SearchSettings(1.4, 1.15)  # for whole pictures: takes a third of the time of `FINE`


class Candidate(NamedTuple):
    """A possible person in pixels of the searched picture; `score` is the distance to the SVM's decision boundary."""

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
class PeopleDetector:
    config: DetectorConfig
    name: str = "people"

    @property
    def width_px(self) -> int:
        return self.config.width_px

    def detect(self, frame: Frame, memory: bytes) -> DetectionResult:
        width, height = frame.size
        picture = to_grayscale(frame.image, self.config.width_px)
        areas: list[Area] = []
        search_everywhere = self.config.every_frame
        if not search_everywhere:
            motion = detect_motion(frame, picture, memory)
            memory, search_everywhere = motion.memory, not motion.has_fresh_background
            areas = motion_areas(motion, picture) if exceeds_threshold(motion, self.config.sensitivity) else []
        if search_everywhere and whole_picture(picture) not in areas:
            areas.append(whole_picture(picture))
        objects = [detected_object(each, picture, width, height) for each in find_people(picture, areas)]
        return DetectionResult(self.config.accepted(objects), memory, width, height)


def make(config: DetectorConfig) -> Detector:
    return PeopleDetector(config)


def whole_picture(picture: Image.Image) -> Area:
    return Area(0, 0, picture.width, picture.height)


def motion_areas(motion: MotionResult, picture: Image.Image) -> list[Area]:
    """The moving regions with margins, in pixels. Overlapping areas are merged; many become the whole picture."""
    areas: list[Area] = []
    for region in motion.regions:
        area = with_margin(to_pixels(region.box, picture.width, picture.height), picture)
        while (other := next((each for each in areas if overlaps(area, each)), None)) is not None:
            areas.remove(other)
            area = union(area, other)
        areas.append(area)
    if sum(area.size for area in areas) > WHOLE_PICTURE_SHARE * picture.width * picture.height:
        return [whole_picture(picture)]
    return areas


def with_margin(box: tuple[float, float, float, float], picture: Image.Image) -> Area:
    """Add a margin inside the picture; the result is at least as large as one detector window."""
    x, y, width, height = box
    across = max(MARGIN, (WINDOW[0] / FINE.zoom - width) / 2 + 1)
    down = max(MARGIN, (WINDOW[1] / FINE.zoom - height) / 2 + 1)
    left, top = max(0, round(x - across)), max(0, round(y - down))
    return Area(left, top, min(picture.width, round(x + width + across)), min(picture.height, round(y + height + down)))


def overlaps(one: Area, other: Area) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return across > 0 and down > 0


def union(one: Area, other: Area) -> Area:
    return Area(
        min(one.left, other.left), min(one.top, other.top), max(one.right, other.right), max(one.bottom, other.bottom)
    )


def find_people(picture: Image.Image, areas: list[Area]) -> list[Candidate]:
    pixels = np.asarray(picture, dtype=np.uint8)
    settings_by_area = [COARSE if area == whole_picture(picture) else FINE for area in areas]
    found = (find_people_in(pixels, area, settings) for area, settings in zip(areas, settings_by_area, strict=True))
    return suppress_overlaps([candidate for each in found for candidate in each])


def find_people_in(pixels: Pixels, area: Area, settings: SearchSettings) -> list[Candidate]:
    part = pixels[area.top : area.bottom, area.left : area.right]
    size = [max(round(side * settings.zoom), least) for side, least in zip(part.shape[::-1], WINDOW, strict=True)]
    enlarged_part = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    windows, scores = pedestrian_detector().detectMultiScale(
        enlarged_part, winStride=STRIDE, scale=settings.step, groupThreshold=0, hitThreshold=0
    )
    factors = part.shape[1] / size[0], part.shape[0] / size[1]
    return [
        person_from_window(window, float(score), area, factors)
        for window, score in zip(windows, np.ravel(scores), strict=True)
    ]


@cache
def pedestrian_detector() -> cv2.HOGDescriptor:
    descriptor = cv2.HOGDescriptor()
    descriptor.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector()))
    return descriptor


def person_from_window(window: Sequence[int], score: float, area: Area, factors: tuple[float, float]) -> Candidate:
    x, y, width, height = (float(side) for side in window)
    return Candidate(
        area.left + (x + WINDOW_MARGIN_X * width) * factors[0],
        area.top + (y + WINDOW_MARGIN_Y * height) * factors[1],
        (1 - 2 * WINDOW_MARGIN_X) * width * factors[0],
        (1 - 2 * WINDOW_MARGIN_Y) * height * factors[1],
        score,
    )


def suppress_overlaps(candidates: list[Candidate]) -> list[Candidate]:
    """Non-maximum suppression: one box per person, also without boxes inside of others."""
    kept: list[Candidate] = []
    for each in sorted(candidates, key=lambda one: -one.score):
        if not any(is_same_person(each, other) for other in kept):
            kept.append(each)
    return kept


def is_same_person(one: Candidate, other: Candidate) -> bool:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0.0, across) * max(0.0, down)
    areas = one.width * one.height, other.width * other.height
    return shared > MAX_IOU * (sum(areas) - shared) or shared > MAX_COVERAGE * min(areas)


def confidence_of(score: float) -> float:
    """How often a box of this score was a person: 0.5 at a score of 0.63, 0.9 at 1.37."""
    return min(MAX_CONFIDENCE, 1 / (1 + exp(-(SLOPE * score + OFFSET))))


def detected_object(candidate: Candidate, picture: Image.Image, width: int, height: int) -> DetectedObject:
    """Convert to pixels of the full-size frame, clipped at its edges."""
    across, down = width / picture.width, height / picture.height
    left, top = max(0.0, candidate.x * across), max(0.0, candidate.y * down)
    right = min(width, (candidate.x + candidate.width) * across)
    bottom = min(height, (candidate.y + candidate.height) * down)
    return DetectedObject("person", confidence_of(candidate.score), (left, top, right - left, bottom - top))
