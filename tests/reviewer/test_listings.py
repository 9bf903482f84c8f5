"""The listings of files: the stream, one folder, the summary."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from nvr.media.http.stream_limits import HUGE_BYTES, SLOTS_PER_READER
from reviewer.api import listings
from reviewer.catalog import index, scanner, store
from reviewer.catalog.listing import Listing, list_folder
from reviewer.catalog.store import folder_page, index_file
from reviewer.models import ReviewPath
from tests.factories import jpeg, make_user, put
from tests.reviewer.conftest import settle

STREAM, FILES, SUMMARY = "/api/media-items/stream", "/api/folders/files", "/api/media-items/summary"
KEYS = ["path", "name", "mediaType", "thumbnailUrl", "sizeBytes", "modifiedAt", "createdAt", "status", "metadata"]


def streamed(client: APIClient, card: Path | str, **query: Any) -> list[dict[str, Any]]:
    """Return the items. The last line must match them."""
    response = client.get(STREAM, {"path": str(card), **query})
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/x-ndjson"
    *items, last = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]  # type: ignore[attr-defined]
    assert last == {"type": "done", "count": len(items)}
    return items


def names(items: list[dict[str, Any]]) -> list[str]:
    return ["/".join(item["path"].split("/")[-2:]) for item in items]


ALL = ["100MEDIA/IMG_0001.JPG", "101MEDIA/IMG_0001.JPG", "100MEDIA/IMG_0002.JPG", "100MEDIA/IMG_0003.JPG"]


def test_stream_is_sorted_by_name_then_path(review, card):
    assert names(streamed(review, card)) == ALL


def test_item_has_exactly_the_documented_keys(review, card):
    (item, *_) = streamed(review, card)
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"

    assert list(item) == KEYS
    assert item["path"] == str(file)
    assert item["mediaType"] == "image"
    assert item["thumbnailUrl"] == f"/api/media-thumbnail?path={quote(str(file), safe='')}&size=256"
    assert item["sizeBytes"] == file.stat().st_size
    assert item["modifiedAt"].endswith("+00:00") and len(item["modifiedAt"]) == len("2026-04-12T21:50:19.123456+00:00")
    assert item["status"] == {"locked": False, "trashed": False, "seen": False}
    assert item["metadata"] == {"width": 64, "height": 48, "duration_seconds": None}


def test_offset_and_cursor_return_the_same_pages(review, card):
    assert names(streamed(review, card, limit=2)) == ALL[:2]
    assert names(streamed(review, card, limit=2, offset=2)) == ALL[2:]
    assert names(streamed(review, card, offset=4)) == []
    cursor = streamed(review, card, limit=2)[-1]["path"]
    assert names(streamed(review, card, after=cursor)) == ALL[2:]
    assert names(streamed(review, card, after=f"{card}/zzz/IMG_0001.JPG")) == ALL[2:]


def test_filter_is_applied_before_offset_and_limit(review, card):
    put(card / "DCIM/100MEDIA", "IMG_0002.JPG.seen", b"")
    put(card / "DCIM/100MEDIA", "IMG_0003.JPG.seen", b"")
    put(card / "DCIM/100MEDIA", "IMG_0003.JPG.trash", b"")
    put(card / "DCIM/101MEDIA", "IMG_0001.JPG.lock", b"")

    assert names(streamed(review, card, statusFilter="unseen")) == ALL[:2]
    assert names(streamed(review, card, statusFilter="seen", offset=1)) == ALL[3:]
    assert names(streamed(review, card, statusFilter="trashed")) == ALL[3:]
    assert names(streamed(review, card, statusFilter="locked", limit=1)) == ALL[1:2]
    counts = review.get(SUMMARY, {"path": str(card)}).json()
    assert counts == {"path": str(card), "counts": {"all": 4, "unseen": 2, "seen": 2, "locked": 1, "trashed": 1}}


def test_changes_by_other_programs_are_listed_at_once(review, card):
    folder = card / "DCIM/100MEDIA"
    streamed(review, card)

    put(folder, "IMG_0000.JPG", jpeg())
    assert names(streamed(review, card))[0] == "100MEDIA/IMG_0000.JPG"
    (folder / "IMG_0000.JPG").rename(folder / "IMG_0009.JPG")
    assert names(streamed(review, card))[-1] == "100MEDIA/IMG_0009.JPG"
    put(folder, "IMG_0009.JPG.lock", b"")
    assert streamed(review, card)[-1]["status"]["locked"]
    put(card / "new/deep", "a.png", b"x")
    assert names(streamed(review, card))[-1] == "deep/a.png"
    shutil.rmtree(card / "DCIM")
    assert names(streamed(review, card)) == ["deep/a.png"]


def test_unchanged_folders_are_not_scanned_again(review, card, monkeypatch):
    streamed(review, card)
    calls: list[bytes] = []
    scandir = os.scandir

    def counted(path):
        if isinstance(path, bytes):  # other calls check whether the card is there
            calls.append(path)
        return scandir(path)

    monkeypatch.setattr("reviewer.catalog.listing.os.scandir", counted)

    streamed(review, card)
    assert calls == []
    put(card / "DCIM/101MEDIA", "IMG_0002.JPG", jpeg())
    streamed(review, card)
    assert calls == [os.fsencode(card / "DCIM/101MEDIA")]
    streamed(review, card, refresh=1)
    assert len(calls) == 5


def test_hidden_names_outside_links_and_other_files_are_not_listed(review, card, tmp_path):
    put(card / ".thumbnails/normal", "a.png", b"x")
    put(card / "DCIM", ".hidden.jpg", b"x")
    put(tmp_path / "elsewhere", "b.jpg", jpeg())
    (card / "DCIM/out.jpg").symlink_to(tmp_path / "elsewhere/b.jpg")
    (card / "DCIM/in.jpg").symlink_to(card / "DCIM/100MEDIA/IMG_0001.JPG")
    (card / "DCIM/folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(card / "DCIM/pipe.jpg")
    (card / "DCIM/video.mp4").mkdir()

    assert sorted(names(streamed(review, card))) == sorted([*ALL, "DCIM/in.jpg"])


def test_hidden_folder_cannot_be_listed_by_its_path(review, card):
    """Otherwise its files would be indexed, and a trash run would delete them."""
    put(card / ".hidden", "a.jpg", jpeg())
    put(card / ".hidden", "a.jpg.trash", b"")
    streamed(review, card)

    for folder in (card / ".hidden", card / ".hidden/deeper"):
        response = review.get(FILES, {"path": str(folder)})
        assert (response.status_code, set(response.json())) == (400, {"error"})
    assert names(streamed(review, card)) == ALL
    dry_run = b"".join(review.post("/api/empty-trash?dry_run=1").streaming_content)
    assert json.loads(dry_run) == {"type": "done", "deleted": 0, "errors": 0, "bytes": 0}


def test_damaged_or_deleted_index_is_rebuilt(review, card, known: ReviewPath):
    streamed(review, card)
    file = index_file(known.path)
    file.unlink()
    assert names(streamed(review, card)) == ALL
    file.write_bytes(b"\0" * 5000)
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    assert names(streamed(review, card)) == ALL


@pytest.mark.parametrize("url", [STREAM, FILES, SUMMARY])
def test_locked_index_is_503(review, card, known, monkeypatch, url):
    monkeypatch.setattr(index, "BUSY_TIMEOUT_S", 0.0)
    locked_index = index.Index(with_folder(index_file(known.path)))
    with closing(locked_index), locked_index.write_transaction():
        response = review.get(url, {"path": str(card)})

    assert (response.status_code, set(json.loads(response.content))) == (503, {"error"})
    assert "Retry-After" in response
    assert names(streamed(review, card)) == ALL


def test_no_space_for_the_index_is_507(review, card, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "new_scanner", full)

    response = review.get(SUMMARY, {"path": str(card)})

    assert (response.status_code, set(response.json())) == (507, {"error"})


def with_folder(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def test_continuous_marking_does_not_block_scans(review, card, folder, monkeypatch):
    streamed(review, card)
    put(folder, "IMG_0004.JPG", jpeg())
    scans = 0

    def mark_meanwhile(path: bytes, root: bytes) -> Listing:
        nonlocal scans
        scans += 1
        assert scans < 50
        listing = list_folder(path, root)
        body = {"path": f"{folder}/IMG_0001.JPG", "action": ("seen", "unseen")[scans % 2]}
        assert review.post("/api/media-actions", body, format="json").status_code == 200
        return listing

    with monkeypatch.context() as patched:
        patched.setattr(scanner, "list_folder", mark_meanwhile)
        assert len(streamed(review, card)) == 5

    counts = review.get(SUMMARY, {"path": str(card)}).json()["counts"]
    assert counts["seen"] == len(list(card.rglob("*.seen")))


def test_times_after_2262_are_listed(review, card, folder):
    """SQLite's integers cannot hold the nanoseconds of later times."""
    future = 11_000_000_000  # s since 1970
    for path in (folder / "IMG_0001.JPG", folder):
        os.utime(path, (future, future))

    for query in ({}, {"refresh": 1}, {}):
        item, *_ = streamed(review, card, **query)
        assert item["modifiedAt"].startswith("2318-")
        assert item["metadata"]["width"] == 64
    body = {"path": item["path"], "action": "seen"}
    assert review.post("/api/media-actions", body, format="json").status_code == 200
    os.utime(folder, (future, future))
    assert len(streamed(review, card, statusFilter="seen")) == 1


