"""What axe-core finds on a page: the accessibility faults that a program can see."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.browser.conftest import DESKTOP, PHONE

IMPACTS = ("critical", "serious")
SETTLED = """() => Promise.allSettled(document.getAnimations()
    .filter((animation) => animation.effect.getComputedTiming().endTime < Infinity)
    .map((animation) => animation.finished))"""
FOREIGN = {"nested-interactive": ".opblock-summary"}  # Swagger UI's own markup
CONTRAST_ONLY = ["color-contrast", "link-in-text-block"]  # what a colour scheme changes
VIEWPORTS = {"narrow": PHONE, "wide": DESKTOP}


class Look(NamedTuple):
    width: str
    scheme: Literal["dark", "light"]
    rules: list[str] | None = None  # all


# All rules at each width and in each colour scheme; the other pairs can differ in their colours only.
LOOKS = (Look("narrow", "dark"), Look("wide", "light"))
OTHER_LOOKS = (Look("narrow", "light", CONTRAST_ONLY), Look("wide", "dark", CONTRAST_ONLY))
every_look = pytest.mark.parametrize(
    "looks", [pytest.param(LOOKS, id="looks"), pytest.param(OTHER_LOOKS, id="other-looks", marks=pytest.mark.slow)]
)


def violations(page: Page, *, rules: list[str] | None = None) -> list[str]:
    """The critical and serious findings on the page as it stands, one line for each element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    page.evaluate(SETTLED)  # halfway through a transition a colour is neither the one nor the other
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = rules
    found = page.evaluate("options => window.axe.run(document, options)", options)["violations"]
    grave = ((finding, node) for finding in found if finding["impact"] in IMPACTS for node in finding["nodes"])
    return [in_words(finding, node) for finding, node in grave if not is_foreign(finding, node)]


def is_foreign(finding: dict[str, Any], node: dict[str, Any]) -> bool:
    return finding["id"] in FOREIGN and FOREIGN[finding["id"]] in str(node["target"])


def in_words(finding: dict[str, Any], node: dict[str, Any]) -> str:
    details = "; ".join(check["message"] for check in node["any"] + node["all"] + node["none"])
    return f"{finding['id']} ({finding['impact']}): {' '.join(map(str, node['target']))}: {details or finding['help']}"


def violations_in(page: Page, looks: tuple[Look, ...]) -> list[str]:
    """The findings in each of the looks; the page ends as it began: wide and light."""
    found: list[str] = []
    for look in looks:
        page.set_viewport_size(VIEWPORTS[look.width])  # type: ignore[arg-type]
        page.emulate_media(color_scheme=look.scheme)
        found += [f"{look.width} {look.scheme}: {line}" for line in violations(page, rules=look.rules)]
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")
    return found
