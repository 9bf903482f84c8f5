"""The capture times that a clue may mean, before they are checked for plausibility."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Reading:
    """One clue. `options` are its possible times: naive for the camera's clock, aware if the clue names a zone.

    `where` is the source ("EXIF DateTimeOriginal"). Without options, `problem` continues the sentence after `where`
    with the reason. Of several options, the one nearest to the file's time is used; with `prefers_first`, the first
    one, unless only another one matches the file's time. A reading that is `only_near` is used only within a year of
    the file's time: otherwise it is probably another number.
    """

    where: str
    options: tuple[datetime, ...] = ()
    problem: str = ""
    prefers_first: bool = False
    only_near: bool = False
