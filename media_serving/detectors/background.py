"""What a camera's view looks like when nothing moves, small and grey, and what differs from it.

One byte for each cell. Where a picture agrees with the background, the background follows it (dawn, dusk). Where it
does not, the background moves one grey level in `LEVEL_LASTS`: who stands still is seen for a minute or more, a
parked car is not seen for ever.
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
# Version, pictures seen (up to 255), width, height, the moment accounted for, the last picture's and how long before it
# the one before had come, all in ms since 1970.
HEADER = struct.Struct("<BBHHqqq")
FRESH = timedelta(seconds=60)  # a background without a picture for longer does not tell what moves now
REGULAR, REGULAR_MS = 0.1, 2000  # by how much the pauses of a camera differ that sends by the clock
LEVEL_LASTS = timedelta(seconds=1.5)
MAX_LEVELS = 8  # in one step, however long no picture came: somebody may stand in the first one after a pause
YOUNG = 8  # pictures whose plain mean is the background: who stood in the first one fades as soon as he leaves
FOLLOWS = 4  # a picture that agrees moves the background by a quarter of the difference
MIN_LEVELS = 14.0  # of grey: a smaller difference is compression, haze or flicker
MAX_NOISE = 28.0  # a larger threshold would be blind to people; noise of one cell, a mean of 64 pixels, never asks it
NOISE_WIDTHS = 6.0
DARK = 8.0  # added to both sides of a ratio: in the dark a level or two is no change of light
LIT_ALIKE = 0.02  # a smaller change of the whole picture's brightness is not applied


@dataclass(frozen=True)
class Background:
    """`moment_ms` is up to when the time is accounted for, `last_ms` when the last picture was taken, and `pause_ms`
    how long before it the one before (0: there was none)."""

    levels: NDArray[np.uint8]
    seen: int
    moment_ms: int
    last_ms: int
    pause_ms: int = 0

    @classmethod
    def starting(cls, cells: NDArray[np.uint8], at: datetime, before: Background | None = None) -> Background:
        now_ms = milliseconds(at)
        return cls(cells, 1, now_ms, now_ms, before.pause_until(at) if before else 0)

    @classmethod
    def remembered(cls, memory: bytes, shape: tuple[int, ...]) -> Background | None:
        """None for memory that is empty, damaged, of another version or of a picture of another shape."""
        try:
            version, seen, width, height, *moments = HEADER.unpack_from(memory)
            if version != VERSION or (height, width) != shape:
                return None
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(memory[HEADER.size :], width * height)
        except (struct.error, zlib.error):
            return None
        if len(data) != width * height:
            return None
        return cls(np.frombuffer(data, np.uint8).reshape(shape), seen, *moments)

    def packed(self) -> bytes:
        height, width = self.levels.shape
        moments = self.moment_ms, self.last_ms, self.pause_ms
        return HEADER.pack(VERSION, self.seen, width, height, *moments) + zlib.compress(self.levels.tobytes(), 1)

    def pause_until(self, at: datetime) -> int:
        """In ms; pictures may come out of order."""
        return abs(milliseconds(at) - self.last_ms)

    def is_fresh(self, at: datetime) -> bool:
        return self.pause_until(at) <= FRESH // timedelta(milliseconds=1)

    def expects(self, at: datetime) -> bool:
        """Whether a picture comes when one was due: the camera sends by the clock, not because it saw something."""
        difference_ms = abs(self.pause_until(at) - self.pause_ms)
        return self.pause_ms > 0 and difference_ms <= max(REGULAR_MS, REGULAR * self.pause_ms)

    def lit_like(self, cells: Cells) -> Cells:
        """The background in the light of `cells`: a camera that opens its iris makes all of it brighter at once."""
        levels = self.levels.astype(np.float32)
        gain = float(np.median((cells + DARK) / (levels + DARK)))
        if abs(gain - 1) < LIT_ALIKE:
            return levels
        return np.asarray(np.clip((levels + DARK) * gain - DARK, 0, 255), np.float32)

    def followed(self, cells: Cells, expected: Cells, differs: Mask, at: datetime) -> Background:
        """The background after a picture of which `differs` is not background; `expected` is from `lit_like`."""
        change = cells - expected
        now_ms, pause_ms = milliseconds(at), self.pause_until(at)
        if self.seen < YOUNG:
            moved = expected + change / (self.seen + 1)
            return Background(rounded(moved), self.seen + 1, now_ms, now_ms, pause_ms)
        levels, moment_ms = self.levels_due(now_ms)
        follows = np.sign(change) * np.maximum(np.abs(change) / FOLLOWS, np.minimum(np.abs(change), 1))
        absorbs = np.clip(change, -levels, levels)
        moved = expected + np.where(differs, absorbs, follows).astype(np.float32)
        return replace(self, levels=rounded(moved), moment_ms=moment_ms, last_ms=now_ms, pause_ms=pause_ms)

    def levels_due(self, now_ms: int) -> tuple[int, int]:
        """By how many levels it may move where it differs, and up to which moment that accounts for the time.

        By time, not by picture: a camera that sends ten in a second would swallow people at once.
        """
        lasts_ms = LEVEL_LASTS // timedelta(milliseconds=1)
        passed_ms = now_ms - self.moment_ms
        levels = abs(passed_ms) // lasts_ms
        if passed_ms < 0 or levels > MAX_LEVELS:  # pictures out of order, or a pause
            return min(levels, MAX_LEVELS), now_ms
        return levels, self.moment_ms + levels * lasts_ms


def differing(cells: Cells, expected: Cells) -> Mask:
    """Where the picture differs by more than its noise, which is what most of its cells differ by."""
    difference = np.abs(cells - expected)
    noise = 1.4826 * float(np.median(difference))
    return np.asarray(difference > np.clip(NOISE_WIDTHS * noise, MIN_LEVELS, MAX_NOISE))


def rounded(cells: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(cells), 0, 255), dtype=np.uint8)


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
