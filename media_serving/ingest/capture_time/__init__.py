"""When a picture was taken: one ordered list of clues, each read in full and judged, and the next one if it fails.

What the file says itself (EXIF), what its name says, its name with the folders, a video's container, the file's own
time, and at last the time of arrival. Which one counted, and why those before it did not, is told with the upload.
"""

from __future__ import annotations

from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.reader import CaptureTime, FileFacts, capture_time

__all__ = ["CaptureTime", "FileFacts", "Reading", "capture_time"]
