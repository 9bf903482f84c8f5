"""Undo in a real browser: each toast undoes its action, once and in any order; the key undoes the newest."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import keep_picture
from tests.browser.test_review import cursor_is_on, wait_for
from tests.factories import jpeg, put

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FILES = 30
SEEN, TRASHED, LOCKED = {".seen"}, {".seen", ".trash"}, {".lock", ".seen"}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder, picture = tmp_path.resolve() / "card", jpeg(64, 48)
    for number in range(FILES):
        put(folder, f"IMG_{number:04}.JPG", picture)
    return folder


def marks(card: Path, number: int) -> set[str]:
    return {path.suffix for path in card.glob(f"IMG_{number:04}.JPG.*")}


def have(page: Page, card: Path, numbers: range, expected: set[str]) -> None:
    wait_for(lambda: all(marks(card, number) == expected for number in numbers), page)


def mark(page: Page, first: int, last: int, key: str) -> None:
    page.keyboard.press("Home")
    for _ in range(first):
        page.keyboard.press("ArrowRight")
    for _ in range(last - first):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press(key)


def message(page: Page, text: str) -> Locator:
    return page.locator("[data-toast]").filter(has_text=text)


def undo(page: Page, text: str) -> None:
    message(page, text).get_by_role("button", name="Undo").click()


def test_toast_undoes_its_action_and_the_key_the_newest(opened: Page, card: Path) -> None:
    mark(opened, 0, 1, "d")
    mark(opened, 2, 3, "f")
    have(opened, card, range(2), TRASHED)
    have(opened, card, range(2, 4), LOCKED)
    keep_picture(opened, "review-undo")

    undo(opened, "2 files moved to the trash")
    have(opened, card, range(2), set())
    assert all(marks(card, number) == LOCKED for number in (2, 3))
    expect(opened.locator("[data-toast]")).to_have_count(1)

    opened.keyboard.press("u")
    have(opened, card, range(2, 4), set())
    expect(opened.locator("[data-toast]")).to_have_count(0)
    opened.keyboard.press("u")
    expect(opened.locator("[data-live-region]")).to_have_text("There is nothing to undo.")


def test_toast_undoes_its_action_in_another_list(opened: Page, card: Path) -> None:
    mark(opened, 4, 6, "d")
    have(opened, card, range(4, 7), TRASHED)
    opened.locator('[data-filter="trashed"].chip').click()
    expect(opened.locator("[data-summary]")).to_have_text("3 files")
    mark(opened, 1, 2, "d")  # out of the trash
    expect(message(opened, "restored from the trash")).to_be_visible()

    undo(opened, "3 files moved to the trash")

    have(opened, card, range(4, 7), set())
    expect(opened.locator(".shot[data-trashed]")).to_have_count(0)
    expect(opened.locator(".shot")).to_have_count(3)


def test_undo_keeps_newer_marks(opened: Page, card: Path) -> None:
    mark(opened, 0, 1, "s")
    mark(opened, 1, 2, "f")
    have(opened, card, range(1, 3), LOCKED)

    undo(opened, "2 files marked as seen")

    have(opened, card, range(1), set())
    expect(message(opened, "Of 2 files, 1 was not changed: it has been marked again since.")).to_be_visible()
    assert marks(card, 1) == LOCKED
    undo(opened, "2 files locked")
    have(opened, card, range(3), set())


def test_marking_without_effect_reports_no_success(opened: Page, card: Path) -> None:
    mark(opened, 0, 0, "d")
    mark(opened, 1, 3, "f")
    have(opened, card, range(1), TRASHED)
    have(opened, card, range(1, 4), LOCKED)

    mark(opened, 0, 3, "d")
    expect(message(opened, "3 are locked and stay. Unlock them first.")).to_be_visible()
    expect(message(opened, "0 files")).to_have_count(0)

    mark(opened, 0, 3, "s")
    expect(message(opened, "Nothing changed: these files already have this mark.")).to_be_visible()
    expect(message(opened, "0 files")).to_have_count(0)


def test_reverted_trashing_is_not_reapplied_by_undo(opened: Page, card: Path) -> None:
    mark(opened, 0, 1, "d")
    mark(opened, 0, 1, "d")
    have(opened, card, range(2), SEEN)

    undo(opened, "2 files moved to the trash")
    have(opened, card, range(2), set())
    undo(opened, "2 files restored from the trash")

    expect(message(opened, "Of 2 files, 2 were not changed")).to_be_visible()
    opened.wait_for_timeout(200)
    have(opened, card, range(2), set())
    expect(opened.locator("[data-toast][data-level='error']")).to_have_count(0)


def test_rejected_undo_is_reported_and_can_be_retried(opened: Page, card: Path) -> None:
    mark(opened, 0, 1, "d")
    have(opened, card, range(2), TRASHED)
    rows = [{"path": "", "status": 409, "error": "The card is read-only."}] * 2
    opened.route("**/api/media-items/batch", lambda route: route.fulfill(status=207, json={"results": rows}))

    undo(opened, "2 files moved to the trash")

    failure = message(opened, "Undo failed for 2 files: The card is read-only.")
    expect(failure).to_be_visible()
    expect(opened.locator(".shot[data-trashed]")).to_have_count(2)
    opened.unroute_all()
    failure.get_by_role("button", name="Try again").click()
    have(opened, card, range(2), set())
    expect(opened.locator("[data-toast]")).to_have_count(0)


def test_undo_is_sent_after_a_lost_connection(opened: Page, card: Path) -> None:
    mark(opened, 0, 1, "d")
    have(opened, card, range(2), TRASHED)
    opened.route("**/api/media-items/batch", lambda route: route.abort())

    undo(opened, "2 files moved to the trash")

    expect(opened.locator("[data-notice]")).to_contain_text("Connection lost.")
    opened.unroute_all()
    have(opened, card, range(2), set())


def test_double_click_on_undo_undoes_once(opened: Page, card: Path) -> None:
    mark(opened, 0, 1, "d")
    mark(opened, 2, 3, "f")
    have(opened, card, range(2, 4), LOCKED)
    message(opened, "2 files locked").get_by_role("button", name="Undo").dblclick()

    have(opened, card, range(2, 4), set())
    assert all(marks(card, number) == TRASHED for number in (0, 1))
    expect(message(opened, "2 files moved to the trash")).to_be_visible()


def test_toast_does_not_move_while_others_change(opened: Page) -> None:
    def tell(text: str) -> None:
        opened.evaluate(
            "text => document.dispatchEvent(new CustomEvent('toast', { detail: { text, level: 'error' } }))", text
        )

    opened.emulate_media(reduced_motion="reduce")  # otherwise it still slides in
    for text in ("one", "two", "three"):
        tell(text)
    place = message(opened, "two").bounding_box()
    tell("four")
    for text in ("one", "three"):
        message(opened, text).get_by_role("button", name="Dismiss").click()
        expect(message(opened, text)).to_have_count(0)
        assert message(opened, "two").bounding_box() == place

    expect(opened.locator(".toast-gap[data-free]")).to_have_count(2)
    tell("five")
    expect(opened.locator(".toast-gap")).to_have_count(1)
    assert message(opened, "two").bounding_box() == place


def test_undo_key_returns_to_the_marked_file(opened: Page, card: Path) -> None:
    mark(opened, 3, 3, "s")
    opened.keyboard.press("End")
    opened.keyboard.press("u")

    cursor_is_on(opened, 3)
    have(opened, card, range(3, 4), set())


def test_chunks_with_pending_marks_are_not_evicted(opened: Page) -> None:
    """Offsets of later chunks depend on them: without them, a selection would refer to other files."""
    kept = opened.evaluate(
        """async () => {
            const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
            const { PagedSource } = await import(loaded.find((name) => name.includes("review/source")));
            const source = new PagedSource("/", { filter: "unseen", order: "name" });
            const item = (pending) => ({ confirmed: { seen: false }, pending });
            for (let at = 0; at < 150; at += 1) source.chunks.set(at, [item(at ? 0 : 1)]);
            source.evictChunk(149);
            return [...source.chunks.keys()].slice(0, 2);
        }"""
    )

    assert kept == [0, 2]
