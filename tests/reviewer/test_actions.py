"""Marking single files and batches, and the companions on the disk."""

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
from tests.reviewer.test_listings import names, streamed
from tests.reviewer.test_outdated_marks import status_of

ACT, BATCH = "/api/media-actions", "/api/media-items/batch"


def act(client: APIClient, path: Path | str, action: str):
    return client.post(ACT, {"path": str(path), "action": action}, format="json")


def marks(file: Path) -> set[str]:
    return {path.name.removeprefix(file.name) for path in file.parent.glob(f"{file.name}.*")}


@pytest.fixture
def picture(card: Path) -> Path:
    return card / "DCIM/100MEDIA/IMG_0001.JPG"


def test_each_action_sets_its_marks(review, picture):
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
        response = act(review, picture, action)
        assert response.status_code == 200, response.content
        assert marks(picture) == expected
        assert response.json() == {
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


def test_locked_file_cannot_be_trashed(review, picture):
    act(review, picture, "lock")
    response = act(review, picture, "trash")

    assert (response.status_code, set(response.json())) == (409, {"error"})
    assert marks(picture) == {".lock", ".seen"}


def test_action_is_listed_without_a_scan(review, card, picture, monkeypatch):
    streamed(review, card)
    monkeypatch.setattr("reviewer.catalog.scanner.list_folder", lambda *_: pytest.fail("scanned again"))

    act(review, picture, "trash")

    assert names(streamed(review, card, statusFilter="trashed")) == ["100MEDIA/IMG_0001.JPG"]
    act(review, picture, "untrash")
    assert streamed(review, card, statusFilter="trashed") == []


def test_simultaneous_change_by_another_program_is_detected(review, card, picture, monkeypatch):
    streamed(review, card)
    monkeypatch.setattr(store, "MTIME_GRANULARITY_NS", 0)
    before = picture.parent.stat().st_mtime_ns
    act(review, picture, "seen")
    put(picture.parent, "IMG_0002.JPG.lock", b"")  # within the resolution of the file system's timestamps
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
def test_action_rejects_invalid_bodies(review, picture, body, status):
    if isinstance(body, dict):
        body = {
            key: value.format(file=picture, folder=picture.parent) if isinstance(value, str) else value
            for key, value in body.items()
        }
    response = review.post(ACT, body, format="json")

    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert marks(picture) == set()


def test_marking_does_not_follow_companion_links(review, picture, tmp_path):
    target = put(tmp_path, "target", b"precious")
    picture.with_name(f"{picture.name}.lock").symlink_to(target)
    picture.with_name(f"{picture.name}.seen").symlink_to(tmp_path / "not there")

    assert act(review, picture, "lock").json()["status"]["locked"]
    assert target.read_bytes() == b"precious"
    assert not (tmp_path / "not there").exists()


def test_link_to_outside_is_403(review, picture, tmp_path):
    outside = put(tmp_path / "elsewhere", "a.jpg", jpeg())
    (picture.parent / "link.jpg").symlink_to(outside)

    assert act(review, picture.parent / "link.jpg", "trash").status_code == 403
    assert marks(outside) == set()


@pytest.mark.parametrize("swapped", ["DCIM/100MEDIA", "DCIM"])
def test_folder_replaced_with_a_link_while_marking_is_not_followed(
    review, card, picture, tmp_path, monkeypatch, swapped
):
    outside = tmp_path / "elsewhere"
    outside_file = put(outside / picture.relative_to(card / swapped).parent, picture.name, jpeg())
    real = companions.apply_action

    def swap_and_act(file: Path, action: str) -> companions.Status:
        (card / swapped).rename(card / "moved")
        (card / swapped).symlink_to(outside)
        return real(file, action)

    monkeypatch.setattr(companions, "apply_action", swap_and_act)

    assert act(review, picture, "trash").status_code == 400
    assert marks(outside_file) == set()


def test_name_too_long_to_mark_is_409(review, picture):
    file = put(picture.parent, "x" * 249 + ".jpg", jpeg())

    response = act(review, file, "trash")  # the name with .seen fits, with .trash it does not
    assert (response.status_code, set(response.json())) == (409, {"error"})
    assert not list(file.parent.glob("x*.*.*"))
    assert act(review, file, "unseen").status_code == 200
    with pytest.raises(NameTooLong):
        companions.apply_action(file, "trash")


def test_non_utf8_name_is_marked_by_its_displayed_name(review, card, picture):
    broken = card / os.fsdecode(b"DCIM/b\xfcro/wind\xff.jpg")
    put(broken.parent, broken.name, jpeg())
    (shown,) = [item["path"] for item in streamed(review, card) if "wind" in item["name"]]

    response = act(review, shown, "trash")

    assert response.status_code == 200
    assert response.json()["path"] == shown == str(card / "DCIM/b\ufffdro/wind\ufffd.jpg")
    assert marks(broken) == {".trash", ".seen"}


def test_ambiguous_displayed_name_is_400(review, card, picture):
    files = [put(card, os.fsdecode(name), jpeg()) for name in (b"wind\xfe.jpg", b"wind\xff.jpg")]

    assert act(review, card / "wind\ufffd.jpg", "trash").status_code == 400
    assert [marks(file) for file in files] == [set(), set()]

    exact = put(card, "wind\ufffd.jpg", jpeg())
    assert act(review, exact, "trash").status_code == 200
    assert marks(exact) == {".trash", ".seen"}


def test_missing_card_is_409(review, card, picture):
    card.rename(card.with_name("pulled out"))

    response = act(review, picture, "trash")

    assert (response.status_code, set(response.json())) == (409, {"error"})
    assert "mount" in response.json()["error"]


def test_read_only_medium_is_reported(picture, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(companions, "create", fail)

    with pytest.raises(ReadOnly):
        companions.apply_action(picture, "lock")


@pytest.mark.parametrize(("action", "suffix"), [("trash", ".trash"), ("lock", ".lock")])
@pytest.mark.parametrize("before", [set(), {".seen"}])
def test_full_medium_gets_no_partial_marks(review, picture, monkeypatch, action, suffix, before):
    for mark in before:
        put(picture.parent, picture.name + mark, b"")
    real = companions.create

    def create(directory: int, name: str) -> bool:
        if name.endswith(suffix):
            raise OSError(28, "No space left on device")
        return real(directory, name)

    monkeypatch.setattr(companions, "create", create)

    response = act(review, picture, action)

    assert response.status_code == 409
    assert "full" in response.json()["error"]
    assert marks(picture) == before


def test_concurrent_actions_leave_a_consistent_state(picture):
    def work(number: int) -> None:
        for step in range(20):
            try:
                companions.apply_action(picture, list(ACTIONS)[(number + step) % len(ACTIONS)])
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


def test_batch_returns_a_result_for_each_file(review, card, picture):
    act(review, card / "DCIM/101MEDIA/IMG_0001.JPG", "lock")
    paths = [str(picture), str(card / "DCIM/101MEDIA/IMG_0001.JPG"), str(card / "gone.jpg"), "/etc/passwd"]

    response = review.post(BATCH, {"paths": paths, "action": "trash"}, format="json")

    assert response.status_code == 207
    results = response.json()["results"]
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
def test_invalid_batch_marks_nothing(review, body):
    response = review.post(BATCH, body, format="json")

    assert (response.status_code, set(response.json())) == (400, {"error"})


def test_camera_files_require_change_camera(manager, group):
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
    client.force_authenticate(make_user("other", "reviewer.review", "reviewer.change_reviewpath"))
    assert act(client, picture, "unseen").status_code == 403
    assert client.get("/api/review-paths").json()["knownPaths"] == []


def test_batch_through_an_outside_link_is_audited(review, known, picture, tmp_path):
    alias = tmp_path.resolve() / "alias"
    alias.symlink_to(picture.parent)

    response = review.post(BATCH, {"paths": [str(alias / picture.name)], "action": "seen"}, format="json")

    assert response.json()["results"] == [{"path": str(alias / picture.name), "status": 200, "error": None}]
    entry = AuditEntry.objects.get(action="media_marked")
    assert (entry.target_pk, entry.changes["files"]) == (known.pk, [None, 1])


def test_aborted_batch_is_audited(review, card, picture, monkeypatch):
    real = companions.apply_action

    def broken(file: Path, action: str) -> companions.Status:
        if file != picture:
            raise RuntimeError("a bug")
        return real(file, action)

    monkeypatch.setattr(companions, "apply_action", broken)
    paths = [str(picture), str(picture.with_name("IMG_0002.JPG"))]

    assert review.post(BATCH, {"paths": paths, "action": "seen"}, format="json").status_code == 500

    assert marks(picture) == {".seen"}
    assert AuditEntry.objects.get(action="media_marked").changes["files"] == [None, 1]


def test_large_batch_needs_no_more_queries_than_a_small_one(review, card, django_assert_max_num_queries):
    make_camera("Barn")  # so that camera folders are checked
    files = [str(put(card, f"{number:03}.jpg", b"")) for number in range(40)]
    with CaptureQueriesContext(connection) as small:
        review.post(BATCH, {"paths": files[:1], "action": "seen"}, format="json")

    with django_assert_max_num_queries(len(small)):
        response = review.post(BATCH, {"paths": files, "action": "seen"}, format="json")

    assert {row["status"] for row in response.json()["results"]} == {200}
