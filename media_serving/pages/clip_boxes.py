"""Detection boxes over a clip: when the clip shows which of the event's pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest

from media_serving.pages.event_stills import Still

MAX_OVERLAY_MS = 1000  # a video is sampled about once a second: by then the object has moved


@dataclass(frozen=True)
class BoxOverlay:
    """Show the boxes of `still` from `from_ms` to `to_ms` of the clip."""

    still: Still
    from_ms: int
    to_ms: int


def box_overlays(shows: Sequence[tuple[int, int]], stills: Iterable[Still]) -> list[BoxOverlay]:
    """Return overlays for the `stills` that the clip shows, each until the next; `shows` is `ClipWork.shows`."""
    positions = [(*position, still) for still in stills if still.boxes and (position := position_in_clip(still, shows))]
    positions.sort(key=lambda position: position[:2])
    overlays = []
    for (begin_ms, end_ms, still), following in zip_longest(positions, positions[1:]):
        # Another picture with the same timestamp does not end it.
        until_ms = following[0] if following and following[0] > begin_ms else end_ms
        overlays.append(BoxOverlay(still, begin_ms, min(end_ms, until_ms, begin_ms + MAX_OVERLAY_MS)))
    return overlays


def position_in_clip(still: Still, shows: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Return from when and at most until when the clip shows the picture, in milliseconds of the clip."""
    taken_ms = int(still.at.timestamp() * 1000)
    begins = accumulate((length for _, length in shows), initial=0)
    matches = [
        (begin, at, length) for begin, (at, length) in zip(begins, shows, strict=False) if at <= taken_ms < at + length
    ]
    if not matches:
        return None
    begin, at, length = matches[-1]
    return begin + taken_ms - at, begin + length
