"""What a clue says about when a picture was taken, before anybody judges it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Reading:
    """One clue. `options` are the times that it may mean: naive by the camera's clock, aware where it names a zone.

    `where` names the place ("EXIF DateTimeOriginal"). Without options `problem` says, behind `where`, why there are
    none. Of several options the one nearest to the file's time counts; if the clue `prefers_first`, the first, unless
    the file's time agrees with another one only. A reading that is `only_near` counts within a year before the file's
    time: otherwise it is some other number.
    """

    where: str
    options: tuple[datetime, ...] = ()
    problem: str = ""
    prefers_first: bool = False
    only_near: bool = False
