"""The base of every API view: authenticate, count, authorise; and the headers that all answers carry."""

from __future__ import annotations

from typing import Any

from django.utils.cache import patch_vary_headers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from nvr.accounts.models import ApiKey
from nvr.api import ratelimits
from nvr.api.authentication import CHALLENGE
from nvr.api.versioning import AnyAccept
from nvr.errors import Forbidden

VARY = ("Accept", "Authorization", "Cookie", "X-API-Key")


class ApiMixin:
    """Put before DRF's view. `tier` names the rate limit that a request counts for."""

    tier = "default"
    usage: ratelimits.Usage | None = None

    def perform_authentication(self, request: Request) -> None:
        """Wrong credentials count for their address, so that nobody tries them by the thousand."""
        try:
            user = request.user
        except AuthenticationFailed:
            self._count(request, user_id=None)
            raise
        self._count(request, user_id=user.pk)
        key = request.auth
        if isinstance(key, ApiKey) and key.read_only and request.method not in SAFE_METHODS:
            raise Forbidden("This API key may only read.")

    def get_authenticate_header(self, request: Request) -> str:
        return CHALLENGE

    def _count(self, request: Request, *, user_id: int | None) -> None:
        self.usage = ratelimits.count(request._request, self.tier, user_id=user_id)
        ratelimits.enforce(self.usage)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]  # DRF's view is next
        if self.usage is not None:
            for name, value in self.usage.headers.items():
                answer.setdefault(name, value)
        patch_vary_headers(answer, VARY)
        answer.setdefault("Cache-Control", "private, no-store")
        return answer


class ApiView(ApiMixin, APIView):
    """A JSON endpoint."""


class BytesView(ApiMixin, APIView):
    """An endpoint that answers with a file or a stream: any `Accept` will do."""

    tier = "media"
    content_negotiation_class = AnyAccept
