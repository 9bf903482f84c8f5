"""Cache decoding failures by the identity of the image file, for all processes on this machine.

This avoids decoding a broken image again for each request. Each failure is a small file that is evicted like others.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nvr.errors import Invalid, NvrError
from nvr.media.files.atomic_write import write_to
from nvr.media.files.cached_files import cache_path
from nvr.media.images import errors
from nvr.media.images.errors import DecodingTimedOut

logger = logging.getLogger(__name__)

FOLDER = "refusals"
FAILURE_TTL_S = 24 * 3600
TIMEOUT_TTL_S = 60  # it may be faster when the machine is less busy


@contextmanager
def remember_failure(identity: str) -> Iterator[None]:
    """Store a decoding failure in the block, and raise it immediately for later calls with the same `identity`."""
    raise_known_failure(identity)
    try:
        yield
    except (Invalid, DecodingTimedOut) as error:
        store_failure(identity, error)
        raise


def raise_known_failure(identity: str) -> None:
    """Raise the stored failure of this image, if there is a recent one."""
    place = failure_path(identity)
    try:
        age_s = time.time() - place.stat().st_mtime
        known = json.loads(place.read_bytes())
        kind = getattr(errors, known["error"])
        ttl_s = TIMEOUT_TTL_S if issubclass(kind, DecodingTimedOut) else FAILURE_TTL_S
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    if 0 <= age_s < ttl_s:
        raise kind(str(known.get("detail", "")))


def store_failure(identity: str, error: NvrError) -> None:
    name = type(error).__name__
    if not hasattr(errors, name):
        return
    with suppress(OSError), write_to(failure_path(identity)) as part:  # if this fails, the image is only decoded again
        part.write_text(json.dumps({"error": name, "detail": error.detail}))


def failure_path(identity: str) -> Path:
    return cache_path(FOLDER, identity)
