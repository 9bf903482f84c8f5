"""From a key to the painted picture in the review, at four keys a second: forward, backward, in another order, and
with another filter; photographs of 12 megapixels, their small pictures made ahead as a worker does, and not made."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from reviewer.registry import add_path
from reviewer.thumbnails.rendering import Source, get_thumbnail
from tests.benchmarks.bench_thumbnail import photograph
from tests.browser.conftest import browser, open_browser, page, server, sign_in, site, troubles  # noqa: F401
from tests.factories import make_user

PICTURES = 64
WALK = 30
GOAL_MS = 50
EVERY_MS = 250
# From the key (as the browser was given it) to the frame after the one in which the next file's picture is in the page.
# `sharp` is the picture in at least the size of the stage, `any` also the small one of the strip.
WATCH = """() => {
    const stage = document.querySelector("[data-stage]");
    window.figures = [];
    addEventListener("keydown", (event) => {
        const [before, began, figure] = [stage.dataset.shown, event.timeStamp, { any: null, sharp: null }];
        window.figures.push(figure);
        const painted = (name) => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => { figure[name] ??= performance.now() - began; };
            channel.port2.postMessage(0);
        };
        const look = () => {
            const picture = stage.querySelector(".stage-picture");
            if (stage.dataset.shown !== before && picture) {
                if (figure.any === null) painted("any");
                if (picture.naturalWidth >= 1024) { painted("sharp"); return; }
            }
            if (performance.now() - began < 3000) requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, { capture: true });
}"""


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path.resolve() / "card"
    root.mkdir()
    first = photograph(tmp_path / "photograph.jpg")
    for number in range(PICTURES):
        folder = root / f"10{number % 2}MEDIA"
        folder.mkdir(exist_ok=True)
        shutil.copy(first, folder / f"IMG_{number // 2:04}.JPG")
    yield root
    shutil.rmtree(root)


@pytest.fixture
def chief(site: str, card: Path) -> User:  # noqa: F811
    user = make_user("chief", is_staff=True, is_superuser=True)
    add_path(user, str(card))
    return user


def make_thumbnails(card: Path) -> None:
    for file in sorted(card.rglob("*.JPG")):
        facts = file.stat()
        for size in (1024, 256):
            get_thumbnail(Source(file, card, facts.st_mtime_ns, facts.st_size), size)


def walked(page: Page, key: str, steps: int = WALK) -> str:  # noqa: F811
    page.evaluate("() => { window.figures.length = 0; }")
    due = time.perf_counter()
    for _ in range(steps):
        page.keyboard.press(key)
        due += EVERY_MS / 1000
        page.wait_for_timeout(max(0, 1000 * (due - time.perf_counter())))
    page.wait_for_timeout(3000)
    figures = page.evaluate("window.figures")
    return ", ".join(f"{name} {in_words([figure[name] for figure in figures])}" for name in ("any", "sharp"))


def in_words(found: list[float | None]) -> str:
    times = sorted(one if one is not None else float("inf") for one in found)
    half, most = times[len(times) // 2], times[int(len(times) * 0.95)]
    late = [place for place, one in enumerate(found) if one is None or one > GOAL_MS]
    return f"p50 {half:.0f} ms, p95 {most:.0f} ms" + (f" (late at steps {late})" if late else "")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("made", [True, False], ids=["ahead", "late"])
def test_keys(page: Page, chief: User, card: Path, made: bool) -> None:  # noqa: F811
    if made:
        make_thumbnails(card)
    sign_in(page, "chief")
    page.goto(f"/review?path={card}&filter=all")
    expect(page.locator("[data-start]")).to_be_enabled()
    page.evaluate(WATCH)
    page.keyboard.press("Enter")
    expect(page.locator("[data-stage]")).to_have_attribute("data-quality", "original")
    page.wait_for_timeout(2000)

    print(f"\nkey to painted picture, small pictures {'made ahead' if made else 'not made'}; goal p95 {GOAL_MS} ms")
    print(f"  forward:       {walked(page, 'r')}")
    print(f"  backward:      {walked(page, 'e')}")
    print(f"  seen, forward: {walked(page, 's')}")
    for what, choose in {
        "by name": lambda: page.get_by_label("Order").select_option("name"),
        "unseen only": lambda: page.locator('[data-filter="unseen"].chip').click(),
    }.items():
        page.keyboard.press("Escape")
        choose()
        page.locator("[data-grid]").focus()
        page.wait_for_timeout(1000)
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        page.wait_for_timeout(2000)
        print(f"  {what + ':':<14} {walked(page, 'r', WALK // 2)}")
