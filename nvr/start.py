"""Reading the settings at the start of every program; an invalid setting ends it with one sentence."""

from __future__ import annotations

import json
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def require_settings(*, status: int = 1) -> None:
    """Read the settings; on an invalid one, print one sentence without a traceback and exit with `status`."""
    try:
        _ = settings.DATABASES
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(status)


def end_unconfigured(error: ImproperlyConfigured, arguments: list[str]) -> None:
    """End the command that was run with `arguments`; `doctor` prints the error as one of its findings."""
    if "--traceback" in arguments:
        raise error
    if arguments[1:2] != ["doctor"]:
        sys.exit(str(error))
    finding = {"level": "fail", "name": "settings", "what": str(error), "fix": ""}
    text = json.dumps([finding], indent=2) if "--json" in arguments else f"fail  settings: {error}"
    sys.stdout.write(f"{text}\n")
    sys.exit(1)
