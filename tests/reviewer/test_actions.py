"""Marks: what they leave on the disk, one by one and many at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from nvr.audit.models import AuditEntry
from nvr.media.files import companions
from nvr.media.files.companions import ACTIONS, Locked, NameTooLong, ReadOnly
from reviewer.catalog import store
from tests.factories import jpeg, make_camera, make_user, put
from tests.reviewer.test_former_marks import status_of
from tests.reviewer.test_listings import names, streamed

ACT, BATCH = "/api/media-actions", "/api/media-items/batch"


def act(client: APIClient, path: Path | str, action: str):
    return client.post(ACT, {"path": str(path), "action": action}, format="json")


def marks(file: Path) -> set[str]:
    return {path.name.removeprefix(file.name) for path in file.parent.glob(f"{file.name}.*")}


@pytest.fixture
def picture(card: Path) -> Path:
    return card / "DCIM/100MEDIA/IMG_0001.JPG"


def test_each_action_leaves_its_marks(review, picture):
    steps = [
        ("lock", {".lock", ".seen"}),
        ("lock", {".lock", ".seen"}),
        ("unseen", {".lock"}),
        ("unlock", set()),
        ("unlock", set()),
        ("trash", {".trash", ".seen"}),
        ("lock", {".trash", ".seen", ".lock"}),
        ("untrash", {".seen", ".lock"}),
        ("seen", {".seen", ".lock"}),
    ]
    for action, expected in steps:
        answer = act(review, picture, action)
        assert answer.status_code == 200, answer.content
        assert marks(picture) == expected
        assert answer.json() == {
            "path": str(picture),
            "action": action,
            "status": {
                "locked": ".lock" in expected,
                "trashed": ".trash" in expected,
                "seen": ".seen" in expected,
            },
        }
    assert {mark: (picture.with_name(picture.name + mark)).stat().st_size for mark in marks(picture)} == {
        ".seen": 0,
        ".lock": 0,
    }


def test_what_is_locked_is_not_trashed(review, picture):
    act(review, picture, "lock")
    answer = act(review, picture, "trash")

    assert (answer.status_code, set(answer.json())) == (409, {"error"})
    assert marks(picture) == {".lock", ".seen"}


def test_an_action_shows_in_the_next_page_without_a_look_at_the_disk(review, card, picture, monkeypatch):
    streamed(review, card)
    monkeypatch.setattr("reviewer.catalog.scanner.list_folder", lambda *_: pytest.fail("looked at the disk again"))

    act(review, picture, "trash")

    assert names(streamed(review, card, statusFilter="trashed")) == ["100MEDIA/IMG_0001.JPG"]
    act(review, picture, "untrash")
    assert streamed(review, card, statusFilter="trashed") == []


def test_a_strangers_change_beside_ours_is_found_later(review, card, picture, monkeypatch):
    streamed(review, card)
    monkeypatch.setattr(store, "MTIME_GRANULARITY_NS", 0)
    before = picture.parent.stat().st_mtime_ns
    act(review, picture, "seen")
    put(picture.parent, "IMG_0002.JPG.lock", b"")  # within the same tick of the file system's clock
    os.utime(picture.parent, ns=(before, picture.parent.stat().st_mtime_ns))

    assert names(streamed(review, card, statusFilter="locked")) == ["100MEDIA/IMG_0002.JPG"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"path": "{file}"}, 400),
        ({"path": "{file}", "action": "explode"}, 400),
        ({"path": "{file}", "action": ["lock"]}, 400),
        ({"path": "{file}", "action": None}, 400),
        ({"path": 7, "action": "lock"}, 400),
        ({"path": "{file}.gone.jpg", "action": "lock"}, 400),
        ({"path": "{folder}", "action": "lock"}, 400),
        ({"path": "{folder}/notes.txt", "action": "lock"}, 400),
        ({"path": "/etc/passwd", "action": "lock"}, 403),
        ({"path": "/nowhere/a.jpg", "action": "lock"}, 403),
        ({"path": "{folder}/../../../a.jpg", "action": "lock"}, 403),
        ({"path": "{file}\u0000", "action": "lock"}, 400),
    ],
)
def test_refusals(review, picture, body, status):
    if isinstance(body, dict):
        body = {
            key: value.format(file=picture, folder=picture.parent) if isinstance(value, str) else value
            for key, value in body.items()
        }
    answer = review.post(ACT, body, format="json")

    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    assert marks(picture) == set()


def test_links_are_never_followed_to_make_a_mark(review, picture, tmp_path):
    target = put(tmp_path, "target", b"precious")
    picture.with_name(f"{picture.name}.lock").symlink_to(target)
    picture.with_name(f"{picture.name}.seen").symlink_to(tmp_path / "not there")

    assert act(review, picture, "lock").json()["status"]["locked"]
    assert target.read_bytes() == b"precious"
    assert not (tmp_path / "not there").exists()


def test_a_link_that_leads_outside_is_403(review, picture, tmp_path):
    outside = put(tmp_path / "elsewhere", "a.jpg", jpeg())
    (picture.parent / "link.jpg").symlink_to(outside)

    assert act(review, picture.parent / "link.jpg", "trash").status_code == 403
    assert marks(outside) == set()


@pytest.mark.parametrize("swapped", ["DCIM/100MEDIA", "DCIM"])
def test_a_folder_that_became_a_link_in_the_middle_is_not_followed(
    review, card, picture, tmp_path, monkeypatch, swapped
):
    outside = tmp_path / "elsewhere"
    others = put(outside / picture.relative_to(card / swapped).parent, picture.name, jpeg())
    real = companions.apply_action

    def act_late(file: Path, action: str) -> companions.Status:
        (card / swapped).rename(card / "moved")
        (card / swapped).symlink_to(outside)
        return real(file, action)

    monkeypatch.setattr(companions, "apply_action", act_late)

    assert act(review, picture, "trash").status_code == 400
    assert marks(others) == set()


def test_a_name_too_long_to_mark_changes_nothing(review, picture):
    file = put(picture.parent, "x" * 249 + ".jpg", jpeg())

    answer = act(review, file, "trash")  # .seen would fit, .trash would not
    assert (answer.status_code, set(answer.json())) == (409, {"error"})
    assert not list(file.parent.glob("x*.*.*"))
    assert act(review, file, "unseen").status_code == 200
    with pytest.raises(NameTooLong):
        companions.apply_action(file, "trash")


def test_a_name_that_is_no_utf8_is_known_by_what_is_shown_of_it(review, card, picture):
    broken = card / os.fsdecode(b"DCIM/b\xfcro/wind\xff.jpg")
    put(broken.parent, broken.name, jpeg())
    (shown,) = [item["path"] for item in streamed(review, card) if "wind" in item["name"]]

    answer = act(review, shown, "trash")

    assert answer.status_code == 200
    assert answer.json()["path"] == shown == str(card / "DCIM/b\ufffdro/wind\ufffd.jpg")
    assert marks(broken) == {".trash", ".seen"}


def test_of_two_names_that_are_shown_alike_neither_is_marked(review, card, picture):
    files = [put(card, os.fsdecode(name), jpeg()) for name in (b"wind\xfe.jpg", b"wind\xff.jpg")]

    assert act(review, card / "wind\ufffd.jpg", "trash").status_code == 400
    assert [marks(file) for file in files] == [set(), set()]

    exact = put(card, "wind\ufffd.jpg", jpeg())
    assert act(review, exact, "trash").status_code == 200
    assert marks(exact) == {".trash", ".seen"}


def test_a_card_that_is_away_is_409_with_a_sentence(review, card, picture):
    card.rename(card.with_name("pulled out"))

    answer = act(review, picture, "trash")

    assert (answer.status_code, set(answer.json())) == (409, {"error"})
    assert "mount" in answer.json()["error"]


def test_a_read_only_medium_is_409_with_a_sentence(picture, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(companions, "create", refuse)

    with pytest.raises(ReadOnly):
        companions.apply_action(picture, "lock")


@pytest.mark.parametrize(("action", "ending"), [("trash", ".trash"), ("lock", ".lock")])
@pytest.mark.parametrize("before", [set(), {".seen"}])
def test_a_medium_too_full_for_all_marks_gets_none(review, picture, monkeypatch, action, ending, before):
    for mark in before:
        put(picture.parent, picture.name + mark, b"")
    real = companions.create

    def make(directory: int, name: str) -> bool:
        if name.endswith(ending):
            raise OSError(28, "No space left on device")
        return real(directory, name)

    monkeypatch.setattr(companions, "create", make)

    answer = act(review, picture, action)

    assert answer.status_code == 409
    assert "full" in answer.json()["error"]
    assert marks(picture) == before


def test_twenty_at_once_leave_one_truth(picture):
    def work(number: int) -> None:
        for turn in range(20):
            try:
                companions.apply_action(picture, list(ACTIONS)[(number + turn) % len(ACTIONS)])
            except Locked:
                continue

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert picture.exists()
    for action in ("unlock", "untrash", "unseen"):
        status = companions.apply_action(picture, action)
    assert status == status_of(picture) == companions.Status(locked=False, trashed=False, seen=False)
    assert marks(picture) == set()


def test_a_batch_does_what_it_can_and_says_what_it_could_not(review, card, picture):
    act(review, card / "DCIM/101MEDIA/IMG_0001.JPG", "lock")
    paths = [str(picture), str(card / "DCIM/101MEDIA/IMG_0001.JPG"), str(card / "gone.jpg"), "/etc/passwd"]

    answer = review.post(BATCH, {"paths": paths, "action": "trash"}, format="json")

    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [(row["path"], row["status"]) for row in results] == list(zip(paths, (200, 409, 400, 403), strict=True))
    assert results[0]["error"] is None and all(row["error"] for row in results[1:])
    assert marks(picture) == {".trash", ".seen"}
    entry = AuditEntry.objects.get(action="media_marked")
    assert entry.changes == {"action": [None, "trash"], "files": [None, 1]}


@pytest.mark.parametrize(
    "body",
    [
        {"paths": [], "action": "seen"},
        {"paths": ["/a"] * 501, "action": "seen"},
        {"paths": "/a", "action": "seen"},
        {"paths": [1], "action": "seen"},
        {"paths": ["/a"], "action": "nothing"},
        {"action": "seen"},
        [],
    ],
)
def test_a_wrong_batch_marks_nothing(review, body):
    answer = review.post(BATCH, body, format="json")

    assert (answer.status_code, set(answer.json())) == (400, {"error"})


def test_a_cameras_files_take_the_right_to_change_cameras(manager, group):
    from tests.factories import folder_of

    camera = make_camera("Barn", groups=(group,))
    picture = put(folder_of(camera), "a.jpg", jpeg())
    chief = make_user("chief", is_superuser=True)
    from reviewer.registry import add_path

    add_path(chief, str(folder_of(camera)), groups=(group,))
    client = APIClient()
    for permissions, status in ((("reviewer.review",), 403), (("reviewer.review", "cameras.change_camera"), 200)):
        client.force_authenticate(make_user(None, *permissions, groups=(group,)))
        assert act(client, picture, "seen").status_code == status
    client.force_authenticate(make_user("blind", "reviewer.review", "reviewer.change_reviewpath"))
    assert act(client, picture, "unseen").status_code == 403
    assert client.get("/api/review-paths").json()["knownPaths"] == []


def test_a_batch_through_a_link_from_outside_is_on_record(review, known, picture, tmp_path):
    way = tmp_path.resolve() / "way"
    way.symlink_to(picture.parent)

    answer = review.post(BATCH, {"paths": [str(way / picture.name)], "action": "seen"}, format="json")

    assert answer.json()["results"] == [{"path": str(way / picture.name), "status": 200, "error": None}]
    entry = AuditEntry.objects.get(action="media_marked")
    assert (entry.target_pk, entry.changes["files"]) == (known.pk, [None, 1])


def test_a_batch_that_breaks_in_the_middle_leaves_on_record_what_was_marked(review, card, picture, monkeypatch):
    real = companions.apply_action

    def broken(file: Path, action: str) -> companions.Status:
        if file != picture:
            raise RuntimeError("a mistake of ours")
        return real(file, action)

    monkeypatch.setattr(companions, "apply_action", broken)
    paths = [str(picture), str(picture.with_name("IMG_0002.JPG"))]

    assert review.post(BATCH, {"paths": paths, "action": "seen"}, format="json").status_code == 500

    assert marks(picture) == {".seen"}
    assert AuditEntry.objects.get(action="media_marked").changes["files"] == [None, 1]


def test_a_large_batch_asks_the_database_no_more_than_a_small_one(review, card, django_assert_max_num_queries):
    make_camera("Barn")  # so that cameras' folders are looked at
    files = [str(put(card, f"{number:03}.jpg", b"")) for number in range(40)]
    with CaptureQueriesContext(connection) as small:
        review.post(BATCH, {"paths": files[:1], "action": "seen"}, format="json")

    with django_assert_max_num_queries(len(small)):
        answer = review.post(BATCH, {"paths": files, "action": "seen"}, format="json")

    assert {row["status"] for row in answer.json()["results"]} == {200}
