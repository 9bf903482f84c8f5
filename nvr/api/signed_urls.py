"""Addresses that carry their own credentials: good for GET and HEAD of one thing, as the user who asked for them.

The whole address is signed, its query included: nothing can be added to it. What the user may see is looked up
when it is used, not when it was made.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from django.contrib.auth.models import User
from django.http import QueryDict
from django.http.response import HttpResponseBase
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from nvr.api.authentication import CHALLENGE
from nvr.audit.actor import Actor
from nvr.media.http import signing

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema

PURPOSE = "download"
FIELDS = {"expires", "nonce", "user", "limit", signing.SIGNATURE}
METHODS = {"GET", "HEAD"}


def signed_url(user: Actor, path: str, query: QueryDict, expires_at: datetime) -> str:
    """The address on this site (no host) of `path` (decoded) and `query`, good as `user` until `expires_at`."""
    signature = signing.sign(
        PURPOSE, method="GET", path=what_is_signed(path, query), expires_at=expires_at, subject=str(user.pk)
    )
    return f"{quote(path)}?{urlencode([*other_fields(query), *QueryDict(signature).items()])}"


def what_is_signed(path: str, query: QueryDict) -> str:
    others = other_fields(query)
    return f"{quote(path)}?{urlencode(others)}"


def other_fields(query: QueryDict) -> list[tuple[str, str]]:
    """The query without the signature's own fields, in an order of its own."""
    return sorted((name, str(value)) for name, values in query.lists() if name not in FIELDS for value in values)


def is_signed_for(request: Request) -> bool:
    """Whether the address itself is what gives access."""
    return isinstance(request.auth, signing.SignedUrl)


def embeddable(response: HttpResponseBase) -> HttpResponseBase:
    """Let other sites' pages show it: what needs no session of the reader's is made for dashboards and messages."""
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


class SignedUrlAuthentication(BaseAuthentication):
    """For views that answer with bytes; put before the other ways in. A signature that is not valid is 401."""

    def authenticate(self, request: Request) -> tuple[User, signing.SignedUrl] | None:
        if not request.META.get("QUERY_STRING"):  # most requests: spared the parsing
            return None
        query = request.query_params
        if not signing.is_signed(query):
            return None
        if request.method not in METHODS:
            raise AuthenticationFailed("A signed address is for GET and HEAD.")
        try:
            path = what_is_signed(request.path_info, query)
            signed = signing.verify(PURPOSE, method=request.method, path=path, query=query)
        except (signing.SignatureInvalid, signing.SignatureExpired) as error:
            raise AuthenticationFailed(error.detail) from error
        user = User.objects.filter(pk=signed.subject, is_active=True).first()
        if user is None:
            raise AuthenticationFailed("The user of this signed URL is no longer active.")
        return user, signed

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class SignedUrlScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "nvr.api.signed_urls.SignedUrlAuthentication"
    name = "signedUrl"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        description = "From POST /api/signed-urls, with the fields beside it: expires, nonce and user."
        return {"type": "apiKey", "in": "query", "name": signing.SIGNATURE, "description": description}
