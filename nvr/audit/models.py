"""Audit entries: written once, never changed; they outlive both actor and target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from nvr.audit.actor import Actor

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Visibility = Callable[["User"], models.Q]
_visibility: dict[str, Visibility] = {}
_actions: dict[str, tuple[str, ...]] = {}


def register_target(target_type: str, visibility: Visibility) -> None:
    """Register which entries about `target_type` a user can see; without it only superusers see them."""
    _visibility[target_type] = visibility


def register_actions(target_type: str, *actions: str) -> None:
    """Register the actions for `target_type`, so that filters can list them without scanning the table."""
    _actions[target_type] = actions


def known_actions() -> list[str]:
    return sorted({action for actions in _actions.values() for action in actions})


def known_targets() -> list[str]:
    return sorted(_actions)


class AppendOnly(TypeError):
    """Raised on an attempt to change or delete audit entries."""


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def visible_to(self, user: Actor) -> Self:
        """Return entries about objects that `user` can see: all for superusers, none for users who are not staff."""
        if not (user.is_active and user.is_staff):
            return self.none()
        if user.is_superuser:
            return self
        # Matches nothing; each registered type adds its visible entries.
        mine = models.Q(pk__in=[])
        for target_type, visibility in _visibility.items():
            mine |= models.Q(target_type=target_type) & visibility(user)
        return self.filter(mine)

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit entries are never changed")

    def delete(self) -> NoReturn:
        raise AppendOnly("audit entries are never deleted")


class AuditEntry(models.Model):
    """One action. `changes` maps a field to its old and new value, secrets masked."""

    at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Stored as text: the entry outlives the user.
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    target_type = models.CharField(max_length=32)
    # No foreign key: the entry outlives its target.
    target_pk = models.BigIntegerField(null=True)
    target_name = models.CharField(max_length=500)
    changes = models.JSONField(default=dict, blank=True)
    address = models.CharField(max_length=64, blank=True)
    client = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-pk")
        indexes = (
            models.Index(fields=("-at", "-id"), name="audit_newest"),
            models.Index(fields=("target_type", "target_pk", "-at"), name="audit_of_target"),
        )
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.target_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnly("audit entries are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit entries are never deleted")
