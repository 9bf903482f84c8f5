"""Review paths and trash runs."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, Final, Self

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models, transaction
from django.utils import timezone

from cameras.folders.ownership import current_folders
from nvr.audit.actor import Actor, RecordedActor
from nvr.audit.record import record
from nvr.jobs.models import MAX_REASON_LENGTH, LeasedJob, LeasedJobQuerySet, leased_job_constraints
from nvr.media.files.mounts import Mount
from reviewer.policy import cameras_at, invisible_cameras

logger = logging.getLogger(__name__)


def sees_all(user: Actor) -> bool:
    """Return whether the user sees all review paths: users who manage the paths do."""
    return user.is_superuser or user.has_perm("reviewer.change_reviewpath")


class ReviewPathQuerySet(models.QuerySet["ReviewPath"]):
    def visible_to(self, user: Actor) -> Self:
        """All for superusers and users who manage the paths; for others those that list one of their groups."""
        if not user.is_active:
            return self.none()
        if sees_all(user):
            return self
        listed = ReviewPath.groups.through.objects.filter(group__user=user.pk)
        return self.filter(pk__in=listed.values("reviewpath_id"))

    def listed_for(self, user: Actor) -> list[ReviewPath]:
        """Return the rows of `visible_to` by path."""
        if user.is_active and sees_all(user):
            return all_review_paths()
        return list(self.visible_to(user).order_by("path"))


class ReviewPath(models.Model):
    """A folder whose pictures and videos, including those in subfolders, are reviewed."""

    path = models.CharField(max_length=4096, unique=True, help_text="Absolute, without links.")
    groups = models.ManyToManyField(Group, blank=True, related_name="+", help_text="Whose members may review it.")
    mount = models.JSONField(default=dict, editable=False, help_text="The volume that it was added on.")
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ReviewPathQuerySet.as_manager()

    class Meta:
        ordering = ("path",)
        permissions = (("review", "Can review media: look, lock, trash, mark as seen, empty the trash"),)

    def __str__(self) -> str:
        return self.path

    @property
    def remembered_mount(self) -> Mount | None:
        return Mount.from_dict(self.mount) if self.mount else None


def all_review_paths() -> list[ReviewPath]:
    # Plain SQL, since it runs for every picture: compiling the queryset takes several times as long as executing it.
    return list(ReviewPath.objects.raw("SELECT * FROM reviewer_reviewpath ORDER BY path"))


class RunState(models.TextChoices):
    """The labels are the same as on the review page."""

    WAITING = "waiting", "Waiting"
    WORKING = "working", "Running"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Stopped"
    FAILED = "failed", "Failed"


OPEN_STATES = (RunState.WAITING, RunState.WORKING)
AUDIT_ACTIONS: Final = {
    RunState.DONE: "trash_emptied",
    RunState.CANCELLED: "trash_emptying_cancelled",
    RunState.FAILED: "trash_emptying_failed",
}


class TrashRunQuerySet(LeasedJobQuerySet["TrashRun"]):
    def visible_to(self, user: Actor) -> Self:
        """The user's own runs, or all if they see all paths; never those of folders of invisible cameras."""
        if not user.is_active:
            return self.none()
        runs = self if sees_all(user) else self.filter(started_by=user.pk)
        return runs if user.is_superuser else runs.without_invisible_cameras(user)

    def without_invisible_cameras(self, user: Actor) -> Self:
        """Exclude runs of paths that overlap such a camera. Checks distinct paths, which are few, not each run."""
        folders = current_folders()
        cameras = {
            (path, tuple(roots)): frozenset[int]().union(
                *(cameras_at(place, folders) for place in (path, *roots) if place)
            )
            for path, roots in self.order_by().values_list("path", "roots").distinct()
        }
        invisible = invisible_cameras(user, frozenset().union(*cameras.values()))
        hidden = [models.Q(path=path, roots=list(roots)) for (path, roots), at in cameras.items() if at & invisible]
        return self.exclude(reduce(or_, hidden)) if hidden else self

    def open(self) -> Self:
        return self.filter(state__in=OPEN_STATES)

    def lapsed(self) -> Self:
        """Open runs whose worker has died, or that no worker has started in time."""
        now = timezone.now()
        unstarted = self.open().filter(state=RunState.WAITING)
        is_late = models.Q(sent_at__lt=now - TrashRun.LEASE) | models.Q(sent_at__gt=now + TrashRun.LEASE)
        return self.expired(now) | unstarted.filter(is_late)


