"""Re-encrypting the encrypted fields of all models with the current key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.apps import apps
from django.db import models, transaction
from encrypted_fields.fields import EncryptedFieldMixin

from cameras.secrets import is_unreadable


@dataclass
class Rotation:
    """`unreadable` lists the objects whose secret no key decrypts."""

    rotated: int = 0
    unreadable: list[str] = field(default_factory=list)


def secret_fields() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_models():
        if not model._meta.proxy:
            for each in model._meta.local_concrete_fields:
                if isinstance(each, EncryptedFieldMixin):
                    yield model, each.name


def rotate(*, dry_run: bool = False) -> Rotation:
    """Encrypt each secret with the current key, row by row; a second run is harmless."""
    result = Rotation()
    for model, name in secret_fields():
        # `_base_manager` includes trashed cameras.
        keys = model._base_manager.exclude(**{name: None}).values_list("pk", flat=True).order_by("pk")
        for key in list(keys):
            _rotate_one(model, name, key, result, dry_run=dry_run)
    return result


def _rotate_one(model: type[models.Model], name: str, key: object, result: Rotation, *, dry_run: bool) -> None:
    """Lock the row, so that a concurrent change of the secret is not overwritten."""
    with transaction.atomic():
        row = model._base_manager.select_for_update().filter(pk=key).first()
        value = getattr(row, name) if row else None
        if row is None or not value:
            return
        if is_unreadable(value):
            result.unreadable.append(f"{model._meta.verbose_name} {row}")
            return
        if not dry_run:
            model._base_manager.filter(pk=key).update(**{name: value})
        result.rotated += 1
