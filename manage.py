#!/usr/bin/env python
"""Runs management commands; `manage.py help` lists them."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError

from nvr.start import end_unconfigured
from nvr.supervision.environment import ensure_environment, host_in

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nvr.settings")
    if sys.argv[1:2] == ["up"]:
        ensure_environment(host_in(sys.argv[2:]))
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        end_unconfigured(error, sys.argv)
    except (OperationalError, InterfaceError) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"The database does not respond ({str(error).strip()}): check DATABASE_URL.")
