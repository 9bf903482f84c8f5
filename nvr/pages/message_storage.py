"""Where a message waits for the next page: in a signed cookie of our own name, and in the session if it is long.

A new API key is shown in such a message once: it must not stay in the database until somebody reads it.
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
