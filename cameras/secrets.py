"""A text field that is encrypted at rest with the installation's key."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from encrypted_fields.fields import EncryptedCharField

# The prefix of every Fernet token (version byte and the timestamp's leading zeros).
TOKEN_START = "gAAAAA"  # noqa: S105  # a prefix, not a secret


class SecretField(EncryptedCharField):
    """A secret that cannot be decrypted is read and saved as its encrypted token, so that saving the row keeps it.

    `is_unreadable` detects such a value. If the key is restored, the secret can be read again.
    """

    def get_prep_value(self, value: Any) -> Any:
        return value if is_unreadable(value) else super().get_prep_value(value)

    def value_to_string(self, obj: Model) -> Any:
        """The encrypted value, for `dumpdata`; `loaddata` needs the same key to read it."""
        return self.get_prep_value(self.value_from_object(obj))


def is_unreadable(value: str | None) -> bool:
    """Whether `value` is still encrypted because none of the configured keys decrypts it."""
    return value is not None and value.startswith(TOKEN_START) and len(value) >= 100