def test_missing_path_is_409_and_keeps_the_index(review, card):
    streamed(review, card)
    card.rename(card.with_name("away"))

    response = review.get(STREAM, {"path": str(card)})
    assert response.status_code == 409
    assert set(response.json()) == {"error"}
    card.with_name("away").rename(card)
    assert names(streamed(review, card)) == ALL


def test_adding_a_path_again_records_its_new_volume(manage, card, known):
    known.mount = known.mount | {"point": str(card)}  # as if its volume was unmounted
    known.save()
    assert manage.get(STREAM, {"path": str(card)}).status_code == 409

    for call in (manage.delete, manage.post):
        assert call("/api/review-paths", {"path": str(card)}, format="json").status_code in {200, 201}

    assert names(streamed(manage, card)) == ALL


def test_unusual_and_non_utf8_names_are_listed(review, card):
    folder = os.fsencode(card / "DCIM")
    for name in (b"br\xf6ken.jpg", b"line\nbreak.jpg", "\u202egpj.exe.jpg".encode(), b"x" * 251 + b".jpg"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(jpeg())

    items = streamed(review, card)
    assert len(items) == 8
    assert any("%F6" in item["thumbnailUrl"] for item in items)


def test_cursor_can_be_a_non_utf8_name(review, card):
    for name in (b"a\xf61.jpg", b"a\xf62.jpg"):
        Path(os.fsdecode(os.fsencode(card) + b"/DCIM/" + name)).write_bytes(jpeg())

    response = review.get(f"{STREAM}?path={quote(str(card))}&after={quote(str(card))}/DCIM/a%F61.jpg")
    lines = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert ["%F62" in line.get("thumbnailUrl", "") for line in lines] == [True, False]


def test_query_with_too_many_fields_is_400(review, card):
    response = review.get(f"{STREAM}?path={quote(str(card))}" + "&a=1" * 200)

    assert (response.status_code, set(response.json())) == (400, {"error"})


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"path": ""}, 400),
        ({"path": "relative"}, 400),
        ({"path": "/nowhere"}, 403),
        ({"path": "{card}/DCIM"}, 403),
        ({"path": "{card}/../card"}, 200),
        ({"path": "{card}", "limit": "0"}, 400),
        ({"path": "{card}", "limit": "10001"}, 400),
        ({"path": "{card}", "limit": "x"}, 400),
        ({"path": "{card}", "limit": "9" * 5000}, 400),
        ({"path": "{card}", "offset": "-1"}, 400),
        ({"path": "{card}", "offset": "1e3"}, 400),
        ({"path": "{card}", "statusFilter": "unknown"}, 400),
        ({"path": "{card}", "refresh": "yes"}, 400),
        ({"path": "{card}\0"}, 400),
    ],
)
def test_stream_rejects_invalid_queries(review, card, query, status):
    response = review.get(STREAM, {name: value.format(card=card) for name, value in query.items()})

    assert response.status_code == status
    if status != 200:
        assert set(response.json()) == {"error"}


