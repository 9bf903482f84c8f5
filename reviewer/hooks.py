"""What the app joins when it is ready: its errors' shape, the audit's view, the navigation."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Q
from django.http import HttpRequest

from cameras.folders.unknown import register_used_folders
from cameras.registry import register_folder_check
from nvr.audit.models import register_actions, register_target
from nvr.health.details import register_details
from nvr.jobs import failed
from nvr.jobs.failed import FailedJobs
from nvr.pages import navigation
from reviewer import health
from reviewer.api import errors
from reviewer.models import ReviewPath, TrashRun, all_review_paths, sees_all
from reviewer.registry import known_paths, reason_against_camera
from reviewer.thumbnails import rendering as thumbnails
from reviewer.trash import runs as trash_runs
from reviewer.trash import worker as trash_worker

ACTIONS = ("review_path_added", "review_path_updated", "review_path_removed", "media_marked")


def connect() -> None:
    errors.register()
    register_target("reviewpath", visible_entries)
    register_actions("reviewpath", *ACTIONS)
    register_target("trashrun", visible_runs)
    register_actions("trashrun", *trash_runs.ACTIONS)
    register_details("reviewer.review", health.details)
    failed.register(
        FailedJobs(
            model=TrashRun,
            failed_for=trash_runs.failed_runs,
            retry=trash_runs.retry,
            may_retry=may_empty_trash,
            describe=lambda run: f"trash of {run.path or 'all review paths'}",
        )
    )
    trash_worker.register_pruner(thumbnails.prune)
    register_folder_check(reason_against_camera)
    register_used_folders(review_folders)
    navigation.add(navigation.Entry("Review", "review", "review", order=30, allowed=may_review))


def review_folders() -> list[str]:
    return [row.path for row in all_review_paths()]


def may_empty_trash(user: User) -> bool:
    return user.has_perm("reviewer.review")


def may_review(request: HttpRequest) -> bool:
    return request.user.has_perm("reviewer.review")


def visible_entries(user: User) -> Q:
    """Those of the paths that one may review; for who manages paths, also those of paths that are no more."""
    if user.is_superuser:
        return Q()
    known = [row.pk for row in known_paths(user)]
    if not sees_all(user):
        return Q(target_pk__in=known)
    return ~Q(target_pk__in=ReviewPath.objects.exclude(pk__in=known).values("pk"))


def visible_runs(user: User) -> Q:
    if user.is_superuser:
        return Q()
    return Q(target_pk__in=TrashRun.objects.visible_to(user).values("pk"))
