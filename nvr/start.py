"""The first thing that every program of ours does: it reads the settings, or ends with a sentence."""

from __future__ import annotations

import json
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def require_settings(*, status: int = 1) -> None:
    """End the process with `status` and the sentence about a setting that cannot be used, without a traceback."""
    try:
        _ = settings.DATABASES
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(status)


def end_unconfigured(error: ImproperlyConfigured, arguments: list[str]) -> None:
    """The same for a command that was run with `arguments`; the doctor tells it as one of its findings."""
    if "--traceback" in arguments:
        raise error
    if arguments[1:2] != ["doctor"]:
        sys.exit(str(error))
    finding = {"level": "fail", "name": "settings", "what": str(error), "fix": ""}
    told = json.dumps([finding], indent=2) if "--json" in arguments else f"fail  settings: {error}"
    sys.stdout.write(f"{told}\n")
    sys.exit(1)
