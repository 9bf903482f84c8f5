"""The permissions that the review API requires."""

from __future__ import annotations

from nvr.api.permissions import HasPermission

REVIEW = HasPermission("reviewer.review")
MANAGE = HasPermission("reviewer.change_reviewpath")
