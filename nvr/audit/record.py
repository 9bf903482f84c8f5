"""Writing audit entries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models

from nvr.audit.models import AuditEntry
from nvr.request_context import current_origin

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

SECRET_WORDS = ("password", "secret", "token", "key")
MASK = "***"


@dataclass(frozen=True)
class Asker:
    """The actor and origin of a request, to be stored for work that a worker does later."""

    actor_id: int | None
    actor_name: str
    address: str
    client: str
    request_id: str


def asker_of(actor: AbstractBaseUser | AnonymousUser | None) -> Asker:
    """Return `actor`, or the system itself, with the origin of the current request."""
    known = actor is not None and actor.pk is not None
    return Asker(
        actor_id=actor.pk if known else None,  # type: ignore[union-attr]  # known is not None
        actor_name=actor.get_username() if known else "system",  # type: ignore[union-attr]
        **asdict(current_origin.get()),
    )


def record(
    actor: AbstractBaseUser | AnonymousUser | Asker | None,
    action: str,
    target: models.Model,
    changes: dict[str, tuple[Any, Any]] | None = None,
) -> AuditEntry:
    """Append an audit entry about `target`; call it in the transaction of the change.

    `changes` maps a field to (old, new). Without an actor the entry names the system. Secrets are masked by field name.
    """
    asker = actor if isinstance(actor, Asker) else asker_of(actor)
    return AuditEntry.objects.create(
        **asdict(asker),
        action=action,
        target_type=str((target._meta.concrete_model or type(target))._meta.model_name),
        target_pk=target.pk,
        target_name=str(target)[:500],
        changes={field: [_plain(field, old), _plain(field, new)] for field, (old, new) in (changes or {}).items()},
    )


def _plain(field: str, value: Any) -> Any:
    """Return `value` in a JSON type; a secret is masked, and None if empty."""
    if any(word in field for word in SECRET_WORDS):
        return MASK if value else None
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(field, item) for item in value]
    return str(value)
