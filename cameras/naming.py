"""Derives a camera's id from its name."""

from __future__ import annotations

import re
import unicodedata

RESERVED = {"deleted", "validation", "onvif"}  # path segments of the API's own URLs
MAX_SLUG = 255


def slug_from(name: str) -> str:
    """`Front Door` and `front-door` → `front_door`, `A & B` → `a_b`; empty if it contains no letter or digit."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().lower())
    text = re.sub(r"[\s-]+", "_", text)
    text = re.sub(r"[^\w]", "", text)
    return re.sub(r"_+", "_", text).strip("_")