class TrashRun(LeasedJob):
    """A trash run. A worker records its progress here, the request streams it, and the row stays as history."""

    TASK = "reviewer.empty_trash"
    QUEUE = "interactive"
    LEASE = timedelta(seconds=30)
    MAX_RESTARTS = LeasedJob.MAX_ATTEMPTS  # each attempt deletes files

    state = models.CharField(max_length=9, choices=RunState, default=RunState.WAITING)
    path = models.CharField(max_length=4096, blank=True, help_text="Empty: all paths that the user may see.")
    roots = models.JSONField(default=list, help_text="The review paths that are emptied.")
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    started_by_name = models.CharField(max_length=150, blank=True)
    asker = models.JSONField(default=dict, editable=False, help_text="The user who started it, for the audit.")
    deleted = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)
    bytes_freed = models.PositiveBigIntegerField(default=0)
    # [percent-encoded path, bytes] of files that may be deleted before their line is recorded.
    in_progress = models.JSONField(default=list, editable=False)
    is_cancelled = models.BooleanField("cancellation requested", default=False)

    objects = TrashRunQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        constraints = (
            *leased_job_constraints("trash_run", RunState),
            # NULL is never equal to NULL: only open runs stand in each other's way.
            models.UniqueConstraint(
                models.Case(
                    models.When(state__in=OPEN_STATES, then=models.Value(1)), output_field=models.IntegerField()
                ),
                name="trash_run_open_is_alone",
            ),
        )
        indexes = (models.Index(fields=("state",), name="trash_run_by_state"),)

    def __str__(self) -> str:
        return f"trash run {self.pk} ({RunState(self.state).label.lower()})"

    @property
    def is_over(self) -> bool:
        return self.state not in OPEN_STATES

    @transaction.atomic
    def finish(self, outcome: RunState, reason: str = "", **conditions: Any) -> bool:
        """Close the run with an audit entry if it is open and matches `conditions`. Return whether it did."""
        now, failed = timezone.now(), outcome == RunState.FAILED
        closed = TrashRun.objects.open().filter(pk=self.pk, **conditions)
        if not closed.update(
            state=outcome,
            reason=reason[:MAX_REASON_LENGTH],
            finished_at=now,
            failed_at=now if failed else None,
            leased_until=None,
            worker="",
            errors=models.F("errors") + int(failed),
        ):
            return False
        self.refresh_from_db()
        changes = {name: (None, getattr(self, name)) for name in ("deleted", "skipped", "errors", "bytes_freed")}
        if reason:
            changes["reason"] = (None, reason)
        record(RecordedActor(**self.asker) if self.asker else None, AUDIT_ACTIONS[outcome], self, changes)
        logger.info(
            "trash run ended run=%s state=%s deleted=%s bytes=%s", self.pk, outcome, self.deleted, self.bytes_freed
        )
        return True

    def abandon(self) -> None:
        self.finish(RunState.FAILED, f"Its worker ended {self.attempts} times.", worker=self.worker)


class TrashLines(models.Model):
    """A block of the run's lines, as the client gets them (NDJSON)."""

    run = models.ForeignKey(TrashRun, on_delete=models.CASCADE, related_name="lines")
    text = models.TextField()

    objects: models.Manager[TrashLines]

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.run_id}: {len(self.text)} characters"
