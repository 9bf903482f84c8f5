"""The page `/review` as the server sends it: choosing a folder, and all of reviewing without a script."""

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


def test_whoever_may_not_review_is_told_so_and_has_no_entry_in_the_rail(known: ReviewPath) -> None:
    outsider = client_of(make_user("outsider"))

    assert outsider.get("/review").status_code == 403
    assert 'href="/review"' not in text(outsider.get("/"))


def test_the_rail_leads_to_the_review(page: Client) -> None:
    assert 'href="/review"' in text(page.get("/"))
    assert re.search(r'href="/review" aria-current="page"', text(page.get("/review")))


def test_the_choice_shows_what_one_may_review_and_no_more(page: Client, known: ReviewPath, manager: User) -> None:
    ReviewPath.objects.create(path="/somewhere/else")

    assert f'data-root="{known.path}"' in text(page.get("/review"))
    assert "/somewhere/else" not in text(page.get("/review"))
    assert "/somewhere/else" in text(client_of(manager).get("/review"))


def test_only_managers_are_offered_to_add_a_folder(page: Client, manager: User) -> None:
    assert "Add a folder" not in text(page.get("/review"))
    assert "Add a folder" in text(client_of(manager).get("/review"))
    assert page.post("/review/paths", {"path": "/tmp"}).status_code == 403


def test_a_folder_is_added_and_its_review_begins(manager: User, card: Path) -> None:
    response = client_of(manager).post("/review/paths", {"path": str(card)})

    assert response.status_code == 302
    assert response["Location"] == f"/review?path={quote(str(card), safe='')}&filter=unseen"
    assert ReviewPath.objects.filter(path=str(card)).exists()
    assert AuditEntry.objects.filter(action="review_path_added").exists()


def test_a_refused_folder_comes_back_with_its_reason_and_what_was_typed(manager: User) -> None:
    response = client_of(manager).post("/review/paths", {"path": "/proc/1"})

    assert response.status_code == 403
    assert "/proc is hidden from review." in text(response)
    assert 'value="/proc/1"' in text(response)


def test_a_folder_is_removed_and_nothing_on_the_disk(manager: User, known: ReviewPath, photo: Path) -> None:
    client_of(manager).post("/review/paths", {"path": known.path, "remove": "1"})

    assert not ReviewPath.objects.exists()
    assert photo.exists()


def test_removing_a_folder_asks_first_and_says_that_the_files_stay(manager: User, known: ReviewPath) -> None:
    browser = client_of(manager)
    asked = browser.get("/review/paths", {"path": known.path})

    assert f"/review/paths?path={quote(known.path, safe='')}" in text(browser.get("/review"))
    assert "Its files and their marks stay on the disk" in text(asked)
    assert 'name="remove" value="1"' in text(asked)
    assert ReviewPath.objects.exists()
    assert browser.get("/review/paths").headers["Location"] == "/review"


def test_a_path_that_one_may_not_review_is_refused(page: Client) -> None:
    assert page.get("/review", {"path": "/etc"}).status_code == 403
    assert page.get("/review", {"path": "/etc", "plain": "1"}).status_code == 403


def test_the_scripts_page_is_small_and_sends_others_to_the_plain_one(page: Client, known: ReviewPath) -> None:
    response = page.get("/review", {"path": known.path, "filter": "unseen"})

    assert len(response.content) < 60_000
    assert re.search(r'<noscript><meta http-equiv="refresh" content="0; url=/review\?[^"]*plain=1', text(response))


def test_the_plain_page_lists_files_with_their_marks_in_words(page: Client, known: ReviewPath, photo: Path) -> None:
    put(photo.parent, f"{photo.name}.trash", b"")

    shown = text(page.get("/review", {"path": known.path, "plain": "1"}))

    assert shown.count('name="files"') == 4
    assert "In the trash" in shown
    assert "Not seen" in shown
    assert text(page.get("/review", {"path": known.path, "plain": "1", "filter": "trashed"})).count('name="files"') == 1


@pytest.mark.parametrize("order", ["folder", "name", "time"])
def test_the_plain_pages_follow_each_other_without_a_gap(
    page: Client, known: ReviewPath, card: Path, order: str
) -> None:
    for number in range(60):
        put(card / "more", f"P{number:03}.JPG", jpeg(8, 8))
    settle(card)
    names: list[str] = []
    files: set[str] = set()
    address = f"/review?path={quote(known.path)}&plain=1&order={order}"
    while address:
        shown = text(page.get(address))
        names += re.findall(r'<span class="break">([^<]+)</span>', shown)
        files |= {*re.findall(r'name="files" value="([^"]+)"', shown)}
        following = re.search(r'rel="next" href="([^"]+)"', shown)
        address = following[1].replace("&amp;", "&") if following else ""

    assert len(names) == 64
    assert len(files) == 64
    assert order != "name" or names == sorted(names)


