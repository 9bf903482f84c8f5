"""Template tags and filters: navigation, icons, ages, sizes and neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django import template
from django.template.context import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from nvr.pages.navigation import items_for

register = template.Library()

NARROW_SPACE = "\u202f"
UNKNOWN_ICON = "components/icons/unknown.svg"
MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Neighbours(NamedTuple):
    """The files beside the selected one in a list that runs from newest to oldest."""

    newer: Any | None
    older: Any | None


@register.inclusion_tag("components/navigation.html", takes_context=True)
def navigation(context: Context) -> dict[str, object]:
    """Render the entries that the user can open, the current one marked."""
    return {"items": items_for(context["request"])}


@register.inclusion_tag("components/icon.html")
def icon(name: str, label: str = "") -> dict[str, object]:
    """An inline SVG in the colour of its text; spoken only when it has a `label`.

    The outlines are `templates/components/icons/<name>.svg`, 24 by 24; a name without one is a dot.
    """
    return {"name": name, "label": label, "shapes": [f"components/icons/{name}.svg", UNKNOWN_ICON]}


@register.filter
def age(timestamp: datetime | None) -> str:
    """How long ago `timestamp` was: "2 s ago", "26 min ago", "never".

    A timestamp in the future (by a camera with a fast clock) is "now".
    """
    if timestamp is None:
        return "never"
    seconds = int((timezone.now() - timestamp).total_seconds())
    return _age_in_words(seconds)


def _age_in_words(seconds: int) -> str:
    if seconds < 1:
        return "now"
    if seconds < MINUTE:
        return f"{seconds} s ago"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min ago"
    if seconds < DAY:
        return f"{seconds // HOUR} h ago"
    days = seconds // DAY
    return "1 day ago" if days == 1 else f"{days} days ago"


@register.simple_tag
def ago(timestamp: datetime | None) -> SafeString:
    """Render a `<time>` with its age, which the page's script keeps updated."""
    return format_html('<time data-age datetime="{}">{}</time>', iso(timestamp), age(timestamp))


@register.filter
def iso(timestamp: datetime | None) -> str:
    """`timestamp` in UTC for a `datetime` attribute; empty for None."""
    if timestamp is None:
        return ""
    return timestamp.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@register.filter
def filesize(size_bytes: float | None) -> str:
    """Bytes in decimal units, as disks and cameras are sold: "812 B", "3.1 MB", "2 TB"."""
    if size_bytes is None:
        return "unknown size"
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{_three_digits(size, whole=unit == 'B')} {unit}"
        size /= 1000
    return f"{_three_digits(size)} TB"


def _three_digits(size: float, *, whole: bool = False) -> str:
    if whole or size >= 99.95:
        return f"{size:.0f}"
    return f"{size:.1f}".removesuffix(".0")


@register.filter
def thousands(number: int) -> str:
    """A count with its thousands apart: "1 940"."""
    return f"{number:,}".replace(",", NARROW_SPACE)


@register.filter
def at_width(url: str, width_px: int) -> str:
    """The address of the picture scaled to at most `width_px` by our thumbnailer."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode({'width': width_px})}"


@register.simple_tag
def neighbours(files: Sequence[Any], selected: Any | None) -> Neighbours:
    """What lies before and after `selected` in `files` (newest first), found by the address of its page."""
    addresses = [file.page_url for file in files]
    if selected is None or selected.page_url not in addresses:
        return Neighbours(None, None)
    place = addresses.index(selected.page_url)
    older = files[place + 1] if place + 1 < len(files) else None
    return Neighbours(files[place - 1] if place else None, older)
