"""What the app joins when it is ready: its errors' shape, and the audit's view."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Q

from nvr.audit.models import register_actions, register_target
from reviewer.api import shape
from reviewer.models import ReviewPath, sees_all

ACTIONS = ("review_path_added", "review_path_updated", "review_path_removed", "media_marked")


def connect() -> None:
    shape.register()
    register_target("reviewpath", visible_entries)
    register_actions("reviewpath", *ACTIONS)


def visible_entries(user: User) -> Q:
    if sees_all(user):
        return Q()
    return Q(target_pk__in=ReviewPath.objects.visible_to(user).values("pk"))