def test_the_plain_pages_stand_in_the_order_that_is_chosen(page: Client, known: ReviewPath, card: Path) -> None:
    for age, name in enumerate(("a/Z.JPG", "b/A.JPG", "b/Z.JPG")):
        put(card / Path(name).parent, Path(name).name, jpeg(8, 8))
        os.utime(card / name, (1_500_000_000 - age,) * 2)
    settle(card)
    wanted = {"": ["a/Z", "b/A", "b/Z"], "name": ["b/A", "a/Z", "b/Z"], "time": ["b/Z", "b/A", "a/Z"]}

    for order, files in wanted.items():
        shown = text(page.get("/review", {"path": known.path, "plain": "1", "order": order}))
        found = re.findall(r"%252F([ab])%252F([AZ])\.JPG\"[^>]*><img", shown)
        assert [f"{folder}/{name}" for folder, name in found] == files
        assert shown.count('aria-current="true"') == 2
        following = re.search(r'<a href="([^"]+file=[^"]+)"[^>]*><img', shown)
        assert following is not None
        assert ("order=" in following[1]) == bool(order)


@pytest.mark.parametrize(
    ("action", "marks"), [("seen", {".seen"}), ("lock", {".lock", ".seen"}), ("trash", {".trash", ".seen"})]
)
def test_a_form_marks_the_chosen_files_and_returns(
    page: Client, known: ReviewPath, photo: Path, action: str, marks: set[str]
) -> None:
    back = f"/review?path={known.path}&plain=1"
    response = page.post("/review/mark", {"files": [quote(str(photo), safe="")], "action": action, "back": back})

    assert response["Location"] == back
    assert marks_of(photo) == marks
    assert "1 file" in text(page.get(back))


def test_the_trash_of_no_folder_leads_to_the_choice_of_one(page: Client) -> None:
    assert page.get("/review/trash")["Location"] == "/review"


def test_a_refusal_says_why(page: Client, known: ReviewPath, photo: Path) -> None:
    put(photo.parent, f"{photo.name}.lock", b"")
    page.post("/review/mark", {"files": [quote(str(photo), safe="")], "action": "trash", "back": "/review"})

    assert "The item is locked." in text(page.get("/review"))
    assert marks_of(photo) == {".lock"}


def test_nothing_chosen_is_said_and_changes_nothing(page: Client, photo: Path) -> None:
    page.post("/review/mark", {"action": "trash"})

    assert "Choose at least one file." in text(page.get("/review"))
    assert marks_of(photo) == set()


@pytest.mark.parametrize("back", ["https://example.org/review", "//example.org/review", "/admin/logout", ""])
def test_no_form_leads_elsewhere(page: Client, photo: Path, back: str) -> None:
    response = page.post("/review/mark", {"files": [quote(str(photo), safe="")], "action": "seen", "back": back})

    assert response["Location"] == "/review"


def test_a_name_that_is_no_utf8_can_be_marked(page: Client, known: ReviewPath, card: Path) -> None:
    name = b"caf\xe9.jpg"
    folder = bytes(card)
    Path(card, "x").write_bytes(jpeg())
    os.rename(os.path.join(folder, b"x"), os.path.join(folder, name))
    shown = text(page.get("/review", {"path": known.path, "plain": "1"}))
    value = re.search(r'value="([^"]*caf%E9.jpg)"', shown)[1]

    page.post("/review/mark", {"files": [value], "action": "lock"})

    assert os.path.exists(os.path.join(folder, name + b".lock"))


@pytest.mark.parametrize(("seconds", "year"), [(1_700_000_000, 2023), (4e11, 9999), (-4e11, 1)])
def test_a_date_is_shown_whatever_the_file_system_holds(seconds: float, year: int) -> None:
    assert no_js_views.to_datetime(seconds).year == year


def test_one_file_is_shown_and_its_form_leads_to_the_next(page: Client, known: ReviewPath, photo: Path) -> None:
    query = {"path": known.path, "plain": "1", "file": quote(str(photo), safe="")}
    shown = text(page.get("/review", query))

    assert f"/api/media-file?path={quote(str(photo), safe='')}" in shown
    back = re.search(r'name="back" value="([^"]+)"', shown)[1].replace("&amp;", "&")
    assert "IMG_0003.JPG" in text(page.get(back))


def test_a_folder_that_is_away_is_said_in_a_sentence(page: Client, known: ReviewPath, card: Path) -> None:
    card.rename(card.parent / "away")

    for address in ("/review", "/review/trash"):
        response = page.get(address, {"path": known.path, "plain": "1"})
        assert response.status_code == 200
        assert "This folder is not available" in text(response)


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 19, "-1", "x"])
def test_no_number_of_a_run_is_too_much(page: Client, card: Path, number: str) -> None:
    assert page.post("/review/trash", {"path": str(card), "cancel": number}).status_code == 302


def test_the_trash_tells_how_much_first_and_wants_a_yes(
    page: Client, known: ReviewPath, photo: Path, monkeypatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr("reviewer.trash.runs.send", lambda run: sent.append(run.pk))
    put(photo.parent, f"{photo.name}.trash", b"")

    assert "1 file, " in text(page.get("/review/trash", {"path": known.path}))
    page.post("/review/trash", {"path": known.path})
    assert not TrashRun.objects.exists()
    page.post("/review/trash", {"path": known.path, "sure": "1"})

    assert sent == [TrashRun.objects.get().pk]
    shown = text(page.get("/review/trash", {"path": known.path}))
    assert f", {known.path}: waiting, 0 files, " in shown
    page.post("/review/trash", {"path": known.path, "cancel": str(sent[0])})
    assert TrashRun.objects.get().state == "cancelled"
    assert ": stopped, 0 files, " in text(page.get("/review/trash", {"path": known.path}))
