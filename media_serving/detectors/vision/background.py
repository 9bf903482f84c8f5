"""A camera's background model: its view without motion, small and in grey, and the cells that differ from it.

One byte per cell. Where a picture matches the background, the background follows it (dawn, dusk). Where it does not,
the background changes by one grey level per `TIME_PER_LEVEL`: a person who stands still is detected for a minute or
more, but a parked car is not detected forever.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float32]
Mask = NDArray[np.bool_]

VERSION = 2
# Version, picture count (up to 255), width, height, `absorbed_ms`, `last_ms` and `interval_ms`; timestamps are in ms
# since 1970.
HEADER = struct.Struct("<BBHHqqq")
MAX_AGE = timedelta(seconds=60)  # a background whose last picture is older does not show current motion
# How much the interval between two pictures varies if a camera uploads on a schedule: a share, and in ms.
INTERVAL_TOLERANCE, INTERVAL_TOLERANCE_MS = 0.1, 2000
TIME_PER_LEVEL = timedelta(seconds=1.5)
MAX_LEVELS = 8  # per picture, however long the pause before it: a person may stand in the first picture after a pause
# The background starts as the mean of this many pictures: a person in the first one fades as soon as they leave.
WARM_UP_FRAMES = 8
LEARNING_DIVISOR = 4  # a picture that matches moves the background by a quarter of the difference
MIN_THRESHOLD = 14.0  # grey levels: smaller differences are compression, haze or flicker
# A larger threshold would miss people. The noise of one cell, a mean of 64 pixels, never requires more.
MAX_THRESHOLD = 28.0
NOISE_FACTOR = 6.0
DARK_OFFSET = 8.0  # added to both sides of a ratio: in the dark, one or two levels are no change of light
MIN_GAIN_CHANGE = 0.02  # smaller changes of the overall brightness are ignored


@dataclass(frozen=True)
class Background:
    """Grey levels per cell, and when they were updated; timestamps are in ms since 1970.

    `absorbed_ms` is the time up to which changed cells were absorbed, `last_ms` the last picture's timestamp, and
    `interval_ms` the time between the last two pictures (0 if there was only one).
    """

    levels: NDArray[np.uint8]
    picture_count: int
    absorbed_ms: int
    last_ms: int
    interval_ms: int = 0

    @classmethod
    def started_with(cls, cells: NDArray[np.uint8], at: datetime, before: Background | None = None) -> Background:
        now_ms = milliseconds(at)
        return cls(cells, 1, now_ms, now_ms, before.interval_ms_to(at) if before else 0)

    @classmethod
    def from_bytes(cls, memory: bytes, shape: tuple[int, ...]) -> Background | None:
        """Return None if `memory` is empty, damaged, of another version or for a picture of another shape."""
        try:
            version, picture_count, width, height, *timestamps = HEADER.unpack_from(memory)
            if version != VERSION or (height, width) != shape:
                return None
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(memory[HEADER.size :], width * height)
        except (struct.error, zlib.error):
            return None
        if len(data) != width * height:
            return None
        return cls(np.frombuffer(data, np.uint8).reshape(shape), picture_count, *timestamps)

    def to_bytes(self) -> bytes:
        height, width = self.levels.shape
        timestamps = self.absorbed_ms, self.last_ms, self.interval_ms
        header = HEADER.pack(VERSION, self.picture_count, width, height, *timestamps)
        return header + zlib.compress(self.levels.tobytes(), 1)

    def interval_ms_to(self, at: datetime) -> int:
        """The time in ms since the last picture, never negative: pictures may arrive out of order."""
        return abs(milliseconds(at) - self.last_ms)

    def is_fresh(self, at: datetime) -> bool:
        return self.interval_ms_to(at) <= MAX_AGE // timedelta(milliseconds=1)

    def is_on_schedule(self, at: datetime) -> bool:
        """Whether a picture was due at this time: the camera uploads on a schedule, not because something moved."""
        difference_ms = abs(self.interval_ms_to(at) - self.interval_ms)
        tolerance_ms = max(INTERVAL_TOLERANCE_MS, INTERVAL_TOLERANCE * self.interval_ms)
        return self.interval_ms > 0 and difference_ms <= tolerance_ms

    def with_light_of(self, cells: Cells) -> Cells:
        """The background scaled to the brightness of `cells`: a camera that opens its iris brightens everything."""
        levels = self.levels.astype(np.float32)
        gain = float(np.median((cells + DARK_OFFSET) / (levels + DARK_OFFSET)))
        if abs(gain - 1) < MIN_GAIN_CHANGE:
            return levels
        return np.asarray(np.clip((levels + DARK_OFFSET) * gain - DARK_OFFSET, 0, 255), np.float32)

    def updated_with(self, cells: Cells, expected: Cells, changed: Mask, at: datetime) -> Background:
        """The background after a picture in which the `changed` cells are not background.

        `expected` is the result of `with_light_of`.
        """
        change = cells - expected
        now_ms, interval_ms = milliseconds(at), self.interval_ms_to(at)
        if self.picture_count < WARM_UP_FRAMES:
            moved = expected + change / (self.picture_count + 1)
            return Background(to_uint8(moved), self.picture_count + 1, now_ms, now_ms, interval_ms)
        levels, absorbed_ms = self.allowed_levels(now_ms)
        follows = np.sign(change) * np.maximum(np.abs(change) / LEARNING_DIVISOR, np.minimum(np.abs(change), 1))
        absorbs = np.clip(change, -levels, levels)
        moved = expected + np.where(changed, absorbs, follows).astype(np.float32)
        return replace(self, levels=to_uint8(moved), absorbed_ms=absorbed_ms, last_ms=now_ms, interval_ms=interval_ms)

    def allowed_levels(self, now_ms: int) -> tuple[int, int]:
        """By how many levels changed cells may move, and the new `absorbed_ms`.

        By time, not by picture: with ten pictures per second the background would absorb people at once.
        """
        level_ms = TIME_PER_LEVEL // timedelta(milliseconds=1)
        elapsed_ms = now_ms - self.absorbed_ms
        levels = abs(elapsed_ms) // level_ms
        if elapsed_ms < 0 or levels > MAX_LEVELS:  # pictures out of order, or a pause
            return min(levels, MAX_LEVELS), now_ms
        return levels, self.absorbed_ms + levels * level_ms


def changed_cells(cells: Cells, expected: Cells) -> Mask:
    """The cells that differ by more than the noise, which is estimated from the median difference."""
    difference = np.abs(cells - expected)
    noise = 1.4826 * float(np.median(difference))
    return np.asarray(difference > np.clip(NOISE_FACTOR * noise, MIN_THRESHOLD, MAX_THRESHOLD))


def to_uint8(cells: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(cells), 0, 255), dtype=np.uint8)


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
