"""Files and bytes as answers: preconditions, ranges, headers, slots, nginx."""

from __future__ import annotations

import gc
import io
import os
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core import signals
from django.db import close_old_connections
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.http import http_date

from nvr.media.files.content_types import FileTypeNotAllowed
from nvr.media.files.paths import NoSuchFile, OutsideRoot
from nvr.media.http import stream_limits as slots_module
from nvr.media.http.ranges import Entity, PreconditionFailed, RangeNotSatisfiable, ResponsePlan
from nvr.media.http.responses import FileShrank, bytes_response, content_disposition, file_response, with_headers
from nvr.media.http.stream_limits import LARGE_BYTES, StreamSlots, TooManyStreams, take_stream_slot

TEN = b"0123456789"
MODIFIED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RANGES = [
    ("bytes=0-0", "0-0"),
    ("bytes=-1", "9-9"),
    ("bytes=9-", "9-9"),
    ("bytes=5-99", "5-9"),
    ("bytes=-99", "0-9"),
    ("bytes=0-", "0-9"),
    ("bytes=3-3", "3-3"),
    ("BYTES=3-4", "3-4"),
    ("bytes= 3-4 ", "3-4"),
    ("bytes=03-0004", "3-4"),
    (f"bytes=5-{'9' * 5000}", "5-9"),
    (f"bytes=-{'9' * 5000}", "0-9"),
    (f"bytes={'0' * 5000}5-6", "5-6"),
]
UNSATISFIABLE = ["bytes=10-", "bytes=-0", "bytes=10-20", f"bytes={'9' * 5000}-", "bytes=99-100", "bytes=-000"]
WHOLE = [
    "bytes=5-2",
    f"bytes={'9' * 5000}-{'9' * 4999}",
    "bytes=0-1,3-4",
    "items=0-1",
    "bytes=-",
    "-",
    "",
    "bytes",
    "bytes=",
    "bytes=a-b",
    "bytes=1-b",
    "bytes=+1-2",
    "bytes=1--2",
    "bytes=0x1-2",
    "bytes=1.0-2",
    "bytes=\u0661-\u0662",
    "bytes=0-0;x",
    "bytes 0-1",
]


@pytest.fixture(autouse=True)
def no_database() -> Iterator[None]:
    """Closing an answer ends a request, at which Django looks after its connections; there is no request here."""
    signals.request_finished.disconnect(close_old_connections)
    yield
    signals.request_finished.connect(close_old_connections)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(TEN)
    os.utime(path, (MODIFIED.timestamp(), MODIFIED.timestamp()))
    return path


@pytest.fixture(params=["file", "bytes"])
def answer(request, file):
    """The same answers are expected of a file and of bytes in memory."""

    def from_file(method="GET", **headers):
        return file_response(asked(method, **headers), file)

    def from_bytes(method="GET", **headers):
        return bytes_response(
            asked(method, **headers),
            TEN,
            etag="tag",
            last_modified=MODIFIED,
            content_type="image/jpeg",
            filename="a.jpg",
        )

    return from_file if request.param == "file" else from_bytes


def asked(method: str = "GET", **headers: str):
    request = RequestFactory().generic(method, "/", headers=headers)
    request.user = AnonymousUser()
    return request


def body(response) -> bytes:
    data = b"".join(response.streaming_content) if response.streaming else response.content
    response.close()
    return data


def test_a_complete_response_has_the_headers_for_conditional_requests(answer):
    response = answer()

    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Length"] == "10"
    assert response["Accept-Ranges"] == "bytes"
    assert response["Last-Modified"] == http_date(MODIFIED.timestamp())
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, no-cache"
    assert response["Content-Disposition"] == 'inline; filename="a.jpg"'
    assert re.fullmatch(r'"[!-~]+"', response["ETag"])
    assert body(response) == TEN


def test_a_time_beyond_the_year_9999_is_limited_to_it():
    answer = with_headers(HttpResponse(), ResponsePlan(200, 0, 3), Entity('"a"', 10**14, 3), {})

    assert answer["Last-Modified"] == "Fri, 31 Dec 9999 23:59:59 GMT"


