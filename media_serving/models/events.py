"""Detections, and the events they form."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from django.conf import settings
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from cameras.models import Camera
from nvr.audit.actor import Actor

# Upper limit whatever NVR_EVENT_MAX_LENGTH is, so that a search by time need not go back further.
MAX_EVENT_LENGTH = timedelta(hours=1)
MAX_NOTES = 5000


class MediaType(models.TextChoices):
    IMAGE = "image"
    VIDEO = "video"


class EventQuerySet(models.QuerySet["Event"]):
    def visible_to(self, user: Actor) -> Self:
        """Events of the live cameras that `user` may see."""
        return self.filter(camera__in=Camera.objects.visible_to(user))

    def overlapping(self, start: datetime | None, end: datetime | None) -> Self:
        """Events that overlap `start` to `end`, both included; None leaves that side open.

        An open event reaches as far as its last detection, so an orphan does not match everything after it.
        """
        rows = self
        if end is not None:
            rows = rows.filter(started_at__lte=end)
        if start is not None:
            # The second condition lets the index on the start be used.
            rows = rows.filter(last_detected_at__gte=start, started_at__gte=start - MAX_EVENT_LENGTH)
        return rows

    def due_to_close(self, now: datetime) -> Self:
        """Open events without a detection for NVR_EVENT_GAP, those of NVR_EVENT_MAX_LENGTH, and those in the future
        after the clock was set back."""
        quiet = Q(last_detected_at__lte=now - settings.NVR_EVENT_GAP)
        ahead = Q(last_detected_at__gt=now + MAX_EVENT_LENGTH)
        return self.filter(quiet | ahead | Q(started_at__lte=now - settings.NVR_EVENT_MAX_LENGTH), ended_at=None)


class Event(models.Model):
    """A time range in which a camera kept detecting objects; `ended_at` is None while it may still grow."""

    # Protected: rows that refer to files are deleted only by `media_serving.purge`, which removes the files too.
    camera = models.ForeignKey(Camera, on_delete=models.PROTECT, related_name="events", db_index=False)
    started_at = models.DateTimeField()
    last_detected_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    object_classes = models.JSONField(default=list, blank=True)  # sorted, each once
    detection_count = models.PositiveIntegerField(default=0)
    # None: there is no clip
    clip_size_bytes = models.PositiveBigIntegerField("clip size (bytes)", null=True, blank=True)
    clip_created_at = models.DateTimeField(null=True, blank=True)
    keep = models.BooleanField(default=False, help_text="Marked as worth keeping. Events are not deleted by age yet.")
    reviewed = models.BooleanField(default=False)
    notes = models.TextField(blank=True, max_length=MAX_NOTES, validators=[MaxLengthValidator(MAX_NOTES)])

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at", "-pk")
        indexes = (
            models.Index(fields=("-started_at", "-id"), name="event_newest"),
            models.Index(fields=("camera", "-started_at", "-id"), name="event_of_camera"),
            models.Index(fields=("camera",), condition=Q(ended_at=None), name="event_open"),
            models.Index(fields=("camera", "-started_at", "-id"), condition=Q(reviewed=False), name="event_unreviewed"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(last_detected_at__gte=F("started_at")), name="event_span_runs_forwards"),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("last_detected_at")),
                name="event_ends_after_detections",
            ),
            models.CheckConstraint(
                condition=Q(clip_size_bytes=None, clip_created_at=None)
                | Q(clip_size_bytes__isnull=False, clip_created_at__isnull=False, clip_size_bytes__gt=0),
                name="event_clip_is_whole",
            ),
        )

    def __str__(self) -> str:
        return f"event {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    @property
    def clip_path(self) -> Path:
        return clip_path(self.pk)


class DetectionQuerySet(models.QuerySet["Detection"]):
    def visible_to(self, user: Actor) -> Self:
        """Detections of the live cameras that `user` may see."""
        return self.filter(camera__in=Camera.objects.visible_to(user))


class Detection(models.Model):
    """One object in one picture. The box is in pixels of a frame that is `frame_width` by `frame_height`."""

    camera = models.ForeignKey(Camera, on_delete=models.PROTECT, related_name="detections", db_index=False)
    # Without an index of its own: `detection_of_event` begins with the event.
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="detections", db_index=False)
    # None: reported by an external detector
    upload = models.ForeignKey(
        "Upload", null=True, blank=True, on_delete=models.PROTECT, related_name="detections", editable=False
    )
    detected_at = models.DateTimeField(help_text="When the picture was taken.")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    file_path = models.CharField(max_length=4096)
    media_type = models.CharField(max_length=5, choices=MediaType)
    object_class = models.CharField(max_length=64)
    confidence = models.FloatField(validators=[MinValueValidator(0), MaxValueValidator(1)])
    bbox_x = models.FloatField(null=True, blank=True)
    bbox_y = models.FloatField(null=True, blank=True)
    bbox_width = models.FloatField(null=True, blank=True)
    bbox_height = models.FloatField(null=True, blank=True)
    frame_width = models.PositiveIntegerField(null=True, blank=True)
    frame_height = models.PositiveIntegerField(null=True, blank=True)
    offset_ms = models.PositiveIntegerField("offset (ms)", null=True, blank=True, help_text="Position in the video.")
    source = models.CharField(max_length=64, default="api", help_text="The detector that reported it.")
    external_id = models.CharField(max_length=255, blank=True, help_text="The id that the external detector uses.")
    # None: not made yet; 0: cannot be made
    thumbnail_size_bytes = models.PositiveIntegerField("thumbnail size (bytes)", null=True, blank=True)

    objects = DetectionQuerySet.as_manager()

    class Meta:
        ordering = ("-detected_at", "-pk")
        indexes = (
            models.Index(fields=("-detected_at", "-id"), name="detection_newest"),
            models.Index(fields=("camera", "-detected_at", "-id"), name="detection_of_camera"),
            models.Index(fields=("camera", "object_class", "-detected_at", "-id"), name="detection_of_class"),
            models.Index(fields=("event", "object_class"), name="detection_of_event"),
            models.Index(
                fields=("upload",),
                condition=Q(thumbnail_size_bytes=None, upload__isnull=False),
                name="detection_without_thumbnail",
            ),
            models.Index(
                fields=("upload", "-received_at"),  # else SQLite prefers the foreign key's own index
                condition=Q(thumbnail_size_bytes=None, upload=None),
                name="report_without_thumbnail",
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("camera", "source", "external_id"),
                condition=~Q(external_id=""),
                name="detection_reported_once",
            ),
            models.CheckConstraint(condition=Q(confidence__range=(0, 1)), name="detection_confidence_in_range"),
            models.CheckConstraint(condition=~Q(object_class=""), name="detection_has_class"),
            models.CheckConstraint(condition=~Q(source=""), name="detection_has_source"),
            models.CheckConstraint(condition=Q(file_path__startswith="/"), name="detection_path_is_absolute"),
            models.CheckConstraint(condition=Q(media_type__in=MediaType.values), name="detection_media_type_is_known"),
            models.CheckConstraint(
                condition=Q(bbox_x=None, bbox_y=None, bbox_width=None, bbox_height=None)
                | (
                    # A comparison with NULL is not false, and a constraint only refuses what is false.
                    Q(bbox_x__isnull=False, bbox_y__isnull=False)
                    & Q(bbox_width__isnull=False, bbox_height__isnull=False)
                    & Q(bbox_x__gte=0, bbox_y__gte=0, bbox_width__gt=0, bbox_height__gt=0)
                ),
                name="detection_box_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(frame_width=None, frame_height=None)
                | Q(frame_width__isnull=False, frame_height__isnull=False) & Q(frame_width__gt=0, frame_height__gt=0),
                name="detection_frame_is_whole",
            ),
        )

    def __str__(self) -> str:
        return f"detection {self.pk}"

    @property
    def thumbnail_path(self) -> Path:
        return thumbnail_path(self.pk)


def thumbnail_path(detection_id: int) -> Path:
    folder: Path = settings.THUMBNAIL_DIR
    return folder / f"detection_{detection_id}_thumb.jpg"


def clip_path(event_id: int) -> Path:
    folder: Path = settings.CLIP_DIR
    return folder / f"{event_id}_clip.mp4"
