"""The ordered list of clues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.names import told_by_path
from media_serving.ingest.capture_time.plausibility import EARLIEST, FAST, Arrival, doubt
from media_serving.models import CaptureClue
from media_serving.models.uploads import MAX_NOTE_LENGTH

SAME_TIME: Final = timedelta(minutes=15)  # as the file's: it agrees
NEAR: Final = timedelta(days=366)
AT_ITS_END: Final = timedelta(seconds=5)  # a container's time that is this near to the file's was entered last


@dataclass(frozen=True)
class FileFacts:
    """Of one file: its `path` below the camera's folder, its own time and that of its arrival, and a video's length.

    `said` is what the picture says itself, `container` what the video's does.
    """

    path: str
    mtime: datetime
    received: datetime
    length: timedelta = timedelta(0)
    exif: tuple[Reading, ...] = ()
    container: tuple[Reading, ...] = ()

    @property
    def arrival(self) -> Arrival:
        """A file's time in the future is that of its arrival; a video was written until its end."""
        return Arrival(self.received, min(self.mtime, self.received) - self.length)


@dataclass(frozen=True)
class CaptureTime:
    """`at` in UTC, by which `clue`, and in `note` why the clues before it did not count.

    `is_absurd` if the camera's clock said something that cannot be.
    """

    at: datetime
    clue: CaptureClue
    note: str = ""
    is_absurd: bool = False


@dataclass
class Judge:
    """What was refused so far, in sentences."""

    arrival: Arrival
    zone: ZoneInfo
    refusals: list[str] = field(default_factory=list)
    is_absurd: bool = False

    def time_of(self, reading: Reading) -> datetime | None:
        """In UTC, if it can be believed."""
        if not reading.options:
            self.refusals.append(f"{reading.where} {reading.problem}.")
            return None
        options = [(told, in_utc(told, self.zone, near=self.arrival.written)) for told in reading.options]
        judged = [(told, at, doubt(at, told, self.arrival) if at else OUTSIDE) for told, at in options]
        believed = [at for _, at, reason in judged if at and not reason]
        if believed:
            return self.meant(believed, reading)
        told, _, reason = judged[0]
        self.refuse(f"{reading.where} ({told:%Y-%m-%d %H:%M:%S}) {reason}.", is_known=not reading.only_near)
        return None

    def refuse(self, sentence: str, *, is_known: bool) -> None:
        """What need not be a time at all says nothing of the camera's clock."""
        if is_known:
            self.refusals.append(sentence)
            self.is_absurd = True

    def meant(self, times: list[datetime], reading: Reading) -> datetime | None:
        written = self.arrival.written
        nearest = min(times, key=lambda at: abs(at - written))
        if reading.prefers_first and abs(nearest - written) > SAME_TIME:
            nearest = times[0]
        return nearest if not reading.only_near or abs(nearest - written) <= NEAR else None

    def judged(self, at: datetime, clue: CaptureClue) -> CaptureTime:
        note = " ".join(self.refusals)
        return CaptureTime(at, clue, note[:MAX_NOTE_LENGTH], self.is_absurd)


OUTSIDE: Final = "lies outside of the calendar: the clock was never set"


def capture_time(facts: FileFacts, zone: ZoneInfo) -> CaptureTime:
    """The first clue that can be believed; `zone` is that of the camera's clock."""
    judge = Judge(facts.arrival, zone)
    for clue, reading in clues_of(facts):
        at = judge.time_of(reading)
        if at is not None:
            return judge.judged(began(at, facts) if clue == CaptureClue.CONTAINER else at, clue)
    return by_file_time(facts, judge)


def clues_of(facts: FileFacts) -> Iterator[tuple[CaptureClue, Reading]]:
    yield from ((CaptureClue.EXIF, reading) for reading in facts.exif)
    if told := told_by_path(facts.path):
        yield (CaptureClue.FOLDER if told.needs_folder else CaptureClue.NAME), told.reading
    yield from ((CaptureClue.CONTAINER, reading) for reading in facts.container)


def began(at: datetime, facts: FileFacts) -> datetime:
    """Some cameras enter the time when they close the file: that is the recording's end."""
    end = facts.arrival.written + facts.length
    is_end = abs(at - end) <= AT_ITS_END and abs(at - end) < abs(at - facts.arrival.written)
    return at - facts.length if is_end else at


def by_file_time(facts: FileFacts, judge: Judge) -> CaptureTime:
    arrival = judge.arrival
    told = facts.mtime - facts.length
    if facts.mtime > facts.received + FAST:
        judge.refuse("The file's time lies ahead of the arrival: the clock that set it is ahead.", is_known=True)
    elif told < EARLIEST:
        judge.refuse(f"The file's time lies before {EARLIEST.year}: the clock was never set.", is_known=True)
        return judge.judged(facts.received - facts.length, CaptureClue.RECEIVED)
    else:
        return judge.judged(arrival.written, CaptureClue.FILE)
    return judge.judged(arrival.written, CaptureClue.RECEIVED)


def in_utc(told: datetime, zone: ZoneInfo, *, near: datetime) -> datetime | None:
    """By the camera's clock; of an hour that comes twice, or that its clock skips, the one that is nearer to `near`.

    None at both ends of the calendar, where UTC would lie outside.
    """
    with suppress(OverflowError):
        if told.tzinfo is not None:
            return told.astimezone(UTC)
        both = [told.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        return min(both, key=lambda at: abs(at - near))
    return None
