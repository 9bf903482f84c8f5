"""Signed URLs: allow one action on one path until they expire, with the permissions of the user who created them."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from nvr.errors import Forbidden

SIGNATURE = "signature"


class SignatureInvalid(Forbidden):
    title = "The signature of this URL is invalid"


class SignatureExpired(Forbidden):
    title = "This URL has expired: request a new one"


@dataclass(frozen=True)
class SignedUrl:
    """The contents of a valid signature. `subject` is a user's id: check their current permissions again."""

    subject: str
    expires_at: datetime
    nonce: str
    size_limit: int | None


def sign(
    purpose: str, *, method: str, path: str, expires_at: datetime, subject: str, size_limit: int | None = None
) -> str:
    """Return the query string for `path` (decoded, as in `request.path`); `size_limit` in bytes.

    Each `purpose` ("download", "upload") has its own key: a URL for one is invalid for another.
    """
    fields = {
        "expires": str(int(expires_at.timestamp())),
        "nonce": secrets.token_urlsafe(12),
        "user": subject,
        "limit": "" if size_limit is None else str(size_limit),
    }
    signature = compute_signature(purpose, method, path, fields, settings.SECRET_KEY)
    return urlencode({**{name: value for name, value in fields.items() if value}, SIGNATURE: signature})


def verify(purpose: str, *, method: str, path: str, query: Mapping[str, str]) -> SignedUrl:
    """Verify a signed URL; one for GET is valid for HEAD, too. Raises `SignatureInvalid` and `SignatureExpired`."""
    fields = {name: query.get(name) or "" for name in ("expires", "nonce", "user", "limit")}
    given = query.get(SIGNATURE) or ""
    if not re.fullmatch(r"[0-9a-f]{64}", given):
        raise SignatureInvalid
    # URLs signed before a key was rotated stay valid until they expire.
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    matches = [constant_time_compare(given, compute_signature(purpose, method, path, fields, key)) for key in keys]
    if not any(matches) or not re.fullmatch(r"[0-9]{1,11}", fields["expires"]):
        raise SignatureInvalid
    if int(fields["expires"]) <= time.time():
        raise SignatureExpired
    return SignedUrl(
        subject=fields["user"],
        expires_at=datetime.fromtimestamp(int(fields["expires"]), UTC),
        nonce=fields["nonce"],
        size_limit=int(fields["limit"]) if fields["limit"] else None,
    )


def is_signed(query: Mapping[str, str]) -> bool:
    """Whether the URL has a signature, which `verify` checks."""
    return SIGNATURE in query


def compute_signature(purpose: str, method: str, path: str, fields: Mapping[str, str], key: str) -> str:
    # JSON instead of concatenation, so that the boundaries between fields are unambiguous.
    message = json.dumps(["GET" if method == "HEAD" else method, path, sorted(fields.items())])
    return salted_hmac(f"nvr.media.signing:{purpose}", message, secret=key, algorithm="sha256").hexdigest()
