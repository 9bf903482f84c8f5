"""What the app joins when it is ready: the news of a camera's end, the audit's view, the shape of media errors."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Q

from cameras.models import Camera, sees_all
from cameras.purge_report import count_also
from cameras.purging import remove_also
from media_serving.addresses import PREFIX
from media_serving.api.media_shape import MEDIA_ERROR, media_shape
from media_serving.ingest.state import section
from media_serving.models import Detection, Event
from media_serving.removal import remove_some_of
from nvr.api.errors import register_shape
from nvr.api.schema import register_error_schema
from nvr.audit.models import register_actions, register_target
from nvr.health.sections import register as register_section


def connect() -> None:
    remove_also(remove_some_of)
    count_also("detections", lambda camera: Detection.objects.filter(camera=camera.pk).count())
    count_also("events", lambda camera: Event.objects.filter(camera=camera.pk).count())
    register_target("event", visible_entries)
    register_actions("event", "event_updated")
    register_section("ingest", section)
    register_shape(PREFIX, media_shape)
    register_error_schema(PREFIX, "MediaError", MEDIA_ERROR)


def visible_entries(user: User) -> Q:
    if sees_all(user):
        return Q()
    # Trashed cameras too, as in the cameras' own entries.
    return Q(target_pk__in=Event.objects.filter(camera__in=Camera.everything.visible_to(user)).values("pk"))
