"""The base of every API view: authentication, rate limits, permissions, and common response headers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from django.utils.cache import patch_vary_headers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from nvr.accounts.models import ApiKey
from nvr.api import known_input, ratelimits
from nvr.api.authentication import CHALLENGE
from nvr.api.versioning import AnyAccept
from nvr.errors import Forbidden

VARY = ("Accept", "Authorization", "Cookie", "X-API-Key")


class ApiMixin:
    """Mixin for DRF views, listed before the view class. `tier` is the rate limit for its requests.

    `query_parameters` and `body_keys` list what unsafe requests accept, by method (in a viewset: by action).
    Everything else is rejected, so a view that lists nothing accepts nothing.
    """

    tier = "default"
    query_parameters: ClassVar[Mapping[str, Collection[str]]] = {}
    body_keys: ClassVar[Mapping[str, known_input.Keys]] = {}
    usage: ratelimits.Usage | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # DRF's view is next
        method = str(request.method).lower()
        if request.method not in SAFE_METHODS and hasattr(self, method):
            name = getattr(self, "action", None) or method
            known_input.check_query(request, self.query_parameters.get(name, ()))
            known_input.check_body(request, self.body_keys.get(name, ()))

    def perform_authentication(self, request: Request) -> None:
        """Authenticate and count the request; wrong credentials count for the address, to limit guessing."""
        try:
            user = request.user
        except AuthenticationFailed:
            self._count(request, user_id=None)
            raise
        self._count(request, user_id=user.pk)
        key = request.auth
        # Here and not in a permission class, which a view could forget.
        if isinstance(key, ApiKey) and key.read_only and request.method not in SAFE_METHODS:
            raise Forbidden("This API key may only read.")

    def get_authenticate_header(self, request: Request) -> str:
        return CHALLENGE

    def _count(self, request: Request, *, user_id: int | None) -> None:
        self.usage = ratelimits.count(request._request, self.tier, user_id=user_id)
        ratelimits.enforce(self.usage)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]  # DRF's view is next
        if self.usage is not None:
            for name, value in self.usage.headers.items():
                final.setdefault(name, value)
        # Shared caches must not give one user's response to another.
        patch_vary_headers(final, VARY)
        final.setdefault("Cache-Control", "private, no-store")
        return final


class ApiView(ApiMixin, APIView):
    """A JSON endpoint."""


class BytesView(ApiMixin, APIView):
    """An endpoint that returns a file or a stream, whatever `Accept` is."""

    tier = "media"
    content_negotiation_class = AnyAccept