@pytest.mark.parametrize(("header", "span"), RANGES)
def test_a_single_range_returns_that_part(answer, header, span):
    response = answer(range=header)
    first, last = map(int, span.split("-"))

    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {span}/10"
    assert response["Content-Length"] == str(last - first + 1)
    assert body(response) == TEN[first : last + 1]


@pytest.mark.parametrize("header", UNSATISFIABLE)
def test_a_range_after_the_end_is_416_with_the_size(answer, header):
    with pytest.raises(RangeNotSatisfiable) as refusal:
        answer(range=header)

    assert refusal.value.status == 416
    assert refusal.value.headers["Content-Range"] == "bytes */10"


@pytest.mark.parametrize("header", WHOLE)
def test_other_range_headers_return_the_complete_file(answer, header):
    response = answer(range=header)

    assert response.status_code == 200
    assert "Content-Range" not in response
    assert body(response) == TEN


@pytest.mark.parametrize("header", ["bytes=0-0", "bytes=99-", "bytes=0-1,3-4"])
def test_head_ignores_range_and_has_no_body(answer, header):
    response = answer("HEAD", range=header)

    assert response.status_code == 200
    assert response["Content-Length"] == "10"
    assert body(response) == b""


@pytest.mark.parametrize(("header", "status"), [("bytes=0-", 416), ("bytes=0-0", 416), ("bytes=-5", 200), ("", 200)])
def test_an_empty_file_has_no_ranges(tmp_path, header, status):
    (tmp_path / "empty.jpg").write_bytes(b"")

    try:
        response = file_response(asked(range=header), tmp_path / "empty.jpg")
    except RangeNotSatisfiable as error:
        assert (error.status, error.headers["Content-Range"]) == (status, "bytes */0")
    else:
        assert (response.status_code, response["Content-Length"], body(response)) == (status, "0", b"")


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*", '"a","b" , {}'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_unchanged_file_is_304(answer, form, method):
    tag = answer()["ETag"]

    response = answer(method, **{"if-none-match": form.format(tag), "range": "bytes=0-0"})

    assert response.status_code == 304
    assert response["ETag"] == tag
    assert "Content-Length" not in response
    assert "Content-Type" not in response
    assert body(response) == b""


@pytest.mark.parametrize(
    ("since", "status"),
    [
        (http_date(MODIFIED.timestamp()), 304),
        (http_date(MODIFIED.timestamp() + 9999), 304),
        (http_date(MODIFIED.timestamp() - 1), 200),
        ("yesterday", 200),
        ("Fri, 99 Jan 2026 03:04:05 GMT", 200),
        ("", 200),
    ],
)
def test_if_modified_since(answer, since, status):
    assert answer(**{"if-modified-since": since}).status_code == status


def test_an_etag_takes_precedence_over_a_date(answer):
    headers = {"if-none-match": '"other"', "if-modified-since": http_date(MODIFIED.timestamp())}

    assert answer(**headers).status_code == 200


@pytest.mark.parametrize("form", ['"other"', "W/{}", "", "{}x"])
def test_if_match_with_another_etag_is_412(answer, form):
    tag = answer()["ETag"]

    with pytest.raises(PreconditionFailed):
        answer(**{"if-match": form.format(tag)})


@pytest.mark.parametrize("form", ["*", "{}", '"other", {}'])
def test_if_match_with_the_current_etag_succeeds(answer, form):
    tag = answer()["ETag"]

    assert answer(**{"if-match": form.format(tag), "if-unmodified-since": http_date(0)}).status_code == 200


