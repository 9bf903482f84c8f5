"""Stores messages for the next page in a signed cookie, and in the session only if they are too long.

A new API key is shown in such a message, and must not remain in the database until it is read.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class OwnCookieStorage(CookieStorage):
    """Other applications on the same host have a cookie named `messages` as well."""

    cookie_name = f"{settings.NVR_COOKIE_PREFIX}_messages"


class MessageStorage(FallbackStorage):
    storage_classes = (OwnCookieStorage, SessionStorage)