def test_folder_listing_has_pages_and_counts_ignored_files(review, card):
    folder = card / "DCIM/100MEDIA"
    put(folder, "IMG_0001.JPG.seen", b"")
    response = review.get(FILES, {"path": str(folder), "offset": 1, "limit": 1}).json()

    assert list(response) == ["path", "offset", "limit", "count", "ignoredCount", "items"]
    assert (response["path"], response["offset"], response["limit"]) == (str(folder), 1, 1)
    assert (response["count"], response["ignoredCount"]) == (1, 1)
    assert list(response["items"][0]) == KEYS
    assert response["items"][0]["name"] == "IMG_0002.JPG"
    assert review.get(FILES, {"path": str(card)}).json()["items"] == []
    assert review.get(FILES, {"path": str(card / "missing")}).json()["count"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"path": "/etc"}, 403), ({"path": "{card}", "limit": "1001"}, 400), ({"path": "{card}/.."}, 403)],
)
def test_folder_listing_rejects_invalid_queries(review, card, query, status):
    response = review.get(FILES, {name: value.format(card=card) for name, value in query.items()})

    assert (response.status_code, set(response.json())) == (status, {"error"})


def test_users_without_access_get_no_listing(card, known, group):
    for user, status in (
        (None, 401),
        (make_user("guest", groups=(group,)), 403),
        (make_user("outsider", "reviewer.review"), 403),
    ):
        client = APIClient()
        client.force_authenticate(user)
        for url in (STREAM, FILES, SUMMARY):
            response = client.get(url, {"path": str(card)})
            assert (response.status_code, set(response.json())) == (status, {"error"})


