"""What an error means for a job: a later attempt, one of a few attempts, or failure."""

from __future__ import annotations

from enum import Enum, auto

from nvr.errors import FULL, NvrError, StorageFull, Unavailable
from nvr.media.ffmpeg.processes import FfmpegKilled, FfmpegMissing, FfmpegOutOfSpace


class Outcome(Enum):
    POSTPONE = auto()  # the job is not the cause: retry as long as it takes
    DISK_FULL = auto()  # the same, for all jobs that write to this disk
    RETRY = auto()  # the job may be the cause: retry a few times
    FAIL = auto()  # the job is the cause


def classify(error: Exception) -> tuple[Outcome, str]:
    """Return the outcome of a failed attempt and its reason, a sentence for users."""
    match error:
        case FfmpegMissing() | Unavailable():
            return Outcome.POSTPONE, error.detail
        case StorageFull():
            return Outcome.DISK_FULL, error.detail
        case FfmpegOutOfSpace():
            return Outcome.DISK_FULL, "The disk is full."
        case FfmpegKilled():  # by the system, when memory ran out
            return Outcome.RETRY, error.detail
        case NvrError():
            return Outcome.FAIL, error.detail
        case OSError() if error.errno in FULL:
            return Outcome.DISK_FULL, "The disk is full."
        case OSError():
            return Outcome.POSTPONE, f"The disk failed: {error.strerror}."
        case _:
            return Outcome.RETRY, f"It could not be processed: {type(error).__name__}. See the log."
