"""What `/api/health` also tells those who may know it; an app above fills the slot when it is ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

Details = Callable[[], dict[str, Any]]
_details: dict[str, Details] = {}


def tell(permission: str, details: Details) -> None:
    """Add `details()` to the answer for whoever has `permission`."""
    _details[permission] = details


def details_for(user: User | AnonymousUser) -> dict[str, Any]:
    """Nothing while the database is away: health answers all the same."""
    found: dict[str, Any] = {}
    try:
        for permission, details in _details.items():
            if user.is_active and user.has_perm(permission):
                found |= details()
    except (OperationalError, InterfaceError):
        return {}
    return found
