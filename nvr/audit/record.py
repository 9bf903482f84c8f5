"""Writing audit entries."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import models

from nvr.audit.actor import Actor, RecordedActor, recorded_actor
from nvr.audit.models import AuditEntry

SECRET_WORDS = ("password", "secret", "token", "key")
MASK = "***"


def record(
    actor: Actor | RecordedActor | None,
    action: str,
    target: models.Model,
    changes: dict[str, tuple[Any, Any]] | None = None,
) -> AuditEntry:
    """Append an audit entry about `target`; call it in the transaction of the change.

    `changes` maps a field to (old, new). Without an actor the entry names the system. Secrets are masked by field name.
    """
    recorded = actor if isinstance(actor, RecordedActor) else recorded_actor(actor)
    return AuditEntry.objects.create(
        **asdict(recorded),
        action=action,
        # A trashed camera is a proxy model; its entries belong to the camera.
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
