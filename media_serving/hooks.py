"""Hooks registered when the app is ready: detectors, purge steps, signals, audit visibility, error shape, navigation
and panels."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from cameras.folders.files import register_source
from cameras.models import Camera, sees_all
from cameras.purge.report import register_counter
from cameras.purge.worker import register_remover
from media_serving import detectors
from media_serving.addresses import PREFIX
from media_serving.api.media_errors import MEDIA_ERROR, media_shape
from media_serving.clips.requests import on_event_closed, request_clip
from media_serving.ingest.retry import retry as retry_upload
from media_serving.ingest.state import figures, section
from media_serving.models import ClipWork, Detection, Event, Transcode, Upload
from media_serving.pages.camera_files import listing_of_hour
from media_serving.pages.camera_panel import camera_day_panel
from media_serving.purge import remove_batch
from media_serving.signals import event_closed
from media_serving.transcoding.requests import reset as reset_transcode
from media_serving.transcoding.requests import shown_source
from nvr.api.errors import register_shape
from nvr.api.schema import register_error_schema
from nvr.audit.models import Visibility, register_actions, register_target
from nvr.health.sections import register as register_section
from nvr.jobs import failed
from nvr.jobs.failed import FailedJobs
from nvr.jobs.models import JobState
from nvr.pages import navigation, panels


def connect() -> None:
    detectors.register_modules()
    register_remover(remove_batch)
    event_closed.connect(on_event_closed)
    register_counter("detections", lambda camera: Detection.objects.filter(camera=camera.pk).count())
    register_counter("events", lambda camera: Event.objects.filter(camera=camera.pk).count())
    register_counter("uploads", lambda camera: Upload.objects.filter(camera=camera.pk).count())
    register_target("event", entries_about(Event))
    register_actions("event", "event_updated", "clip_requested")
    register_target("upload", entries_about(Upload))
    register_actions("upload", "upload_retried")
    register_section("ingest", section, figures=figures)
    register_shape(PREFIX, media_shape)
    register_error_schema(PREFIX, "MediaError", MEDIA_ERROR)
    navigation.add(navigation.Entry("Events", "events", "events", order=20))
    navigation.add(navigation.Entry("Uploads", "uploads", "upload", order=60, allowed=navigation.is_staff))
    panels.add("camera-day", camera_day_panel, order=10)
    register_source(listing_of_hour)
    register_failed_jobs()


def register_failed_jobs() -> None:
    failed.register(
        FailedJobs(
            model=Upload,
            failed_for=lambda user: failed_of(Upload, user).select_related("camera"),
            retry=retry_upload,
            may_retry=lambda user: user.has_perm("media_serving.change_upload"),
            describe=lambda upload: f"{upload.camera}: {upload.path}",
        )
    )
    failed.register(
        FailedJobs(
            model=ClipWork,
            failed_for=lambda user: failed_of(ClipWork, user).select_related("event__camera"),
            retry=lambda user, work: request_clip(user, work.event),
            may_retry=lambda user: user.has_perm("media_serving.change_event"),
            describe=lambda work: f"{work.event.camera}: {work}",
        )
    )
    failed.register(
        FailedJobs(
            model=Transcode,
            failed_for=lambda user: failed_of(Transcode, user),
            retry=lambda user, row: reset_transcode(row),
            may_retry=lambda user: user.is_superuser,
            describe=shown_source,
        )
    )


def failed_of(model: type[Upload] | type[ClipWork] | type[Transcode], user: User) -> QuerySet[Any]:
    rows: Any = model.objects
    failed_rows: QuerySet[Any] = rows.visible_to(user).filter(state=JobState.FAILED)
    return failed_rows


def entries_about(model: type[Event] | type[Upload]) -> Visibility:
    """Return which audit entries about `model` a user may see, including those of trashed cameras."""

    def visible(user: User) -> Q:
        if sees_all(user):
            return Q()
        rows = model._default_manager.filter(camera__in=Camera.everything.visible_to(user))
        return Q(target_pk__in=rows.values("pk"))

    return visible
