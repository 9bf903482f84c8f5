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
    """The files before and after the selected one in a list, newest first."""

    newer: Any | None
    older: Any | None


@register.inclusion_tag("components/navigation.html", takes_context=True)
def navigation(context: Context) -> dict[str, object]:
    """Render the entries that the user can open, the current one marked."""
    return {"items": items_for(context["request"])}


@register.inclusion_tag("components/icon.html")
def icon(name: str, label: str = "") -> dict[str, object]:
    """Render an inline SVG in the colour of the text; screen readers read it only if it has a `label`.

    The shapes are in `templates/components/icons/<name>.svg`, 24 by 24; an unknown name renders a dot.
    """
    return {"name": name, "label": label, "shapes": [f"components/icons/{name}.svg", UNKNOWN_ICON]}


@register.filter
def age(timestamp: datetime | None) -> str:
    """Format the age of `timestamp`: "2 s ago", "26 min ago", "never".

    A timestamp in the future (by a camera with a fast clock) is "now". `static/js/app.js` uses the same formats.
    """
    if timestamp is None:
        return "never"
    seconds = int((timezone.now() - timestamp).total_seconds())
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
    """Format `timestamp` in UTC for a `datetime` attribute; empty for None."""
    if timestamp is None:
        return ""
    return timestamp.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@register.filter
def filesize(size_bytes: float | None) -> str:
    """Format bytes in decimal units, as vendors of disks do: "812 B", "3.1 MB", "2 TB"."""
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
    """Format a count with separated thousands: "1 940"."""
    return f"{number:,}".replace(",", NARROW_SPACE)


@register.filter
def at_width(url: str, width_px: int) -> str:
    """Return the URL of the picture scaled to at most `width_px`."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode({'width': width_px})}"


@register.simple_tag
def neighbours(files: Sequence[Any], selected: Any | None) -> Neighbours:
    """Return the files before and after `selected` in `files` (newest first), compared by the URL of their pages."""
    urls = [file.page_url for file in files]
    if selected is None or selected.page_url not in urls:
        return Neighbours(None, None)
    index = urls.index(selected.page_url)
    older = files[index + 1] if index + 1 < len(files) else None
    return Neighbours(files[index - 1] if index else None, older)
