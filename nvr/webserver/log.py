"""gunicorn's logger without access lines: Django logs the requests."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger


class ServerLogger(Logger):
    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Do nothing: gunicorn would collect all values of an access line even if nothing is logged."""
