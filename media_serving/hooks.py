"""Hooks registered when the app is ready: purge steps, signals, audit visibility, error shape, navigation and
panels."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Q

from cameras.folders.files import register_source
from cameras.models import Camera, sees_all
from cameras.purge.report import register_counter
from cameras.purge.worker import register_remover
from media_serving.addresses import PREFIX
from media_serving.api.media_errors import MEDIA_ERROR, media_shape
from media_serving.clips.requests import on_event_closed
from media_serving.ingest.state import figures, section
from media_serving.models import Detection, Event, Upload
from media_serving.pages.camera_files import listing_of_hour
from media_serving.pages.camera_panel import camera_day_panel
from media_serving.purge import remove_batch
from media_serving.signals import event_closed
from nvr.api.errors import register_shape
from nvr.api.schema import register_error_schema
from nvr.audit.models import Visibility, register_actions, register_target
from nvr.health.sections import register as register_section
from nvr.pages import navigation, panels


def connect() -> None:
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


def entries_about(model: type[Event] | type[Upload]) -> Visibility:
    """Return which audit entries about `model` a user may see, including those of trashed cameras."""

    def visible(user: User) -> Q:
        if sees_all(user):
            return Q()
        rows = model._default_manager.filter(camera__in=Camera.everything.visible_to(user))
        return Q(target_pk__in=rows.values("pk"))

    return visible
