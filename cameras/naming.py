"""From a camera's name to its id."""

from __future__ import annotations

import re
import unicodedata

RESERVED = {"deleted", "validation", "onvif"}  # words that the URLs use
MAX_SLUG = 255


def slug_from(name: str) -> str:
    """`Front Door` and `front-door` → `front_door`, `A & B` → `a_b`; empty if no letter or digit is in it."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().lower())
    text = re.sub(r"[\s-]+", "_", text)
    text = re.sub(r"[^\w]", "", text)
    return re.sub(r"_+", "_", text).strip("_")