def test_if_unmodified_since(answer):
    with pytest.raises(PreconditionFailed):
        answer(**{"if-unmodified-since": http_date(MODIFIED.timestamp() - 1)})
    assert answer(**{"if-unmodified-since": http_date(MODIFIED.timestamp())}).status_code == 200
    assert answer(**{"if-unmodified-since": "nonsense"}).status_code == 200


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("{tag}", 206),
        (http_date(MODIFIED.timestamp()), 206),
        ("W/{tag}", 200),
        ('"other"', 200),
        (http_date(MODIFIED.timestamp() + 1), 200),
        (http_date(MODIFIED.timestamp() - 1), 200),
        ("nonsense", 200),
    ],
)
def test_if_range_requires_exactly_this_etag_or_date(answer, condition, status):
    tag = answer()["ETag"]

    assert answer(**{"range": "bytes=2-3", "if-range": condition.format(tag=tag)}).status_code == status


def test_a_range_ignored_by_if_range_is_never_416(answer):
    assert answer(**{"range": "bytes=99-", "if-range": '"other"'}).status_code == 200


@pytest.mark.parametrize("change", ["content", "mtime", "inode"])
def test_the_etag_changes_with_the_file(file, change):
    before = file_response(asked(), file)["ETag"]

    if change == "content":
        file.write_bytes(b"x" * 11)
    elif change == "mtime":
        os.utime(file, ns=(0, int(MODIFIED.timestamp() * 1e9) + 1))
    else:
        (file.parent / "new").write_bytes(TEN)
        os.utime(file.parent / "new", (MODIFIED.timestamp(), MODIFIED.timestamp()))
        (file.parent / "new").replace(file)

    assert file_response(asked(), file)["ETag"] != before


def test_the_opened_file_is_sent_even_if_it_is_replaced(file):
    response = file_response(asked(), file)
    (file.parent / "new").write_bytes(b"something longer than before")
    (file.parent / "new").replace(file)

    assert body(response) == TEN


def test_a_file_that_shrank_raises_an_error(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x" * 200_000)
    response = file_response(asked(), tmp_path / "a.mp4")
    os.truncate(tmp_path / "a.mp4", 1000)

    with pytest.raises(FileShrank):
        b"".join(response.streaming_content)
    with pytest.raises(FileShrank):
        response.close()
    response.close()


def test_the_end_of_a_sparse_file_of_many_gigabytes_is_sent_at_once(tmp_path):
    with (tmp_path / "a.mp4").open("wb") as file:
        file.seek(5 * 10**10)
        file.write(b"the end")

    response = file_response(asked(range="bytes=-3"), tmp_path / "a.mp4")

    assert response["Content-Range"] == "bytes 50000000004-50000000006/50000000007"
    assert body(response) == b"end"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", 'inline; filename="a.jpg"'),
        ('a"b\\c.jpg', 'inline; filename="a\\"b\\\\c.jpg"'),
        ("a b;c.jpg", 'inline; filename="a b;c.jpg"'),
        ("ä.jpg", "inline; filename=\"_.jpg\"; filename*=UTF-8''%C3%A4.jpg"),
        ("50%.jpg", "inline; filename=\"50_.jpg\"; filename*=UTF-8''50%25.jpg"),
        ("a\r\nSet-Cookie: x=1.jpg", 'inline; filename="a__Set-Cookie: x=1.jpg"'),
        ("a\x00\x85\u2028b.jpg", 'inline; filename="a___b.jpg"'),
        ("a\udcffb.jpg", 'inline; filename="a_b.jpg"'),
        ("../a.jpg", 'inline; filename=".._a.jpg"'),
    ],
)
def test_no_file_name_breaks_the_header(name, expected):
    value = content_disposition("inline", name)

    assert value == expected
    assert HttpResponse(headers={"Content-Disposition": value})["Content-Disposition"] == expected


def test_name_type_disposition_and_caching_are_parameters(file):
    response = file_response(
        asked(),
        file,
        filename="b.bin",
        disposition="attachment",
        content_type="application/zip",
        cache_control="no-store",
    )

    assert response["Content-Disposition"] == 'attachment; filename="b.bin"'
    assert response["Content-Type"] == "application/zip"
    assert response["Cache-Control"] == "no-store"


