"""`POST /api/token` and `/api/token/refresh`: JWT for a name and password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer
from rest_framework_simplejwt.settings import api_settings as jwt
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from nvr.api import ratelimits
from nvr.api.authentication import CHALLENGE
from nvr.api.fields import Text
from nvr.api.views import ApiView
from nvr.errors import Unauthorized

PAIR = inline_serializer("TokenPair", {"access": serializers.CharField(), "refresh": serializers.CharField()})
ACCESS = inline_serializer("AccessToken", {"access": serializers.CharField()})


class Credentials(TokenObtainPairSerializer):
    username_field = "username"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"] = Text(max_length=150)
        self.fields["password"] = Text(max_length=1000, trim_whitespace=False)


class Refresh(serializers.Serializer[Any]):
    refresh = Text(max_length=4000)


class WrongCredentials(Unauthorized):
    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": CHALLENGE})


class TokenView(ApiView):
    """Return a pair of tokens for a name and a password; rate-limited per name and address."""

    permission_classes = (AllowAny,)
    authentication_classes = ()
    body_keys = {"post": Credentials}

    @extend_schema(operation_id="token", request=Credentials, responses=PAIR, tags=["access"], auth=[])
    def post(self, request: Request) -> Response:
        name = request.data.get("username") if isinstance(request.data, dict) else None
        self.usage = ratelimits.count_login(request._request, str(name))
        credentials = Credentials(data=request.data)
        credentials.is_valid(raise_exception=True)
        return Response(credentials.validated_data)


class TokenRefreshView(ApiView):
    """Return a new access token, unless the password has changed or the user is inactive."""

    permission_classes = (AllowAny,)
    authentication_classes = ()
    body_keys = {"post": Refresh}

    @extend_schema(operation_id="token_refresh", request=Refresh, responses=ACCESS, tags=["access"], auth=[])
    def post(self, request: Request) -> Response:
        body = Refresh(data=request.data)
        body.is_valid(raise_exception=True)
        return Response({"access": access_for(body.validated_data["refresh"])})


def access_for(text: str) -> str:
    """Return a new access token for the refresh token `text`. Raises `WrongCredentials`."""
    try:
        token = RefreshToken(text)  # type: ignore[arg-type]  # simplejwt takes text
        # Looked up for each refresh: a deactivated user's tokens end at once.
        user = User.objects.filter(pk=token[jwt.USER_ID_CLAIM], is_active=True).first()
        fingerprint = token[jwt.REVOKE_TOKEN_CLAIM]
    except (TokenError, KeyError, ValueError, OverflowError) as error:
        raise WrongCredentials("The token is invalid or expired.") from error
    if user is None or fingerprint != get_md5_hash_password(user.password):
        raise WrongCredentials("The token is no longer valid: sign in again.")
    return str(token.access_token)
