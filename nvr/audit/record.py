"""Writing the record."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models

from nvr.audit.models import AuditEntry
from nvr.origin import current_origin

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

SECRET_WORDS = ("password", "secret", "token", "key")
MASK = "***"
Actor = "AbstractBaseUser | AnonymousUser | None"


def record(
    actor: AbstractBaseUser | AnonymousUser | None,
    action: str,
    target: models.Model,
    changes: dict[str, tuple[Any, Any]] | None = None,
) -> AuditEntry:
    """Append who did what to `target`; call it inside the transaction of the change itself.

    `changes` maps a field to (old, new). Without an actor the system itself acted. Secrets are masked by their name.
    """
    origin = current_origin.get()
    return AuditEntry.objects.create(
        actor=actor if actor is not None and actor.pk else None,  # type: ignore[misc]  # a user with a key is a User
        actor_name=actor.get_username() if actor is not None and actor.pk else "system",
        action=action,
        target_type=str((target._meta.concrete_model or type(target))._meta.model_name),
        target_pk=target.pk,
        target_name=str(target)[:500],
        changes={field: [_plain(field, old), _plain(field, new)] for field, (old, new) in (changes or {}).items()},
        address=origin.address,
        client=origin.client,
        request_id=origin.request_id,
    )


def _plain(field: str, value: Any) -> Any:
    """`value` as JSON can hold it; a secret only says whether there is one."""
    if any(word in field for word in SECRET_WORDS):
        return MASK if value else None
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(field, item) for item in value]
    return str(value)
