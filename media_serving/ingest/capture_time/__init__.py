"""Determine a file's capture time from an ordered list of clues; the first plausible one is used.

The clues are the file's metadata (EXIF), its name, its name with the folders, a video's container, the file's
modification time, and finally the time of arrival. The upload records which clue was used, and why earlier ones were
rejected.
"""

from __future__ import annotations

from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.reader import CaptureTime, FileFacts, capture_time

__all__ = ["CaptureTime", "FileFacts", "Reading", "capture_time"]
