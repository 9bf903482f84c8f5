"""Messages from one page to the next."""

from __future__ import annotations

from django.contrib.messages.middleware import MessageMiddleware
from django.http import HttpRequest


class PageMessageMiddleware(MessageMiddleware):
    """Django's prepares a signed cookie for each request; the API has no messages, and pictures come from it."""

    def process_request(self, request: HttpRequest) -> None:
        if not request.path.startswith("/api/"):
            super().process_request(request)
