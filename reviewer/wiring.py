"""What the app joins when it is ready: its errors' shape, and the audit's view."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Q

from nvr.audit.models import register_actions, register_target
from nvr.health.details import tell
from reviewer import health, trash
from reviewer.api import shape
from reviewer.models import ReviewPath, TrashRun, sees_all

ACTIONS = ("review_path_added", "review_path_updated", "review_path_removed", "media_marked")


def connect() -> None:
    shape.register()
    register_target("reviewpath", visible_entries)
    register_actions("reviewpath", *ACTIONS)
    register_target("trashrun", visible_runs)
    register_actions("trashrun", *trash.ACTIONS)
    tell("reviewer.review", health.details)


def visible_entries(user: User) -> Q:
    if sees_all(user):
        return Q()
    return Q(target_pk__in=ReviewPath.objects.visible_to(user).values("pk"))


def visible_runs(user: User) -> Q:
    if sees_all(user):
        return Q()
    return Q(target_pk__in=TrashRun.objects.visible_to(user).values("pk"))
