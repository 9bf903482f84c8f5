"""Emptying the trash in a real browser: the count, stopping a run, and the reported number of deleted files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from reviewer.models import TrashRun
from reviewer.registry import add_path
from reviewer.trash import runs as trash_runs
from tests.browser.conftest import keep_picture, opened_at, sign_in
from tests.browser.test_review import wait_for
from tests.factories import jpeg, make_user, put
from tests.reviewer.test_trash_real import until, working

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FILES = 40
MANY = 8000
# A trash run that deletes a file each 20 ms, and pauses at half of them until it is stopped; it then ends with the
# files in hand, as the server does.
SLOW = """() => {
    const real = window.fetch;
    const half = 20;
    let deleted = 0, stopped = false;
    const line = (fields) => new TextEncoder().encode(JSON.stringify(fields) + "\\n");
    const file = (type, n) => line({ type, path: `/card/IMG_${n}.JPG` });
    const lines = (signal) => ({
        start(stream) { signal.addEventListener("abort", () => stream.error(signal.reason)); },
        async pull(stream) {
            do await new Promise((resolve) => setTimeout(resolve, 20));
            while (deleted === half && !stopped && !signal.aborted);
            if (signal.aborted) return;
            if (!stopped) {
                stream.enqueue(file("deleting", deleted));
                stream.enqueue(file("deleted", deleted++));
                return;
            }
            for (let more = 0; more < 3; more += 1) stream.enqueue(file("deleted", deleted++));
            window.deleted = deleted;
            stream.enqueue(line({ type: "done", deleted, errors: 0 }));
            stream.close();
        },
    });
    window.fetch = async (url, options) => {
        if (url === "/api/empty-trash") {
            return new Response(new ReadableStream(lines(options.signal)), { headers: { "X-Trash-Run": "7" } });
        }
        const answer = await real(url, options);
        if (String(url).endsWith("/cancel")) stopped = answer.ok;
        return answer;
    };
}"""


@pytest.fixture
def trashed(page: Page, site: str, tmp_path: Path) -> Page:
    """The dialog for a card with all files in the trash, with the number entered."""
    card = tmp_path.resolve() / "card"
    for number in range(FILES):
        put(card, f"IMG_{number:04}.JPG", jpeg(64, 48, seed=1))
        put(card, f"IMG_{number:04}.JPG.trash", b"")
    user: User = make_user("chief", is_staff=True, is_superuser=True)
    add_path(user, str(card))
    sign_in(page, "chief")
    opened_at(page, card).evaluate(SLOW)
    page.get_by_role("button", name="Empty trash").click()
    page.locator("[data-trash-input]").fill(str(FILES))
    return page


def test_trash_dialog_shows_the_count_and_requires_the_number(page: Page, site: str, tmp_path: Path) -> None:
    card = tmp_path.resolve() / "card"
    for number in range(5):
        put(card, f"IMG_{number:04}.JPG", jpeg(64, 48, seed=1))
    chief = make_user("chief", is_staff=True, is_superuser=True)
    add_path(chief, str(card))
    sign_in(page, "chief")
    opened = opened_at(page, card)
    for _ in range(3):
        opened.keyboard.press("d")
    wait_for(lambda: (card / "IMG_0002.JPG.trash").exists(), opened)
    opened.get_by_role("button", name="Empty trash").click()

    expect(opened.locator("[data-trash-summary]")).to_contain_text("3 files")
    go = opened.locator("[data-trash-delete]")
    expect(go).to_be_disabled()
    opened.locator("[data-trash-input]").fill("4")
    expect(go).to_be_disabled()
    opened.locator("[data-trash-input]").fill("3")
    expect(go).to_be_enabled()
    keep_picture(opened, "review-trash")
    lines = [
        f'{{"type": "{kind}", "path": "{card}/IMG_{n:04}.JPG"}}\n' for n in range(3) for kind in ("deleting", "deleted")
    ]
    body = "".join([*lines, '{"type": "done", "deleted": 3, "errors": 0}\n'])
    opened.route("**/api/empty-trash", lambda route: route.fulfill(content_type="application/x-ndjson", body=body))
    go.click()
    expect(opened.locator("[data-trash-summary]")).to_have_text("3 files deleted.")


def test_enter_starts_the_run_and_done_closes_the_dialog(trashed: Page) -> None:
    trashed.evaluate('() => { window.fetch = () => Promise.resolve(new Response(\'{"type": "done"}\')); }')
    trashed.locator("[data-trash-input]").fill("4")
    trashed.keyboard.press("Enter")
    expect(trashed.locator("[data-trash-run]")).to_be_hidden()
    expect(trashed.get_by_role("alert")).to_have_text(
        f"Nothing was deleted. Type {FILES}, the number of files, to delete them."
    )
    keep_picture(trashed, "review-trash-wrong")
    trashed.locator("[data-trash-input]").fill(str(FILES))
    expect(trashed.get_by_role("alert")).to_be_hidden()
    trashed.keyboard.press("Enter")

    expect(trashed.locator("[data-trash-summary]")).to_have_text("0 files deleted.")
    expect(trashed.get_by_role("button", name="Done")).to_be_focused()
    keep_picture(trashed, "review-trash-done")
    trashed.keyboard.press("Enter")
    expect(trashed.locator("#trash")).to_be_hidden()
    expect(trashed.get_by_role("button", name="Empty trash")).to_be_focused()


def test_replaced_file_is_reported_and_stays(trashed: Page, tmp_path: Path) -> None:
    trashed.keyboard.press("Escape")
    card = tmp_path.resolve() / "card"
    for name, earlier_s in (("IMG_0000.JPG", 9000),):
        mtime = (card / name).stat().st_mtime - earlier_s
        os.utime(card / f"{name}.trash", (mtime, mtime))
    trashed.get_by_role("button", name="Empty trash").click()

    message = "1 file was replaced after it was trashed and stays."
    expect(trashed.locator("[data-trash-summary]")).to_contain_text(message)
    keep_picture(trashed, "review-trash-changed")


def test_second_enter_does_not_stop_the_run(trashed: Page) -> None:
    trashed.locator("[data-trash-input]").press("Enter")
    expect(trashed.locator("[data-trash-summary]")).to_contain_text("deleted")
    trashed.keyboard.press("Enter")
    expect(trashed.get_by_role("button", name="Stop")).to_be_enabled()
    trashed.get_by_role("button", name="Stop").press("Enter")
    expect(trashed.locator("[data-trash-summary]")).to_contain_text("Stopped:")


def test_empty_trash_can_be_closed_at_once(trashed: Page, tmp_path: Path) -> None:
    trashed.keyboard.press("Escape")
    for mark in (tmp_path.resolve() / "card").glob("*.trash"):
        mark.unlink()
    trashed.get_by_role("button", name="Empty trash").click()

    expect(trashed.locator("[data-trash-summary]")).to_have_text("The trash is empty.")
    expect(trashed.get_by_role("button", name="Done")).to_be_focused()


def test_stopping_reports_all_deleted_files(trashed: Page) -> None:
    requested_urls: list[str] = []

    def cancelled(route: Route) -> None:
        requested_urls.append(route.request.url)
        route.fulfill(json={})

    trashed.route("**/api/trash-runs/7/cancel", cancelled)
    trashed.locator("[data-trash-delete]").click()
    expect(trashed.locator("[data-trash-summary]")).to_contain_text(f"of {FILES} files deleted")
    expect(trashed.locator("[data-trash-note-text]")).to_contain_text("IMG_")
    trashed.get_by_role("button", name="Stop").click()

    expect(trashed.locator("[data-trash-summary]")).to_contain_text("Stopped:")
    deleted = trashed.evaluate("window.deleted")
    assert 3 < deleted < FILES
    expect(trashed.locator("[data-trash-summary]")).to_have_text(f"Stopped: {deleted} files deleted.")
    assert len(requested_urls) == 1
    expect(trashed.get_by_role("button", name="Stop")).to_be_hidden()


def test_stopping_aborts_the_stream_if_the_server_fails(trashed: Page) -> None:
    trashed.route("**/api/trash-runs/7/cancel", lambda route: route.fulfill(status=503, json={"error": "busy"}))
    trashed.locator("[data-trash-delete]").click()
    expect(trashed.locator("[data-trash-summary]")).to_contain_text(f"of {FILES} files deleted")
    trashed.get_by_role("button", name="Stop").click()

    expect(trashed.locator("[data-trash-summary]")).to_contain_text("Stopped:")
    expect(trashed.locator("[data-trash-note-text]")).to_contain_text("The trash history shows the result")


def test_lost_connection_is_reported(trashed: Page) -> None:
    trashed.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('Failed to fetch')); }")
    trashed.locator("[data-trash-delete]").click()

    expect(trashed.locator("[data-trash-note-text]")).to_contain_text("The trash history shows the result")
    expect(trashed.locator("body")).to_contain_text("The server is not responding. Try again in a moment.")
    expect(trashed.locator("body")).not_to_contain_text("Failed to fetch")


def start_run(page: Page, *lines: dict[str, object]) -> None:
    """Start a run to which the server responds with `lines`."""
    body = "".join(f"{json.dumps(line)}\n" for line in lines)
    page.evaluate("body => { window.fetch = () => Promise.resolve(new Response(body)); }", body)
    page.locator("[data-trash-delete]").click()


def test_shared_error_is_shown_once(trashed: Page) -> None:
    reason = "The folder is on a read-only medium."
    errors: list[dict[str, object]] = [
        {"type": "error", "path": f"/card/IMG_{n}.JPG", "message": reason} for n in range(FILES - 1)
    ]
    done = {"type": "done", "deleted": 1, "errors": FILES - 1}
    start_run(trashed, {"type": "deleted", "path": "/card/A.JPG"}, *errors, done)

    expect(trashed.locator("[data-trash-summary]")).to_have_text(f"1 file deleted, {FILES - 1} could not be deleted.")
    expect(trashed.locator("[data-trash-errors] li")).to_have_text([f"{FILES - 1} files: {reason}"])
    expect(trashed.locator("[data-trash-progress]")).to_be_hidden()


def test_folder_error_is_not_listed_as_a_file_error(trashed: Page, tmp_path: Path) -> None:
    reason = "The folder is no longer reviewed."
    start_run(
        trashed,
        {"type": "deleted", "path": "/card/A.JPG"},
        {"type": "error", "path": str(tmp_path.resolve() / "card"), "message": reason},
        {"type": "done", "deleted": 1, "errors": 1},
    )

    expect(trashed.locator("[data-trash-summary]")).to_have_text("Aborted: 1 file deleted.")
    expect(trashed.locator("[data-trash-note]")).to_have_text(reason)
    expect(trashed.locator("[data-trash-note] .icon-warning")).to_be_visible()
    expect(trashed.locator("[data-trash-errors] li")).to_have_count(0)


def test_rejected_run_is_reported(trashed: Page) -> None:
    trashed.evaluate(
        """() => { window.fetch = () => Promise.resolve(
            new Response(JSON.stringify({ error: "Another one is on." }), { status: 409 })); }"""
    )
    trashed.locator("[data-trash-delete]").click()

    expect(trashed.locator("[data-trash-summary]")).to_have_text("The trash run did not start.")
    expect(trashed.locator("[data-trash-note]")).to_have_text("Another one is on.")
    expect(trashed.locator("[data-trash-progress]")).to_be_hidden()


def test_missing_folder_is_reported(trashed: Page, tmp_path: Path) -> None:
    trashed.keyboard.press("Escape")
    (tmp_path.resolve() / "card").rename(tmp_path.resolve() / "elsewhere")
    trashed.get_by_role("button", name="Empty trash").click()

    expect(trashed.locator("[data-trash-summary]")).to_have_text("The trash cannot be counted.")
    expect(trashed.locator("[data-trash-note]")).to_contain_text("does not exist")
    expect(trashed.locator("[data-trash-confirm]")).to_be_hidden()


def wait_for_worker(user: User, empty: Path) -> None:
    """Wait until a worker has started: until it has processed a run of an empty folder."""
    empty.mkdir()
    add_path(user, str(empty))
    run = trash_runs.start_run(user, str(empty))
    until(lambda: TrashRun.objects.get(pk=run.pk).is_over, seconds=90)


def test_stopping_a_real_worker_reports_the_exact_count(page: Page, site: str, tmp_path: Path) -> None:
    card = tmp_path.resolve() / "card"
    card.mkdir()
    for number in range(MANY):
        (card / f"IMG_{number:05}.JPG").touch()
        (card / f"IMG_{number:05}.JPG.trash").touch()
    chief = make_user("chief", is_staff=True, is_superuser=True)
    add_path(chief, str(card))
    sign_in(page, "chief")
    opened_at(page, card).get_by_role("button", name="Empty trash").click()
    page.locator("[data-trash-input]").fill(str(MANY))
    with working():
        wait_for_worker(chief, tmp_path.resolve() / "empty")
        page.locator("[data-trash-delete]").click()
        expect(page.locator("[data-trash-summary]")).to_contain_text(" files deleted")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("[data-trash-summary]")).to_contain_text("Stopped:")

    deleted = re.sub(r"\D", "", page.locator("[data-trash-summary]").inner_text())
    left = len(list(card.glob("*.JPG")))
    assert 0 < int(deleted) == MANY - left < MANY
    page.locator("[data-trash-history] summary").click()
    expect(page.locator("[data-trash-runs]")).to_contain_text("card: stopped, ")
    keep_picture(page, "review-trash-stopped")
