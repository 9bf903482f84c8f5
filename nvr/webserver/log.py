"""gunicorn's log without a line per request: Django writes that."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger


class ServerLogger(Logger):
    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing: as it comes, gunicorn gathers all that a line could want before it asks who wants it."""
