"""The ledger of uploads: every content of every file that cameras delivered, and its state."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote_from_bytes, unquote_to_bytes

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from cameras.models import Camera
from nvr.audit.actor import Actor
from nvr.jobs.models import (
    MAX_PLAUSIBLE_DELAY,
    MAX_REASON_LENGTH,
    Job,
    JobQuerySet,
    Lease,
    is_due,
)
from nvr.media.files.mtime import MAX_CLOCK_DIFFERENCE, stored_mtime_ns

MAX_NOTE_LENGTH = 300
MAX_NS = 2**63 - 1
LARGE_BYTES = 64 * 2**20  # larger files are read in slices, few at a time


class UploadState(models.TextChoices):
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    REJECTED = "rejected"  # the file is not usable
    FAILED = "failed"  # an internal error persisted after all attempts


class CaptureClue(models.TextChoices):
    """The source of the capture time, most reliable first."""

    EXIF = "exif", "what the picture says itself"
    NAME = "name", "the file's name"
    FOLDER = "folder", "the file's name with its folder"
    CONTAINER = "container", "what the video says itself"
    FILE = "file", "the file's own time"
    RECEIVED = "received", "the time of arrival"


class UploadQuerySet(JobQuerySet["Upload"]):
    def visible_to(self, user: Actor) -> Self:
        """Uploads of the live cameras that `user` may see."""
        return self.filter(camera__in=Camera.objects.visible_to(user))

    def visible_unordered(self, user: Actor) -> Self:
        """The same uploads, unordered, for queries by state or time.

        The camera's key is written as a sum so that SQLite does not use its index: it would walk all uploads of
        the cameras instead of the few in a partial index.
        """
        cameras = Camera.objects.visible_to(user).order_by().values("pk")
        return self.order_by().annotate(owner=F("camera_id") + 0).filter(owner__in=cameras)

    def due(self, now: datetime) -> Self:
        """Uploads that are ready for a worker."""
        return self.filter(is_due(now), state=UploadState.WAITING)

    def postponed(self, now: datetime) -> Self:
        """Uploads that failed and are retried later."""
        # Not the negation of `is_due`: that would use no index.
        later = Q(retry_at__gt=now, retry_at__lte=now + MAX_PLAUSIBLE_DELAY)
        return self.filter(later, state=UploadState.WAITING)

    def of_file(self, camera_id: int, raw_path: bytes) -> Self:
        """All contents that the file at `raw_path` (below the camera's folder) has had, unordered.

        With an order, the database would walk all of the camera's uploads in it to find these few.
        """
        return self.filter(camera_id=camera_id, path_digest=digest_of(raw_path)).order_by()


class Upload(Job):
    """One content of one file, identified by path, size and mtime; a reused name is another upload.

    `path` is for display; `raw_path` is the name on disk, which may not be valid text. Both are relative to the
    camera's folder. A worker processes an upload while it holds the camera's `CameraLease`.
    """

    # Protected: a kept copy is removed only by `media_serving.purge`.
    camera = models.ForeignKey(Camera, on_delete=models.PROTECT, related_name="uploads", db_index=False)
    path = models.TextField(editable=False)
    raw_path = models.TextField(editable=False)  # percent-encoded
    path_digest = models.CharField(max_length=64, editable=False)  # SHA-256 of the bytes
    size_bytes = models.PositiveBigIntegerField("size (bytes)", editable=False)
    mtime_ns = models.BigIntegerField(editable=False)
    content_digest = models.CharField(max_length=64, blank=True, editable=False)  # SHA-256; empty: not read yet
    state = models.CharField(max_length=8, choices=UploadState, default=UploadState.WAITING)
    missing_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when the file has been missing. Empty if it exists."
    )
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    captured_at = models.DateTimeField(help_text="When the picture was taken, from the most reliable source.")
    done_at = models.DateTimeField(null=True, blank=True, help_text="When processing finished.")
    capture_clue = models.CharField("capture time from", max_length=9, choices=CaptureClue, blank=True, editable=False)
    capture_note = models.CharField(
        max_length=MAX_NOTE_LENGTH, blank=True, editable=False, help_text="Why more reliable sources were not used."
    )
    clock_is_absurd = models.BooleanField(
        default=False, help_text="The camera's clock is so wrong that another source was used."
    )
    is_kept = models.BooleanField(
        default=False, help_text="NVR has a copy, because the camera has used the file name again."
    )
    copy_removed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the copy was deleted to free disk space."
    )
    # For a large file: the digests of the blocks read so far, concatenated.
    block_digests = models.TextField(blank=True, editable=False)

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ("-received_at", "-pk")
        indexes = (
            models.Index(fields=("-received_at", "-id"), name="upload_newest"),
            models.Index(fields=("camera", "-received_at", "-id"), name="upload_of_camera"),
            models.Index(fields=("camera", "-captured_at"), name="upload_by_capture"),
            models.Index(fields=("-done_at",), name="upload_lately_done"),
            models.Index(
                fields=("camera", "-captured_at", "id"), condition=Q(state=UploadState.WAITING), name="upload_waiting"
            ),
            models.Index(fields=("camera",), condition=Q(state=UploadState.WORKING), name="upload_in_hand"),
            models.Index(
                fields=("retry_at",),
                condition=Q(state=UploadState.WAITING, retry_at__isnull=False),
                name="upload_postponed",
            ),
            models.Index(fields=("camera", "-id"), condition=Q(missing_since__isnull=False), name="upload_missing"),
            models.Index(
                fields=("camera", "content_digest"), condition=~Q(content_digest=""), name="upload_by_content"
            ),
            models.Index(fields=("received_at", "size_bytes"), condition=Q(is_kept=True), name="upload_kept"),
            models.Index(
                fields=("state", "-received_at", "-id"), condition=~Q(state=UploadState.DONE), name="upload_not_done"
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=("camera", "path_digest", "size_bytes", "mtime_ns"), name="upload_once"),
            models.CheckConstraint(condition=Q(state__in=UploadState.values), name="upload_state_is_known"),
            models.CheckConstraint(
                condition=~Q(state__in=[UploadState.REJECTED, UploadState.FAILED]) | ~Q(reason=""),
                name="upload_says_why",
            ),
        )

    def __str__(self) -> str:
        return f"upload {self.pk}"

    @property
    def below(self) -> bytes:
        """The name on disk, relative to the camera's folder."""
        return unquote_to_bytes(self.raw_path)

    @property
    def file(self) -> Path:
        return Path(os.fsdecode(os.fsencode(self.camera.folder_path) + b"/" + self.below))

    def settle(self, **values: Any) -> bool:
        """Write the outcome of an attempt, in a transaction that has confirmed the camera's lease."""
        for name, value in values.items():
            setattr(self, name, value)
        # `is_kept` and `missing_since` may have been set by an earlier step of the attempt.
        self.save(update_fields=[*values, "is_kept", "missing_since"])
        return True

    def reject(self, reason: str) -> None:
        self.settle(state=UploadState.REJECTED, reason=reason[:MAX_REASON_LENGTH], retry_at=None)

    def quiet_for(self, now: datetime) -> timedelta:
        """Return how long the file has not been written to, as far as known."""
        written_at = mtime_to_datetime(self.mtime_ns)
        if written_at > now + MAX_CLOCK_DIFFERENCE:
            written_at = self.received_at
        return now - max(self.received_at, min(written_at, now))

    def is_abandoned(self, now: datetime) -> bool:
        """Return whether the rest of the file is no longer expected."""
        return self.quiet_for(now) > settings.NVR_INCOMPLETE_UPLOAD_TIMEOUT

    @property
    def kept_path(self) -> Path:
        return kept_path(self.camera_id, self.pk, self.path)


class UploadCopy(models.Model):
    """Another file with the upload's content: moved to a folder, linked, or sent twice."""

    # Without an index of its own: the unique constraint begins with the camera.
    camera = models.ForeignKey(Camera, on_delete=models.CASCADE, related_name="upload_copies", db_index=False)
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="copies")
    path = models.TextField(editable=False)
    raw_path = models.TextField(editable=False)  # percent-encoded
    path_digest = models.CharField(max_length=64, editable=False)  # SHA-256 of the bytes
    size_bytes = models.PositiveBigIntegerField("size (bytes)", editable=False)
    mtime_ns = models.BigIntegerField(editable=False)
    found_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: models.Manager[UploadCopy]

    class Meta:
        ordering = ("pk",)
        verbose_name_plural = "upload copies"
        indexes = (models.Index(fields=("-found_at",), name="upload_copy_newest"),)
        constraints = (
            models.UniqueConstraint(fields=("camera", "path_digest", "size_bytes", "mtime_ns"), name="copy_once"),
        )

    def __str__(self) -> str:
        return f"copy of upload {self.upload_id}"

    @property
    def below(self) -> bytes:
        """The name on disk, relative to the camera's folder."""
        return unquote_to_bytes(self.raw_path)


