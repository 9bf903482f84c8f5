"""Details in `/api/health` for users with a permission; apps register them in `ready()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError

from nvr.audit.actor import Actor

Details = Callable[[], dict[str, Any]]
_details: dict[str, Details] = {}


def register_details(permission: str, details: Details) -> None:
    """Add `details()` to the response for users with `permission`."""
    _details[permission] = details


def details_for(user: Actor) -> dict[str, Any]:
    """Return the details for `user`; empty while the database does not respond, so that the endpoint still works."""
    found: dict[str, Any] = {}
    try:
        for permission, details in _details.items():
            if user.is_active and user.has_perm(permission):
                found |= details()
    except (OperationalError, InterfaceError):
        return {}
    return found
