"""The detectors that a camera can choose from. Apps above register theirs when they are ready.

The model field has no choices of its own: which detectors exist depends on the installed apps, not on the database.
"""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z][a-z0-9_]{0,15}")  # the column of the camera has 16 characters
_labels: dict[str, str] = {}


def register_detector(name: str, label: str) -> None:
    """Offer the detector in the camera form and the API. Raises `ValueError` for a name that cannot be stored."""
    if not NAME.fullmatch(name):
        raise ValueError(f"A detector's name has 1 to 16 of a-z, 0-9 and _, and begins with a letter: {name!r}.")
    _labels[name] = label


def detector_choices() -> list[tuple[str, str]]:
    """Names and labels, by name."""
    return sorted(_labels.items())
