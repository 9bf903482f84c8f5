"""A real camera's pictures with people, labelled by hand, and a detector's score on them.

The footage is no part of this repository: FOOTAGE names the folder that holds `pedestrians.avi`, which is
`vtest.avi` of OpenCV's sample data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from media_serving.detectors import Detector, Frame
from media_serving.detectors.vision.sampling import sample_frames

VIDEO = Path(os.environ.get("FOOTAGE", "footage")) / "pedestrians.avi"
IS_HERE = VIDEO.is_file()
WHY_NOT = f"no footage: FOOTAGE must name the folder of pedestrians.avi (expected {VIDEO})"
LABELS = Path(__file__).parents[1] / "data" / "pedestrians_labels.json"
AT = datetime(2026, 1, 1, tzinfo=UTC)
FRAME_LASTS = timedelta(milliseconds=100)
SAME, NEARLY = 0.45, 0.3  # minimum intersection over union: with a clear person, with one that counts neither way

Box = tuple[float, float, float, float]


@dataclass
class Score:
    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)


@dataclass
class People:
    clear: list[Box] = field(default_factory=list)
    difficult: list[Box] = field(default_factory=list)

    def judge(self, boxes: list[Box], score: Score) -> None:
        """Add the results for `boxes`, most confident first, to `score`: each person is found at most once."""
        left = list(self.clear)
        for box in boxes:
            best = max(left, key=lambda person: shared(box, person), default=None)
            if best is not None and shared(box, best) >= SAME:
                left.remove(best)
                score.right += 1
            elif not any(shared(box, person) >= NEARLY for person in self.difficult):
                score.wrong += 1
        score.missed += len(left)


def labels() -> dict[int, People]:
    known: dict[int, People] = {}
    for number, boxes in json.loads(LABELS.read_text())["frames"].items():
        people = known.setdefault(int(number), People())
        for box in boxes:
            kind = people.difficult if box.get("difficult") else people.clear
            kind.append((box["x"], box["y"], box["width"], box["height"]))
    return known


def frames() -> Iterator[tuple[int, Frame]]:
    """Every frame of the footage with its number."""
    return enumerate(sample_frames(VIDEO, AT, interval=FRAME_LASTS, max_frames=1000))


def scored(detector: Detector, *, between: Detector | None = None) -> Score:
    """Score `detector` on the labelled frames; `between` processes the others, as both share the memory."""
    known, score, memory = labels(), Score(), b""
    for number, frame in frames():
        current = detector if number in known else between
        if current is None:
            continue
        result = current.detect(frame, memory)
        memory = result.memory
        if number in known:
            known[number].judge([found.box for found in result.objects if found.box], score)
    return score


def shared(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(0.0, across) * max(0.0, down)
    return common / (one[2] * one[3] + other[2] * other[3] - common)
