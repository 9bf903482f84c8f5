"""A text that is encrypted at rest with the installation's key."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from encrypted_fields.fields import EncryptedCharField

# How every Fernet token begins (version byte and the timestamp's leading zeros).
TOKEN_START = "gAAAAA"  # noqa: S105  # a mark, no secret


class SecretField(EncryptedCharField):
    """A secret under a key that is gone is handed out, and kept, as the token it is: nothing is lost by looking at it.

    `is_unreadable` tells. Should the key come back, so does the secret.
    """

    def get_prep_value(self, value: Any) -> Any:
        return value if is_unreadable(value) else super().get_prep_value(value)

    def value_to_string(self, obj: Model) -> Any:
        """For `dumpdata`, as it is stored; `loaddata` reads it with the same key."""
        return self.get_prep_value(self.value_from_object(obj))


def is_unreadable(value: str | None) -> bool:
    """Whether `value` is still encrypted, because no key of ours opens it."""
    return value is not None and value.startswith(TOKEN_START) and len(value) >= 100
