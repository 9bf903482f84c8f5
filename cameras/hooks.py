"""Registers the app's signal handlers, audit targets and actions, and its navigation entry."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Q
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete

from cameras.models import Camera, ListVersion, Purge, TrashedCamera, sees_all
from cameras.registry import purge_camera, update_camera
from nvr.audit.models import register_actions, register_target
from nvr.jobs import failed
from nvr.jobs.failed import FailedJobs
from nvr.jobs.models import JobState
from nvr.pages import navigation

ACTIONS = (
    "camera_created",
    "camera_updated",
    "camera_deleted",
    "camera_restored",
    "camera_purged",
    "camera_status_changed",
)


def connect() -> None:
    for model in (Camera, TrashedCamera):
        post_save.connect(bump, sender=model)
        post_delete.connect(bump, sender=model)
    m2m_changed.connect(bump, sender=Camera.groups.through)
    # Before the deletion: afterwards the cameras of the group are no longer known.
    pre_delete.connect(make_cameras_private, sender=Group)
    # The list shows the names of groups.
    post_save.connect(bump, sender=Group)
    register_target("camera", visible_entries)
    register_target("trashedcamera", visible_entries)
    register_actions("camera", *ACTIONS)
    failed.register(
        FailedJobs(
            model=Purge,
            failed_for=lambda user: (
                Purge.objects.visible_to(user).filter(state=JobState.FAILED).select_related("camera")
            ),
            retry=lambda user, purge: purge_camera(user, purge.camera),
            may_retry=lambda user: user.has_perm("cameras.delete_camera"),
            describe=lambda purge: f"purge of {purge.camera}",
            view_permission="cameras.delete_camera",
        )
    )
    navigation.add(navigation.Entry("Live", "live", "live", order=10, below="/cameras/"))


def bump(sender: Any, **kwargs: Any) -> None:
    ListVersion.bump()


def make_cameras_private(sender: Any, instance: Group, **kwargs: Any) -> None:
    """When a group is deleted, its cameras become private instead of public, with an audit entry for each."""
    for camera in Camera.everything.filter(groups=instance):
        update_camera(None, camera, {"public": False}, groups=camera.groups.exclude(pk=instance.pk))
    ListVersion.bump()


def visible_entries(user: User) -> Q:
    if sees_all(user):
        return Q()
    return Q(target_pk__in=Camera.everything.visible_to(user).values("pk"))
