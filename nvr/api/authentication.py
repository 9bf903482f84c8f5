"""Authentication by API key, token or browser session.

Wrong credentials always return 401, never an anonymous response: a typo must not silently change the result.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.tokens import Token

from nvr.accounts.models import ApiKey

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CHALLENGE = 'Bearer realm="nvr"'
BEARER = re.compile(r"\s*bearer(?![a-z])(?P<token>.*)", re.IGNORECASE | re.DOTALL)


class ApiKeyAuthentication(BaseAuthentication):
    """`X-API-Key: nvr_…`."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        text = request.META.get("HTTP_X_API_KEY")
        if text is None:
            return None
        key = ApiKey.objects.find(text)
        if key is None:
            raise AuthenticationFailed("The API key is unknown or expired, or its user is inactive.")
        key.touch()
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class TokenAuthentication(JWTAuthentication):
    """`Authorization: Bearer <JWT>`. Other schemes are ignored: browsers resend a proxy's Basic password."""

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        match = BEARER.match(request.META.get("HTTP_AUTHORIZATION", ""))
        if match is None:
            return None
        text = match["token"]
        # `Bearer` alone or `Bearer:x` is a mistake of the client: anonymous access would hide it.
        if not text.strip() or not text[0].isspace():
            raise AuthenticationFailed("Authorization needs Bearer and a token from POST /api/token.")
        try:
            token = self.get_validated_token(text.strip().encode())
            return self.get_user(token), token
        except (InvalidToken, TokenError, ValueError, OverflowError) as error:
            raise AuthenticationFailed("The token is invalid or expired.") from error

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class BrowserSession(SessionAuthentication):
    """The session of the pages; unsafe requests need the CSRF token."""

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE
