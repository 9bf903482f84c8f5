"""Validation rules for a camera's values. `cameras.fields` lists which field uses which, in the API and the admin.

Each rule takes the input and returns the value to store, or raises Django's `ValidationError` with one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError

from cameras.naming import CONTROL, MAX_SLUG, RESERVED, slug_from
from nvr.media.files.paths import normalise_folder

FORBIDDEN_IN_PATH = '<>:"|?*'
MAX_CLASSES = 50
MAX_CLASS_LENGTH = 64


def clean_name(value: str) -> str:
    if CONTROL.search(value):
        raise ValidationError("must not contain control characters.")
    name = value.strip()
    if not name:
        raise ValidationError("must not be blank.")
    if len(name) > 255:
        raise ValidationError("must have at most 255 characters.")
    return name


def clean_new_name(value: str) -> str:
    """The name of a new camera: its id is derived from it."""
    name = clean_name(value)
    slug = slug_from(name)
    if not slug:
        raise ValidationError("must contain a letter or a digit, because the camera's id is derived from it.")
    if slug in RESERVED:
        raise ValidationError(f"would have the id {slug}, which is reserved: choose another name.")
    if len(slug) > MAX_SLUG:
        raise ValidationError(f"would have an id of more than {MAX_SLUG} characters: choose a shorter name.")
    return name


def clean_folder_path(value: str) -> str:
    if CONTROL.search(value):
        raise ValidationError("must not contain control characters.")
    if not 1 <= len(value) <= 500:
        raise ValidationError("must have 1 to 500 characters.")
    if found := next((character for character in FORBIDDEN_IN_PATH if character in value), None):
        raise ValidationError(f"must not contain {found}")
    if ".." in value.split("/"):
        raise ValidationError("must not contain a .. segment.")
    if not value.startswith("/"):
        raise ValidationError("must be absolute: begin it with /.")
    return normalise_folder(value)


def clean_rtsp_url(value: str | None) -> str:
    return _clean_url(value, "rtsp", "rtsps")


def clean_onvif_url(value: str | None) -> str:
    return _clean_url(value, "http", "https")


def _clean_url(value: str | None, *schemes: str) -> str:
    """A URL with a host and without credentials, which have their own fields; empty for none."""
    text = (value or "").strip()
    if not text:
        return ""
    if CONTROL.search(text) or " " in text or len(text) > 500:
        raise ValidationError("must have at most 500 characters, none of them blank or a control character.")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValidationError("is not an address.") from error
    if parts.scheme not in schemes or not host:
        raise ValidationError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and name a host.")
    if "@" in parts.netloc:
        raise ValidationError("must not contain credentials: put them into the fields for user name and password.")
    return text


def clean_time_zone(value: str | None) -> str:
    """A name from the IANA database; empty for the time zone of the installation."""
    text = (value or "").strip()
    if text and text not in available_timezones():
        raise ValidationError("is not a time zone: use a name such as Europe/Berlin.")
    return text


def clean_classes(values: Sequence[str]) -> list[str]:
    """Class names, trimmed and without duplicates, in the given order; an empty list keeps all classes."""
    if len(values) > MAX_CLASSES:
        raise ValidationError(f"must have at most {MAX_CLASSES} classes.")
    names = [value.strip() for value in values]
    if any(CONTROL.search(name) for name in names):
        raise ValidationError("must not contain control characters.")
    if not all(1 <= len(name) <= MAX_CLASS_LENGTH for name in names):
        raise ValidationError(f"must be classes of 1 to {MAX_CLASS_LENGTH} characters.")
    return list(dict.fromkeys(names))


def check_stream(ingestion_mode: str, rtsp_url: str) -> None:
    """A stream must have an address."""
    if ingestion_mode != "ftp" and not rtsp_url:
        raise ValidationError({"rtsp_url": f"is required for ingestion mode {ingestion_mode}."})
