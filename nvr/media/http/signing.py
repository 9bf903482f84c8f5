"""Expiring addresses: who holds one may do one thing with one path until a moment, as the user it was made for."""

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
    title = "The signature of this address is not valid"


class SignatureExpired(Forbidden):
    title = "This address has expired; ask for a new one"


@dataclass(frozen=True)
class SignedUrl:
    """What a valid signature says. `subject` is a user's id: look again at what they may see now."""

    subject: str
    expires_at: datetime
    nonce: str
    size_limit: int | None


def sign(
    purpose: str, *, method: str, path: str, expires_at: datetime, subject: str, size_limit: int | None = None
) -> str:
    """The query string for `path` (as `request.path` gives it, decoded); `size_limit` in bytes.

    A `purpose` ("download", "upload") has keys of its own: an address of one is worth nothing for another.
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
    """Raises `SignatureInvalid`, or `SignatureExpired` for one that was valid. One for GET is good for HEAD."""
    fields = {name: query.get(name) or "" for name in ("expires", "nonce", "user", "limit")}
    given = query.get(SIGNATURE) or ""
    if not re.fullmatch(r"[0-9a-f]{64}", given):
        raise SignatureInvalid
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
    """Whether an address claims to be signed; `verify` tells whether it is."""
    return SIGNATURE in query


def compute_signature(purpose: str, method: str, path: str, fields: Mapping[str, str], key: str) -> str:
    # JSON, not a joined text: no field can pass for the end of another.
    message = json.dumps(["GET" if method == "HEAD" else method, path, sorted(fields.items())])
    return salted_hmac(f"nvr.media.signing:{purpose}", message, secret=key, algorithm="sha256").hexdigest()
