"""The camera model: source of its pictures, status and access; and the state of its purge.

`cameras.fields` lists where each field of a camera appears and which rule checks it.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from datetime import timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models, transaction
from django.urls import reverse
from django.utils import timezone

from cameras.naming import CONTROL, slug_from
from cameras.secrets import SecretField, is_unreadable
from nvr.audit.actor import Actor, RecordedActor
from nvr.jobs.models import LeasedJob, LeasedJobQuerySet, leased_job_constraints
from nvr.media.files.mounts import Mount

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class CameraStatus(models.TextChoices):
    ONLINE = "online"
    OFFLINE = "offline"
    ERROR = "error"
    UNKNOWN = "unknown"


class IngestionMode(models.TextChoices):
    FTP = "ftp", "FTP or drop folder"
    RTSP = "rtsp", "RTSP stream"
    ONVIF = "onvif", "ONVIF device"


class StreamProfile(models.TextChoices):
    MAIN = "main"
    SUB = "sub"
    BOTH = "both"


class CameraQuerySet(models.QuerySet["Camera"]):
    def visible_to(self, user: Actor) -> Self:
        """The cameras that `user` may see: all for superusers or with `view_all`, else those of their groups."""
        if not user.is_active:
            return self.none()
        if sees_all(user):
            return self
        listed = Camera.groups.through.objects.filter(group__user=user.pk)
        return self.filter(pk__in=listed.values("camera_id"))

    def identified_by(self, text: str) -> Self:
        """The camera whose slug is `text`, else the one whose uuid it is; at most one row."""
        # Slugs are stored in NFC; a client on macOS may send the same letters in NFD.
        text = unicodedata.normalize("NFC", text)
        if CONTROL.search(text):  # no id contains them, and PostgreSQL rejects NUL
            return self.none()
        if not UUID.fullmatch(text):
            return self.filter(slug=text)
        return self.filter(uuid=text)

    def public(self) -> Self:
        """Cameras whose snapshot is available without signing in."""
        return self.filter(public=True, groups=None) if settings.NVR_PUBLIC_SNAPSHOTS else self.none()

    # `update` sends no `post_save`, which bumps the version otherwise.
    def update(self, **kwargs: Any) -> int:
        with transaction.atomic():
            changed = super().update(**kwargs)
            if changed:
                ListVersion.bump()
        return changed


def sees_all(user: Actor) -> bool:
    return user.is_superuser or user.has_perm("cameras.view_all")


# Three managers: `objects` hides the trash, so that a query that forgets it shows too little, not too much.
class LiveManager(models.Manager.from_queryset(CameraQuerySet)):  # type: ignore[misc]  # made at run time
    def get_queryset(self) -> CameraQuerySet:
        return CameraQuerySet(self.model, using=self._db).filter(deleted_at=None)


class TrashManager(models.Manager.from_queryset(CameraQuerySet)):  # type: ignore[misc]  # made at run time
    def get_queryset(self) -> CameraQuerySet:
        return CameraQuerySet(self.model, using=self._db).exclude(deleted_at=None)


class Camera(models.Model):
    # The id of the contract. It stays when the camera is renamed, so that URLs remain valid.
    slug = models.CharField("id", max_length=255, unique=True, editable=False)
    # The id in version 1 of the API; clients may use it in version 2, too.
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255, unique=True)
    folder_path = models.CharField("folder", max_length=500, unique=True)
    status = models.CharField(max_length=7, choices=CameraStatus, default=CameraStatus.ONLINE)
    status_reason = models.CharField(max_length=300, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Stored by the health task, for pages where reading the folder would be too slow.
    last_picture_at = models.DateTimeField(
        "last picture",
        null=True,
        blank=True,
        editable=False,
        help_text="When the picture of the snapshot was taken, as of the last health check.",
    )
    usual_interval_seconds = models.PositiveIntegerField(
        null=True,
        editable=False,
        help_text="The usual pause between two pictures, if longer than NVR_STALE_AFTER; otherwise null.",
    )
    rhythm = models.JSONField(null=True, editable=False)  # see `cameras.folders.rhythm`
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    enabled = models.BooleanField(
        default=True, help_text="If off, its files are not processed and its health is not monitored."
    )
    ingestion_mode = models.CharField("source", max_length=5, choices=IngestionMode, default=IngestionMode.FTP)
    rtsp_url = models.CharField("RTSP address", max_length=500, blank=True)
    rtsp_username = models.CharField("RTSP user name", max_length=255, blank=True)
    rtsp_password = SecretField("RTSP password", max_length=255, blank=True, null=True)
    onvif_url = models.CharField("ONVIF address", max_length=500, blank=True)
    stream_profile = models.CharField(max_length=4, choices=StreamProfile, default=StreamProfile.MAIN)
    motion_sensitivity = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="0 to 1. Higher values detect smaller changes as motion.",
    )
    # One of `detector_choices`. The database does not know which detectors are installed.
    detector = models.CharField(max_length=16, default="people")
    detect_every_frame = models.BooleanField(
        "detect in every picture",
        default=False,
        help_text="If off, people are detected only in pictures with motion.",
    )
    detection_confidence = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="0 to 1. Detections with a lower confidence are ignored.",
    )
    detection_classes = models.JSONField(
        "object classes",
        default=list,
        blank=True,
        help_text="Detections of other classes are ignored. Empty keeps all classes.",
    )
    detection_width = models.PositiveIntegerField(
        "detection width (pixels)",
        default=768,
        validators=[MinValueValidator(160), MaxValueValidator(3840)],
        help_text="Pictures are resized to this width for detection. A larger width detects smaller objects and takes "
        "longer.",
    )
    time_zone = models.CharField(max_length=64, blank=True, help_text="Empty uses the time zone of the installation.")
    offline_after_seconds = models.PositiveIntegerField(
        "offline after (seconds)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(366 * 86400)],
        help_text="Seconds without a file. Empty uses the default of the installation.",
    )
    groups = models.ManyToManyField(
        Group, blank=True, related_name="cameras", help_text="Members of these groups may see the camera."
    )
    public = models.BooleanField(
        default=True, help_text="The snapshot is available without signing in if the camera has no group."
    )
    notes = models.TextField(max_length=5000, blank=True)
    # The volume of the folder at its last successful check: if it is not mounted, the folder only looks empty.
    mount = models.JSONField(null=True, editable=False)
    # The resolved folder when it was chosen, relative to the base path if it is below it; empty if not recorded.
    chosen_place = models.CharField(max_length=4096, blank=True, editable=False)

    everything = models.Manager.from_queryset(CameraQuerySet)()
    objects = LiveManager()
    trash = TrashManager()

    class Meta:
        ordering = ("name", "pk")
        # For unique checks, `dumpdata` and reverse relations, which must include trashed cameras.
        default_manager_name = "everything"
        permissions = (
            ("view_all", "Can see all cameras, whichever groups they list"),
            ("control_camera", "Can move cameras (PTZ)"),
        )
        constraints = (
            models.CheckConstraint(condition=~models.Q(slug=""), name="camera_has_slug"),
            models.CheckConstraint(condition=~models.Q(name=""), name="camera_has_name"),
            models.CheckConstraint(condition=models.Q(folder_path__startswith="/"), name="camera_folder_is_absolute"),
            models.CheckConstraint(condition=models.Q(status__in=CameraStatus.values), name="camera_status_is_known"),
            models.CheckConstraint(
                condition=models.Q(ingestion_mode=IngestionMode.FTP)
                | models.Q(ingestion_mode__in=[IngestionMode.RTSP, IngestionMode.ONVIF]) & ~models.Q(rtsp_url=""),
                name="camera_stream_has_address",
            ),
            models.CheckConstraint(
                condition=models.Q(stream_profile__in=StreamProfile.values), name="camera_profile_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(motion_sensitivity__range=(0, 1)), name="camera_sensitivity_in_range"
            ),
            models.CheckConstraint(condition=~models.Q(detector=""), name="camera_has_detector"),
            models.CheckConstraint(
                condition=models.Q(detection_confidence__range=(0, 1)), name="camera_confidence_in_range"
            ),
            models.CheckConstraint(
                condition=models.Q(detection_width__range=(160, 3840)), name="camera_detection_width_in_range"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.slug:
            self.slug = slug_from(self.name)
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("camera", args=[self.slug])

    @property
    def is_trashed(self) -> bool:
        return self.deleted_at is not None

    @property
    def is_stream(self) -> bool:
        return self.ingestion_mode != IngestionMode.FTP

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone or settings.NVR_TIME_ZONE)

    @property
    def offline_after(self) -> timedelta:
        if self.offline_after_seconds is not None:
            return timedelta(seconds=self.offline_after_seconds)
        default: timedelta = settings.NVR_STREAM_OFFLINE_AFTER if self.is_stream else settings.NVR_OFFLINE_AFTER
        return default

    @property
    def usual_interval(self) -> timedelta | None:
        """Its usual pause between two pictures; None if too little is known or it hardly ever pauses."""
        return None if self.usual_interval_seconds is None else timedelta(seconds=self.usual_interval_seconds)

    @property
    def remembered_mount(self) -> Mount | None:
        """The volume of its folder; None before the first successful check."""
        return Mount.from_dict(self.mount) if self.mount else None

    @property
    def secret_is_unreadable(self) -> bool:
        return is_unreadable(self.rtsp_password)


class TrashedCamera(Camera):
    """A camera in the trash, for the admin."""

    class Meta:
        proxy = True
        default_manager_name = "trash"
        verbose_name = "trashed camera"
        verbose_name_plural = "trash"


class PurgeQuerySet(LeasedJobQuerySet["Purge"]):
    def visible_to(self, user: Actor) -> Self:
        return self.filter(camera__in=Camera.everything.visible_to(user))


class Purge(LeasedJob):
    """A purge that takes more than one batch, and the user who requested it.

    While the row exists, the camera is partly deleted and cannot be restored. It is deleted together with the camera.
    """

    TASK = "cameras.continue_purge"

    camera = models.OneToOneField(Camera, on_delete=models.CASCADE, related_name="purge")
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    address = models.CharField(max_length=64, blank=True)
    client = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects = PurgeQuerySet.as_manager()

    class Meta:
        constraints = leased_job_constraints("purge")

    def __str__(self) -> str:
        return f"purge of camera {self.camera_id}"

    @property
    def started_by(self) -> RecordedActor:
        return RecordedActor(self.actor_id, self.actor_name, self.address, self.client, self.request_id)


class ListVersion(models.Model):
    """One row whose number increases with every write to a camera, which invalidates entries cached with an older one.

    It is in the database, so that it changes in the transaction of the write and does not depend on the cache.
    """

    number = models.BigIntegerField(default=0)

    objects: models.Manager[ListVersion]

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def bump(cls) -> None:
        if not cls._increment():
            cls.objects.get_or_create(pk=1)
            cls._increment()  # another process that created the row increased it for its own write only

    @classmethod
    def _increment(cls) -> int:
        return cls.objects.filter(pk=1).update(number=models.F("number") + 1)

    @classmethod
    def current(cls) -> int:
        # Read for every list and every file: plain SQL takes a quarter of the time that the ORM needs.
        with connection.cursor() as cursor:
            cursor.execute("SELECT number FROM cameras_listversion WHERE id = 1")
            row = cursor.fetchone()
        return int(row[0]) if row else 0
