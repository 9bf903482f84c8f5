"""The first administrator: made once, when nobody could sign in to make one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from nvr.accounts.models import ApiKey
from nvr.accounts.rights import difference, facts_of_user
from nvr.audit.record import record
from nvr.errors import Invalid
from nvr.sqlite3.files import file_of


@dataclass(frozen=True)
class FirstAdministrator:
    """`password` is None if the operator chose it: then nobody needs to be told."""

    username: str
    password: str | None
    api_key: str


def is_needed() -> bool:
    """Whether there is no superuser, or not even a database yet."""
    file = file_of(connection)
    if file is not None and not file.exists():
        return True
    if User._meta.db_table not in connection.introspection.table_names():
        return True
    return not User.objects.filter(is_superuser=True).exists()


def check_chosen_password() -> None:
    """Raises `Invalid` if NVR_ADMIN_PASSWORD is one that people guess."""
    if not settings.NVR_ADMIN_PASSWORD:
        return
    try:
        validate_password(settings.NVR_ADMIN_PASSWORD, User(username=settings.NVR_ADMIN_USERNAME))
    except ValidationError as error:
        reasons = " ".join(error.messages)
        raise Invalid(f"NVR_ADMIN_PASSWORD is not good enough: {reasons} Choose a longer one.") from error


def create_first_administrator() -> FirstAdministrator | None:
    """None if there is one. The password and the key are returned this once, and stored as hashes.

    Raises `Invalid` for a password that is chosen badly.
    """
    if not is_needed():
        return None
    check_chosen_password()
    chosen = settings.NVR_ADMIN_PASSWORD
    password = chosen or secrets.token_urlsafe(12)
    with transaction.atomic():
        user = User.objects.create_superuser(settings.NVR_ADMIN_USERNAME, password=password)
        record(None, "user_created", user, difference({}, facts_of_user(user)))
        _, key = ApiKey.objects.issue(user=user, name="first key")
    return FirstAdministrator(user.get_username(), None if chosen else password, key)
