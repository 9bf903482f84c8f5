"""What the app joins when it is ready: its errors' shape, and the audit's view."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Q

from nvr.audit.models import register_target
from reviewer.api import shape
from reviewer.models import ReviewPath, sees_all


def connect() -> None:
    shape.register()
    register_target("reviewpath", visible_entries)


def visible_entries(user: User) -> Q:
    if sees_all(user):
        return Q()
    return Q(target_pk__in=ReviewPath.objects.visible_to(user).values("pk"))
