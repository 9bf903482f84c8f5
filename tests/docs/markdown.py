"""Reading Markdown as the tests of the documentation need it: tables, sections, links, code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def rows(text: str, header: str) -> Iterator[list[str]]:
    """The rows of every table whose first column is called `header`; cells without backticks."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == header:
            inside = True
        elif inside and not set(cells[0]) <= set(":- "):
            yield cells


def column(text: str, header: str) -> list[str]:
    return [cells[0] for cells in rows(text, header)]


def section(text: str, title: str) -> str:
    """From the heading `title` (backticks aside) to the next one of its level or above; empty if there is none."""
    headings = list(HEADING.finditer(without_fences(text)))
    plain = without_fences(text)
    for number, found in enumerate(headings):
        if found[2].replace("`", "") == title:
            later = (h for h in headings[number + 1 :] if len(h[1]) <= len(found[1]))
            return plain[found.end() : next((h.start() for h in later), len(plain))]
    return ""


def without_fences(text: str) -> str:
    return FENCE.sub("", text)


def code(text: str) -> str:
    """Everything that stands as code, fenced or within a line, one piece per line."""
    return "\n".join([*FENCE.findall(text), *SPAN.findall(without_fences(text))])


def links(text: str) -> Iterator[str]:
    """Targets of links and pictures that lie in this repository or on the page itself."""
    for in_brackets, in_quotes in LINK.findall(SPAN.sub("", without_fences(text))):
        target = in_brackets or in_quotes
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            yield target


def anchors(text: str) -> set[str]:
    """The fragments that a page's headings have, as code hosts make them."""
    titles = (found[2] for found in HEADING.finditer(without_fences(text)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
