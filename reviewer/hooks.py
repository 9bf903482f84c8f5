"""Registers what this app adds to others: error shape, audit targets, health, folder checks, navigation."""

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
from reviewer.registry import camera_folder_conflict, known_paths
from reviewer.thumbnails import rendering as thumbnails
from reviewer.trash import runs as trash_runs
from reviewer.trash import worker as trash_worker

ACTIONS = ("review_path_added", "review_path_updated", "review_path_removed", "media_marked")


def connect() -> None:
    errors.register()
    register_target("reviewpath", visible_review_path_entries)
    register_actions("reviewpath", *ACTIONS)
    register_target("trashrun", visible_trash_run_entries)
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
    # The API contract: emptying the trash also prunes thumbnails.
    trash_worker.register_pruner(thumbnails.prune)
    register_folder_check(camera_folder_conflict)
    # The live view does not report reviewed folders as folders without a camera.
    register_used_folders(lambda: [review_path.path for review_path in all_review_paths()])
    navigation.add(navigation.Entry("Review", "review", "review", order=30, allowed=may_review))


def may_empty_trash(user: User) -> bool:
    return user.has_perm("reviewer.review")


def may_review(request: HttpRequest) -> bool:
    return request.user.has_perm("reviewer.review")


def visible_review_path_entries(user: User) -> Q:
    """Entries of the paths that the user may review; for users who manage paths, also those of removed paths."""
    if user.is_superuser:
        return Q()
    known = [review_path.pk for review_path in known_paths(user)]
    if not sees_all(user):
        return Q(target_pk__in=known)
    return ~Q(target_pk__in=ReviewPath.objects.exclude(pk__in=known).values("pk"))


def visible_trash_run_entries(user: User) -> Q:
    if user.is_superuser:
        return Q()
    return Q(target_pk__in=TrashRun.objects.visible_to(user).values("pk"))
