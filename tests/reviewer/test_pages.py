"""The HTML of `/review`: the list of folders, and reviewing without JavaScript."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client

from nvr.audit.models import AuditEntry
from reviewer import no_js_views
from reviewer.models import ReviewPath, TrashRun
from tests.factories import jpeg, make_user, put
from tests.reviewer.conftest import settle


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def page(reviewer: User, known: ReviewPath) -> Client:
    return client_of(reviewer)


@pytest.fixture
def photo(card: Path) -> Path:
    return card / "DCIM/100MEDIA/IMG_0002.JPG"


def marks_of(file: Path) -> set[str]:
    return {path.suffix for path in file.parent.glob(f"{file.name}.*")}


def text(response) -> str:
    return response.content.decode()


def test_users_without_permission_get_403_and_no_navigation_entry(known: ReviewPath) -> None:
    outsider = client_of(make_user("outsider"))

    assert outsider.get("/review").status_code == 403
    assert 'href="/review"' not in text(outsider.get("/"))


def test_navigation_links_to_the_review(page: Client) -> None:
    assert 'href="/review"' in text(page.get("/"))
    assert re.search(r'href="/review" aria-current="page"', text(page.get("/review")))


def test_list_shows_only_visible_review_paths(page: Client, known: ReviewPath, manager: User) -> None:
    ReviewPath.objects.create(path="/somewhere/else")

    assert f'data-root="{known.path}"' in text(page.get("/review"))
    assert "/somewhere/else" not in text(page.get("/review"))
    assert "/somewhere/else" in text(client_of(manager).get("/review"))


def test_only_managers_can_add_a_folder(page: Client, manager: User) -> None:
    assert "Add a folder" not in text(page.get("/review"))
    assert "Add a folder" in text(client_of(manager).get("/review"))
    assert page.post("/review/paths", {"path": "/tmp"}).status_code == 403


def test_adding_a_folder_opens_its_review(manager: User, card: Path) -> None:
    response = client_of(manager).post("/review/paths", {"path": str(card)})

    assert response.status_code == 302
    assert response["Location"] == f"/review?path={quote(str(card), safe='')}&filter=unseen"
    assert ReviewPath.objects.filter(path=str(card)).exists()
    assert AuditEntry.objects.filter(action="review_path_added").exists()


def test_rejected_folder_is_shown_with_the_reason(manager: User) -> None:
    response = client_of(manager).post("/review/paths", {"path": "/proc/1"})

    assert response.status_code == 403
    assert "/proc is hidden from review." in text(response)
    assert 'value="/proc/1"' in text(response)


def test_removing_a_folder_keeps_its_files(manager: User, known: ReviewPath, photo: Path) -> None:
    client_of(manager).post("/review/paths", {"path": known.path, "remove": "1"})

    assert not ReviewPath.objects.exists()
    assert photo.exists()


def test_removing_a_folder_asks_for_confirmation(manager: User, known: ReviewPath) -> None:
    browser = client_of(manager)
    confirmation = browser.get("/review/paths", {"path": known.path})

    assert f"/review/paths?path={quote(known.path, safe='')}" in text(browser.get("/review"))
    assert "Its files and their marks stay on the disk" in text(confirmation)
    assert 'name="remove" value="1"' in text(confirmation)
    assert ReviewPath.objects.exists()
    assert browser.get("/review/paths").headers["Location"] == "/review"


def test_path_outside_the_review_is_403(page: Client) -> None:
    assert page.get("/review", {"path": "/etc"}).status_code == 403
    assert page.get("/review", {"path": "/etc", "plain": "1"}).status_code == 403


def test_page_is_small_and_redirects_browsers_without_javascript(page: Client, known: ReviewPath) -> None:
    response = page.get("/review", {"path": known.path, "filter": "unseen"})

    assert len(response.content) < 60_000
    assert re.search(r'<noscript><meta http-equiv="refresh" content="0; url=/review\?[^"]*plain=1', text(response))


def test_plain_page_lists_files_with_their_marks(page: Client, known: ReviewPath, photo: Path) -> None:
    put(photo.parent, f"{photo.name}.trash", b"")

    html = text(page.get("/review", {"path": known.path, "plain": "1"}))

    assert html.count('name="files"') == 4
    assert "In the trash" in html
    assert "Not seen" in html
    assert text(page.get("/review", {"path": known.path, "plain": "1", "filter": "trashed"})).count('name="files"') == 1


@pytest.mark.parametrize("order", ["folder", "name", "time"])
def test_plain_pages_list_every_file_once(page: Client, known: ReviewPath, card: Path, order: str) -> None:
    for number in range(60):
        put(card / "more", f"P{number:03}.JPG", jpeg(8, 8))
    settle(card)
    names: list[str] = []
    files: set[str] = set()
    url = f"/review?path={quote(known.path)}&plain=1&order={order}"
    while url:
        html = text(page.get(url))
        names += re.findall(r'<span class="break">([^<]+)</span>', html)
        files |= {*re.findall(r'name="files" value="([^"]+)"', html)}
        next_link = re.search(r'rel="next" href="([^"]+)"', html)
        url = next_link[1].replace("&amp;", "&") if next_link else ""

    assert len(names) == 64
    assert len(files) == 64
    assert order != "name" or names == sorted(names)


def test_plain_pages_use_the_selected_order(page: Client, known: ReviewPath, card: Path) -> None:
    for age, name in enumerate(("a/Z.JPG", "b/A.JPG", "b/Z.JPG")):
        put(card / Path(name).parent, Path(name).name, jpeg(8, 8))
        os.utime(card / name, (1_500_000_000 - age,) * 2)
    settle(card)
    expected = {"": ["a/Z", "b/A", "b/Z"], "name": ["b/A", "a/Z", "b/Z"], "time": ["b/Z", "b/A", "a/Z"]}

    for order, files in expected.items():
        html = text(page.get("/review", {"path": known.path, "plain": "1", "order": order}))
        found = re.findall(r"%252F([ab])%252F([AZ])\.JPG\"[^>]*><img", html)
        assert [f"{folder}/{name}" for folder, name in found] == files
        assert html.count('aria-current="true"') == 2
        next_link = re.search(r'<a href="([^"]+file=[^"]+)"[^>]*><img', html)
        assert next_link is not None
        assert ("order=" in next_link[1]) == bool(order)


@pytest.mark.parametrize(
    ("action", "marks"), [("seen", {".seen"}), ("lock", {".lock", ".seen"}), ("trash", {".trash", ".seen"})]
)
def test_form_marks_the_selected_files_and_returns(
    page: Client, known: ReviewPath, photo: Path, action: str, marks: set[str]
) -> None:
    back = f"/review?path={known.path}&plain=1"
    response = page.post("/review/mark", {"files": [quote(str(photo), safe="")], "action": action, "back": back})

    assert response["Location"] == back
    assert marks_of(photo) == marks
    assert "1 file" in text(page.get(back))


def test_trash_page_without_a_path_redirects_to_the_list(page: Client) -> None:
    assert page.get("/review/trash")["Location"] == "/review"


def test_rejected_mark_shows_the_reason(page: Client, known: ReviewPath, photo: Path) -> None:
    put(photo.parent, f"{photo.name}.lock", b"")
    page.post("/review/mark", {"files": [quote(str(photo), safe="")], "action": "trash", "back": "/review"})

    assert "The item is locked." in text(page.get("/review"))
    assert marks_of(photo) == {".lock"}


def test_form_without_files_changes_nothing(page: Client, photo: Path) -> None:
    page.post("/review/mark", {"action": "trash"})

    assert "Choose at least one file." in text(page.get("/review"))
    assert marks_of(photo) == set()


@pytest.mark.parametrize("back", ["https://example.org/review", "//example.org/review", "/admin/logout", ""])
def test_form_redirects_only_to_review_pages(page: Client, photo: Path, back: str) -> None:
    response = page.post("/review/mark", {"files": [quote(str(photo), safe="")], "action": "seen", "back": back})

    assert response["Location"] == "/review"


def test_non_utf8_name_can_be_marked(page: Client, known: ReviewPath, card: Path) -> None:
    name = b"caf\xe9.jpg"
    folder = bytes(card)
    Path(card, "x").write_bytes(jpeg())
    os.rename(os.path.join(folder, b"x"), os.path.join(folder, name))
    html = text(page.get("/review", {"path": known.path, "plain": "1"}))
    value = re.search(r'value="([^"]*caf%E9.jpg)"', html)[1]

    page.post("/review/mark", {"files": [value], "action": "lock"})

    assert os.path.exists(os.path.join(folder, name + b".lock"))


@pytest.mark.parametrize(("seconds", "year"), [(1_700_000_000, 2023), (4e11, 9999), (-4e11, 1)])
def test_to_datetime_limits_years_of_the_file_system(seconds: float, year: int) -> None:
    assert no_js_views.to_datetime(seconds).year == year


def test_file_page_links_to_the_next_file(page: Client, known: ReviewPath, photo: Path) -> None:
    query = {"path": known.path, "plain": "1", "file": quote(str(photo), safe="")}
    html = text(page.get("/review", query))

    assert f"/api/media-file?path={quote(str(photo), safe='')}" in html
    back = re.search(r'name="back" value="([^"]+)"', html)[1].replace("&amp;", "&")
    assert "IMG_0003.JPG" in text(page.get(back))


def test_unavailable_folder_shows_a_message(page: Client, known: ReviewPath, card: Path) -> None:
    card.rename(card.parent / "away")

    for url in ("/review", "/review/trash"):
        response = page.get(url, {"path": known.path, "plain": "1"})
        assert response.status_code == 200
        assert "This folder is not available" in text(response)


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 19, "-1", "x"])
def test_invalid_run_numbers_are_ignored(page: Client, card: Path, number: str) -> None:
    assert page.post("/review/trash", {"path": str(card), "cancel": number}).status_code == 302


def test_emptying_the_trash_requires_confirmation(page: Client, known: ReviewPath, photo: Path, monkeypatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr("reviewer.trash.runs.send", lambda run: sent.append(run.pk))
    put(photo.parent, f"{photo.name}.trash", b"")

    assert "1 file, " in text(page.get("/review/trash", {"path": known.path}))
    page.post("/review/trash", {"path": known.path})
    assert not TrashRun.objects.exists()
    page.post("/review/trash", {"path": known.path, "sure": "1"})

    assert sent == [TrashRun.objects.get().pk]
    html = text(page.get("/review/trash", {"path": known.path}))
    assert f", {known.path}: waiting, 0 files, " in html
    page.post("/review/trash", {"path": known.path, "cancel": str(sent[0])})
    assert TrashRun.objects.get().state == "cancelled"
    assert ": stopped, 0 files, " in text(page.get("/review/trash", {"path": known.path}))
