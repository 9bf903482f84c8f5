"""The first administrator, created while there is no superuser."""

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
    """`password` is None if the operator chose it: then it is not shown."""

    username: str
    password: str | None
    api_key: str


def is_needed() -> bool:
    """Return whether there is no superuser, or no database yet."""
    file = file_of(connection)
    if file is not None and not file.exists():
        return True
    # Before the first migration, the check runs without tables.
    if User._meta.db_table not in connection.introspection.table_names():
        return True
    return not User.objects.filter(is_superuser=True).exists()


def check_chosen_password() -> None:
    """Raise `Invalid` if NVR_ADMIN_PASSWORD is too weak."""
    if not settings.NVR_ADMIN_PASSWORD:
        return
    try:
        validate_password(settings.NVR_ADMIN_PASSWORD, User(username=settings.NVR_ADMIN_USERNAME))
    except ValidationError as error:
        reasons = " ".join(error.messages)
        raise Invalid(f"NVR_ADMIN_PASSWORD is too weak: {reasons} Choose a longer one.") from error


def create_first_administrator() -> FirstAdministrator | None:
    """Create the first administrator; return None if there is a superuser.

    The password and the API key are returned only this once; they are stored as hashes.
    Raises `Invalid` if NVR_ADMIN_PASSWORD is too weak.
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