def test_other_types_and_special_files_are_rejected(tmp_path):
    (tmp_path / "a.exe").write_bytes(b"x")
    os.mkfifo(tmp_path / "a.jpg")

    with pytest.raises(FileTypeNotAllowed):
        file_response(asked(), tmp_path / "a.exe")
    with pytest.raises(NoSuchFile):
        file_response(asked(), tmp_path / "a.jpg")
    with pytest.raises(NoSuchFile):
        file_response(asked(), tmp_path / "missing.jpg")


def test_the_opened_file_must_be_inside_the_root(file, tmp_path):
    with pytest.raises(OutsideRoot):
        file_response(asked(), file, root=tmp_path.resolve() / "elsewhere")
    assert file_response(asked(), file.resolve(), root=tmp_path.resolve()).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"range": "bytes=1-2"}, {"range": "bytes=99-"}, {"if-none-match": "*"}, {"if-match": '"other"'}],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_descriptor_stays_open(file, headers, method):
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(10):
        try:
            file_response(asked(method, **headers), file).close()
        except (RangeNotSatisfiable, PreconditionFailed):
            continue

    assert len(os.listdir("/proc/self/fd")) == before


class TestNginx:
    """Below a root of NVR_ACCEL_REDIRECT nginx sends the bytes."""

    def test_it_is_told_where_the_file_is_and_not_sent_it(self, settings, file):
        settings.NVR_ACCEL_REDIRECT = {file.parent: "/_protected/0/"}

        response = file_response(asked(range="bytes=99-"), file)

        assert response["X-Accel-Redirect"] == "/_protected/0/a.jpg"
        assert response["Content-Type"] == "image/jpeg"
        assert response["Content-Disposition"] == 'inline; filename="a.jpg"'
        assert response["Cache-Control"] == "private, no-cache"
        assert body(response) == b""

    def test_every_character_of_a_name_is_encoded(self, settings, tmp_path):
        name = 'a ?#%2e&"\n\\ä.jpg'
        (tmp_path / name).write_bytes(b"x")
        settings.NVR_ACCEL_REDIRECT = {tmp_path: "/p/"}

        address = file_response(asked(), tmp_path / name)["X-Accel-Redirect"]

        assert address == "/p/a%20%3F%23%252e%26%22%0A%5C%C3%A4.jpg"

    def test_the_longest_root_wins_and_others_are_sent_by_us(self, settings, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.jpg").write_bytes(b"x")
        (tmp_path / "in-2").mkdir()
        (tmp_path / "in-2" / "a.jpg").write_bytes(b"x")
        settings.NVR_ACCEL_REDIRECT = {tmp_path: "/outer/", tmp_path / "in": "/inner/"}

        assert file_response(asked(), tmp_path / "in" / "a.jpg")["X-Accel-Redirect"] == "/inner/a.jpg"
        assert file_response(asked(), tmp_path / "in-2" / "a.jpg")["X-Accel-Redirect"] == "/outer/in-2/a.jpg"
        settings.NVR_ACCEL_REDIRECT = {tmp_path / "in": "/inner/"}
        assert "X-Accel-Redirect" not in file_response(asked(), tmp_path / "in-2" / "a.jpg")


@pytest.fixture
def slots(monkeypatch) -> StreamSlots:
    few = StreamSlots(capacity=6, per_reader=4)
    monkeypatch.setattr(slots_module, "slots", few)
    return few


@pytest.fixture
def large(tmp_path) -> Path:
    path = tmp_path / "large.mp4"
    path.write_bytes(b"x" * LARGE_BYTES)
    return path


def signed_in(pk: int = 1, **headers: str):
    request = asked(**headers)
    request.user = User(pk=pk)
    return request


class TestSlots:
    """Slow readers of large bodies never hold all threads."""

    def test_a_large_body_holds_a_slot_until_it_is_closed(self, slots, large):
        response = file_response(signed_in(), large)
        assert slots.taken == 1

        response.close()
        response.close()

        assert slots.taken == 0

    def test_bytes_in_memory_hold_one_too(self, slots):
        response = bytes_response(
            signed_in(),
            b"x" * LARGE_BYTES,
            etag="t",
            last_modified=MODIFIED,
            content_type="image/jpeg",
            filename="a.jpg",
        )
        assert slots.taken == 1

        response.close()

        assert slots.taken == 0

    @pytest.mark.parametrize("headers", [{"if-none-match": "*"}, {"range": "bytes=0-1000"}])
    def test_what_sends_little_takes_none(self, slots, large, headers):
        file_response(signed_in(**headers), large)

        assert slots.taken == 0

    def test_head_takes_none(self, slots, large):
        file_response(asked("HEAD"), large)

        assert slots.taken == 0

    def test_over_capacity_it_waits_a_little_and_then_says_when_to_come_back(self, slots, large):
        held = [slots.take() for _ in range(6)]
        started = time.monotonic()

        with pytest.raises(TooManyStreams) as refusal:
            file_response(signed_in(), large)

        assert 0.2 < time.monotonic() - started < 20
        assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "2"})
        held[0].close()
        file_response(signed_in(), large).close()

    def test_who_waits_gets_the_slot_that_comes_free(self, slots):
        held = [slots.take() for _ in range(6)]
        threading.Timer(0.05, held[0].close).start()

        slots.take(timeout=timedelta(seconds=5)).close()

    def test_one_user_holds_four_streams_and_another_has_room(self, slots):
        held = [take_stream_slot(signed_in(1), size=None) for _ in range(4)]

        with pytest.raises(TooManyStreams):
            take_stream_slot(signed_in(1), size=slots_module.HUGE_BYTES)
        take_stream_slot(signed_in(1), size=LARGE_BYTES).close()
        take_stream_slot(signed_in(2), size=None).close()
        held[0].close()
        take_stream_slot(signed_in(1), size=None).close()

    def test_a_strangers_address_counts_from_a_quarter_of_a_megabyte_on(self, slots):
        held = [take_stream_slot(asked(), size=LARGE_BYTES) for _ in range(4)]

        with pytest.raises(TooManyStreams):
            take_stream_slot(asked(), size=LARGE_BYTES)
        take_stream_slot(asked(), size=LARGE_BYTES - 1)
        elsewhere = asked()
        elsewhere.client_address = "198.51.100.7"
        take_stream_slot(elsewhere, size=LARGE_BYTES).close()
        assert [slot.close() for slot in held] == [None] * 4

    def test_a_slot_is_given_back_by_with_and_after_errors(self, slots):
        with pytest.raises(RuntimeError), take_stream_slot(signed_in(), size=None):
            raise RuntimeError

        assert slots.taken == 0
        assert not slots.readers

    def test_an_answer_that_is_dropped_gives_its_slot_back(self, slots, large):
        response = file_response(signed_in(), large)
        del response
        gc.collect()

        assert slots.taken == 0

    def test_a_refused_answer_closes_its_file(self, slots, large):
        held = [slots.take() for _ in range(6)]
        before = len(os.listdir("/proc/self/fd"))

        with pytest.raises(TooManyStreams):
            file_response(signed_in(), large)

        assert len(os.listdir("/proc/self/fd")) == before
        assert len(held) == 6

    def test_counts_stay_right_under_many_threads(self, slots):
        def use() -> None:
            for _ in range(50):
                slots.take("user 1", timeout=timedelta(seconds=20)).close()

        users = [threading.Thread(target=use) for _ in range(8)]
        for user in users:
            user.start()
        for user in users:
            user.join()

        assert slots.taken == 0
        assert not slots.readers


def test_only_blocks_of_the_slice_are_read(file):
    response = file_response(asked(range="bytes=2-5"), file)

    assert response.file_to_stream.read(3) == b"234"
    assert response.file_to_stream.read(99) == b"5"
    assert response.file_to_stream.read(99) == b""
    assert isinstance(response.file_to_stream.file, io.RawIOBase)
