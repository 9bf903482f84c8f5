"""System checks of the operator's settings; they run before `manage.py up` and every other command."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError

from nvr.errors import Invalid
from nvr.installation.first_administrator import check_chosen_password, is_needed
from nvr.settings import env


def check_unknown_variables(**_: Any) -> list[CheckMessage]:
    """Warn about unknown variables, since a misspelt setting has no effect."""
    found: list[CheckMessage] = []
    for name, similar in env.unknown().items():
        fix = f"did you mean {similar}?" if similar else "remove it, or correct its name."
        found.append(Warning(f"{name} is not a setting: {fix}", id="nvr.W001"))
    return found


def check_first_password(**_: Any) -> list[CheckMessage]:
    """Check NVR_ADMIN_PASSWORD while there is no administrator; a database failure is reported elsewhere."""
    try:
        if settings.NVR_ADMIN_PASSWORD and is_needed():
            check_chosen_password()
    except Invalid as error:
        return [Error(error.detail, id="nvr.E001")]
    except DatabaseError:
        return []
    return []