def test_large_tree_returns_correct_pages_at_any_offset(review, tmp_path, manage, group):
    root = tmp_path.resolve() / "large"
    expected = []
    for folder in range(6):
        (root / f"{folder}").mkdir(parents=True)
        for number in range(folder, 6000, 3):
            file = root / f"{folder}" / f"{number:05}.jpg"
            file.touch()
            expected.append((file.name, f"{root}/{folder}/{file.name}"))
    settle(root)
    expected.sort()
    assert manage.post("/api/review-paths", {"path": str(root)}, format="json").status_code == 201

    for offset in (0, 999, 1000, 5555, len(expected) - 3):
        found = [(item["name"], item["path"]) for item in streamed(manage, root, offset=offset, limit=700)]
        assert found == expected[offset : offset + 700]
    assert len(streamed(manage, root, limit=10_000)) == 10_000


@pytest.mark.parametrize("cursor", ["rubbish", "/elsewhere/IMG_0001.JPG", "IMG_0001.JPG"])
def test_cursor_outside_the_review_path_is_rejected(review, card, cursor):
    response = review.get(STREAM, {"path": str(card), "after": cursor})

    assert response.status_code == 400
    assert json.loads(response.content) == {"error": "after must be the path of an item below the review path."}


def test_hidden_folder_is_not_indexed(review, card):
    put(card / ".trash-1000", "IMG_0009.JPG", jpeg(32, 32))
    review.get(SUMMARY, {"path": str(card)})

    assert folder_page(ReviewPath.objects.get(), b".trash-1000", offset=0, limit=9) == ([], 0)
    assert folder_page(ReviewPath.objects.get(), b"DCIM/.x/y", offset=0, limit=9) == ([], 0)
    assert review.get(SUMMARY, {"path": str(card)}).json()["counts"]["all"] == 4


def test_stream_ends_without_done_line_if_the_volume_disappears(review, card):
    for number in range(300):
        put(card / "DCIM/102MEDIA", f"IMG_{number:04}.JPG", b"")
    response = review.get(STREAM, {"path": str(card), "limit": 10_000})
    chunks = iter(response.streaming_content)
    first = next(chunks)

    card.rename(card.with_name("pulled"))

    assert json.loads(first)["name"] == "IMG_0000.JPG"
    assert b"".join(chunks) == b""


def test_deleted_files_are_omitted(review, card):
    response = review.get(STREAM, {"path": str(card)})
    (card / "DCIM" / ALL[2]).unlink()

    *items, done = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]

    assert names(items) == [ALL[0], ALL[1], ALL[3]]
    assert done == {"type": "done", "count": 3}


@pytest.mark.django_db(transaction=True)  # closing a response closes database connections
def test_unread_long_streams_are_limited(review, card, monkeypatch):
    monkeypatch.setattr(listings, "ITEM_BYTES", HUGE_BYTES)
    unread = [review.get(STREAM, {"path": str(card)}) for _ in range(SLOTS_PER_READER)]

    rejected = review.get(STREAM, {"path": str(card)})

    assert {response.status_code for response in unread} == {200}
    assert rejected.status_code == 503
    for response in unread:
        response.close()
    assert names(streamed(review, card)) == ALL


@pytest.mark.parametrize("damage", ["DELETE FROM keys", "DELETE FROM marks", "UPDATE marks SET marks = x'00'"])
def test_index_with_inconsistent_blocks_is_rebuilt(review, card, damage):
    streamed(review, card)
    store.scanner_of(ReviewPath.objects.get()).index.db.execute(damage)

    assert names(streamed(review, card)) == ALL
    assert names(streamed(review, card, statusFilter="unseen")) == ALL
