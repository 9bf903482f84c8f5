"""The first administrator: made once, when nobody could sign in to make one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from nvr.accounts.models import ApiKey


@dataclass(frozen=True)
class FirstAdministrator:
    """`password` is None if the operator chose it: then nobody needs to be told."""

    username: str
    password: str | None
    api_key: str


def create_first_administrator() -> FirstAdministrator | None:
    """None if there is one. The password and the key are returned this once, and stored as hashes."""
    if User.objects.filter(is_superuser=True).exists():
        return None
    chosen = settings.NVR_ADMIN_PASSWORD
    password = chosen or secrets.token_urlsafe(12)
    with transaction.atomic():
        user = User.objects.create_superuser(settings.NVR_ADMIN_USERNAME, password=password)
        _, key = ApiKey.objects.issue(user=user, name="first key")
    return FirstAdministrator(user.get_username(), None if chosen else password, key)
