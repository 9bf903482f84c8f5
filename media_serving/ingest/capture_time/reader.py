"""Evaluate the clues in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.names import time_from_path
from media_serving.ingest.capture_time.plausibility import EARLIEST, Arrival, implausibility
from media_serving.models import CaptureClue
from media_serving.models.uploads import MAX_NOTE_LENGTH
from nvr.media.files.mtime import MAX_CLOCK_DIFFERENCE

SAME_TIME: Final = timedelta(minutes=15)  # within this of the file's time, a clue matches it
MAX_DISTANCE: Final = timedelta(days=366)
END_TOLERANCE: Final = timedelta(seconds=5)  # a container time this close to the file's time was written at the end


@dataclass(frozen=True)
class FileFacts:
    """A file's `path` below the camera's folder, its modification time, its arrival, and a video's length.

    `exif` are the readings of a picture's metadata, `container` those of a video's container.
    """

    path: str
    mtime: datetime
    received: datetime
    length: timedelta = timedelta(0)
    exif: tuple[Reading, ...] = ()
    container: tuple[Reading, ...] = ()

    @property
    def arrival(self) -> Arrival:
        """A modification time in the future counts as the arrival; a video's is the end of the recording."""
        return Arrival(self.received, min(self.mtime, self.received) - self.length)


@dataclass(frozen=True)
class CaptureTime:
    """The time `at` in UTC, the `clue` that was used, and in `note` why earlier clues were rejected.

    `is_absurd` if the camera's clock had an impossible time.
    """

    at: datetime
    clue: CaptureClue
    note: str = ""
    is_absurd: bool = False


@dataclass
class ClueEvaluator:
    """Evaluates readings; `rejections` are the reasons so far, as sentences."""

    arrival: Arrival
    zone: ZoneInfo
    rejections: list[str] = field(default_factory=list)
    is_absurd: bool = False

    def time_of(self, reading: Reading) -> datetime | None:
        """The reading's time in UTC; None if it is implausible."""
        if not reading.options:
            self.rejections.append(f"{reading.where} {reading.problem}.")
            return None
        options = [(written, to_utc(written, self.zone, near=self.arrival.written)) for written in reading.options]
        evaluated = [
            (written, at, implausibility(at, written, self.arrival) if at else OUT_OF_RANGE) for written, at in options
        ]
        plausible = [at for _, at, reason in evaluated if at and not reason]
        if plausible:
            return self.choose(plausible, reading)
        written, _, reason = evaluated[0]
        self.reject(f"{reading.where} ({written:%Y-%m-%d %H:%M:%S}) {reason}.", is_certain=not reading.only_near)
        return None

    def reject(self, sentence: str, *, is_certain: bool) -> None:
        """Record a rejection, unless the number may not be a time at all: that says nothing about the clock."""
        if is_certain:
            self.rejections.append(sentence)
            self.is_absurd = True

    def choose(self, times: list[datetime], reading: Reading) -> datetime | None:
        written = self.arrival.written
        nearest = min(times, key=lambda at: abs(at - written))
        if reading.prefers_first and abs(nearest - written) > SAME_TIME:
            nearest = times[0]
        return nearest if not reading.only_near or abs(nearest - written) <= MAX_DISTANCE else None

    def result(self, at: datetime, clue: CaptureClue) -> CaptureTime:
        note = " ".join(self.rejections)
        return CaptureTime(at, clue, note[:MAX_NOTE_LENGTH], self.is_absurd)


OUT_OF_RANGE: Final = "is out of range: the clock was never set"


def capture_time(facts: FileFacts, zone: ZoneInfo) -> CaptureTime:
    """The time of the first plausible clue; `zone` is the time zone of the camera's clock."""
    evaluator = ClueEvaluator(facts.arrival, zone)
    for clue, reading in clues_of(facts):
        at = evaluator.time_of(reading)
        if at is not None:
            return evaluator.result(recording_start(at, facts) if clue == CaptureClue.CONTAINER else at, clue)
    return from_file_time(facts, evaluator)


def clues_of(facts: FileFacts) -> Iterator[tuple[CaptureClue, Reading]]:
    yield from ((CaptureClue.EXIF, reading) for reading in facts.exif)
    if named := time_from_path(facts.path):
        yield (CaptureClue.FOLDER if named.needs_folder else CaptureClue.NAME), named.reading
    yield from ((CaptureClue.CONTAINER, reading) for reading in facts.container)


def recording_start(at: datetime, facts: FileFacts) -> datetime:
    """The start of the recording: some cameras write the time when they close the file, which is its end."""
    end = facts.arrival.written + facts.length
    is_end = abs(at - end) <= END_TOLERANCE and abs(at - end) < abs(at - facts.arrival.written)
    return at - facts.length if is_end else at


def from_file_time(facts: FileFacts, evaluator: ClueEvaluator) -> CaptureTime:
    arrival = evaluator.arrival
    if facts.mtime > facts.received + MAX_CLOCK_DIFFERENCE:
        evaluator.reject("The file's time is after its arrival: the clock that set it is ahead.", is_certain=True)
    elif facts.mtime - facts.length < EARLIEST:
        evaluator.reject(f"The file's time is before {EARLIEST.year}: the clock was never set.", is_certain=True)
        return evaluator.result(facts.received - facts.length, CaptureClue.RECEIVED)
    else:
        return evaluator.result(arrival.written, CaptureClue.FILE)
    return evaluator.result(arrival.written, CaptureClue.RECEIVED)


def to_utc(written: datetime, zone: ZoneInfo, *, near: datetime) -> datetime | None:
    """Convert a time of the camera's clock; at clock changes, ambiguous times resolve to the one closer to `near`.

    None at both ends of the calendar, where the time in UTC would be out of range.
    """
    with suppress(OverflowError):
        if written.tzinfo is not None:
            return written.astimezone(UTC)
        both = [written.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        return min(both, key=lambda at: abs(at - near))
    return None
