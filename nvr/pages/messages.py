"""Messages from one page to the next."""

from __future__ import annotations

from django.contrib.messages.middleware import MessageMiddleware
from django.http import HttpRequest


class PageMessageMiddleware(MessageMiddleware):
    """Skips Django's message storage for the API, which has no messages."""

    def process_request(self, request: HttpRequest) -> None:
        if not request.path.startswith("/api/"):
            super().process_request(request)
