"""Characters that names must not contain, and the id that is derived from a camera's name."""

from __future__ import annotations

import re
import unicodedata

RESERVED = {"deleted", "validation", "onvif"}  # path segments of the API's own URLs
MAX_SLUG = 255
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters and undecodable bytes


def slug_from(name: str) -> str:
    """`Front Door` and `front-door` → `front_door`, `A & B` → `a_b`; empty if it contains no letter or digit."""
    # Again after lower-casing: some letters, such as H with a line below, have one code point only in lower case.
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().lower())
    text = re.sub(r"[\s-]+", "_", text)
    text = re.sub(r"[^\w]", "", text)
    return re.sub(r"_+", "_", text).strip("_")
