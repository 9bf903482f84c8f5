"""Signed URLs: valid for GET and HEAD of one path, with the permissions of the user who created them.

Path and query are signed, so that nothing can be added. Permissions are checked when the URL is used, not when it
is created.
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
    """Return the URL (without host) of `path` (decoded) and `query`, valid as `user` until `expires_at`."""
    signature = signing.sign(
        PURPOSE, method="GET", path=signed_path(path, query), expires_at=expires_at, subject=str(user.pk)
    )
    return f"{quote(path)}?{urlencode([*signed_parameters(query), *QueryDict(signature).items()])}"


def signed_path(path: str, query: QueryDict) -> str:
    return f"{quote(path)}?{urlencode(signed_parameters(query))}"


def signed_parameters(query: QueryDict) -> list[tuple[str, str]]:
    """Return the query without the signature's own fields; sorted, since clients and proxies may reorder parameters."""
    return sorted((name, str(value)) for name, values in query.lists() if name not in FIELDS for value in values)


def has_valid_signature(request: Request) -> bool:
    """Whether the request was authenticated by its URL."""
    return isinstance(request.auth, signing.SignedUrl)


def embeddable(response: HttpResponseBase) -> HttpResponseBase:
    """Allow pages of other sites to embed it, such as dashboards: it does not depend on the viewer's session."""
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


class SignedUrlAuthentication(BaseAuthentication):
    """For views that return files; listed before the other authentication classes. An invalid signature is 401."""

    def authenticate(self, request: Request) -> tuple[User, signing.SignedUrl] | None:
        if not request.META.get("QUERY_STRING"):  # most requests: saves parsing
            return None
        query = request.query_params
        if not signing.is_signed(query):
            return None
        if request.method not in METHODS:
            raise AuthenticationFailed("A signed URL is valid for GET and HEAD only.")
        try:
            path = signed_path(request.path_info, query)
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
        description = "From POST /api/signed-urls, together with the parameters expires, nonce and user."
        return {"type": "apiKey", "in": "query", "name": signing.SIGNATURE, "description": description}