def is_unchanged(recorded: Upload | UploadCopy, file_stat: os.stat_result) -> bool:
    """Return whether the file still has the size and mtime with which it was recorded."""
    is_same_time = stored_mtime_ns(file_stat.st_mtime_ns) == recorded.mtime_ns
    return is_same_time and file_stat.st_size == recorded.size_bytes


def digest_of(raw_path: bytes) -> str:
    return hashlib.sha256(raw_path).hexdigest()


def readable(raw_path: bytes) -> str:
    """Return `raw_path` as text for display, without NUL, which databases reject."""
    return raw_path.decode("utf-8", "replace").replace("\0", "\ufffd")


def quoted(raw_path: bytes) -> str:
    return quote_from_bytes(raw_path, safe="/ ")


def kept_path(camera_id: int, upload_id: int, path: str) -> Path:
    """Return the path of the kept copy of an upload whose name the camera reuses."""
    return kept_folder(camera_id) / f"{upload_id}{Path(path).suffix.lower()[:16]}"


def kept_folder(camera_id: int) -> Path:
    folder: Path = settings.KEPT_DIR
    return folder / str(camera_id)


def mtime_to_datetime(ns: int) -> datetime:
    """Return a file's mtime as UTC, clamped to what a datetime can represent."""
    seconds = min(max(ns, 0), MAX_NS) // 1_000_000 / 1000
    return datetime.fromtimestamp(seconds, UTC)


class CameraLease(Lease):
    """The lease on a camera's uploads, for one worker at a time, and the detector's state between pictures.

    The state is written in the same transaction as its results: after a crash no picture is missing and none counts
    twice.
    """

    LEASE = timedelta(seconds=10)

    camera = models.OneToOneField(Camera, on_delete=models.CASCADE, related_name="lease")
    acquired_at = models.DateTimeField(default=timezone.now)
    detector = models.CharField(max_length=16, blank=True)
    memory = models.BinaryField(default=bytes)

    objects: models.Manager[CameraLease]

    class Meta:
        ordering = ("acquired_at",)

    def __str__(self) -> str:
        return f"lease of camera {self.camera_id}"
