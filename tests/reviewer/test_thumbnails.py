"""Thumbnails: exact size, created once, stored where other programs find them."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rest_framework.test import APIClient

from nvr.media.files.cached_files import cache_folder
from nvr.media.images import freedesktop
from nvr.media.images.letterbox import BACKGROUND
from reviewer.items import iso_timestamp
from reviewer.models import ReviewPath
from reviewer.thumbnails import rendering as thumbnails
from tests.factories import jpeg, make_user, make_video, put
from tests.films import encode_once

URL = "/api/media-thumbnail"
SIZE_NAMES = {128: "normal", 256: "large", 512: "x-large", 1024: "xx-large"}


@pytest.fixture(autouse=True)
def own_cache(settings, tmp_path: Path) -> None:
    settings.CACHE_DIR = tmp_path / "cache"


def get(client: APIClient, file: Path, **query: Any):
    """Return the response and its bytes."""
    response = client.get(URL, {"path": str(file), **query})
    body = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    return response, body


def picture(client: APIClient, file: Path, **query: Any) -> Image.Image:
    response, body = get(client, file, **query)
    assert (response.status_code, response["Content-Type"]) == (200, "image/png"), body
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def plain_picture(path: Path, size: tuple[int, int], colour: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(path, **options)
    return path


def shared_thumbnail(root: Path, file: Path, size: int = 256) -> Path:
    name = hashlib.md5(file.as_uri().encode()).hexdigest()
    return root / ".thumbnails" / SIZE_NAMES[size] / f"{name}.png"


def cached() -> list[Path]:
    return sorted(cache_folder("review-thumbnails").rglob("*.png"))


def near(one: Any, other: Any, by: int = 6) -> bool:
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


RED = (200, 30, 30)


@pytest.mark.parametrize("size", [1, 2, 100, 128, 200, 256, 300, 512, 1000, 1024])
def test_thumbnail_has_the_exact_size_and_is_letterboxed(review, card, size):
    file = plain_picture(card / "wide.png", (2000, 1000), RED)

    image = picture(review, file, size=size)

    assert (image.size, image.mode, image.format) == ((size, size), "RGB", "PNG")
    if size > 2:
        assert near(image.getpixel((size // 2, size // 2)), RED)
        assert image.getpixel((size // 2, 0)) == image.getpixel((size // 2, size - 1)) == BACKGROUND
        assert near(image.getpixel((1, size // 2)), RED)


@pytest.mark.parametrize("size", [100, 128, 200, 256, 700, 1024])
def test_small_picture_is_not_enlarged(review, card, size):
    image = picture(review, plain_picture(card / "small.png", (90, 60), RED), size=size)

    red = sum(count for count, colour in image.getcolors(size * size) if near(colour, RED))
    assert red == 90 * 60
    assert image.getpixel((size // 2 - 46, size // 2)) == BACKGROUND


def test_default_size_orientation_and_transparency(review, card):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = picture(review, plain_picture(card / "turned.jpg", (400, 200), RED, exif=exif))
    clear = picture(review, plain_picture(card / "clear.png", (256, 256), (200, 30, 30, 0)))

    assert upright.size == (256, 256)
    assert upright.getpixel((5, 128)) == BACKGROUND and near(upright.getpixel((128, 5)), RED)
    assert clear.getpixel((128, 128)) == BACKGROUND


@pytest.mark.parametrize("size", SIZE_NAMES)
def test_thumbnail_is_stored_as_freedesktop_specifies(review, card, size):
    file = put(card / "DCIM", "windy day.jpg", jpeg())
    _, body = get(review, file, size=size)

    thumbnail = shared_thumbnail(card, file, size)
    assert thumbnail.read_bytes() == body
    assert thumbnail.stat().st_mtime_ns == file.stat().st_mtime_ns
    text = Image.open(thumbnail).text  # type: ignore[attr-defined]
    assert (text["Thumb::URI"], text["Thumb::MTime"]) == (file.as_uri(), str(int(file.stat().st_mtime)))
    assert thumbnail.stat().st_mode & 0o777 == 0o600
    assert not list(card.rglob("*.part"))


def test_uris_are_escaped_like_glib():
    uri = freedesktop.file_uri(Path(os.fsdecode(b"/m/a b+(1)'~[2];#\xf6%.jpg")))

    assert uri == "file:///m/a%20b+(1)'~%5B2%5D%3B%23%F6%25.jpg"
    assert os.fsencode(freedesktop.path_from_uri(uri) or "") == b"/m/a b+(1)'~[2];#\xf6%.jpg"


def test_thumbnail_is_created_once_until_the_mtime_changes(review, card, monkeypatch):
    calls = []
    render = thumbnails.render
    monkeypatch.setattr(thumbnails, "render", lambda *args: calls.append(args) or render(*args))
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"

    for size in (256, 256, 200, 200):
        picture(review, file, size=size)
    assert len(calls) == 2
    file_stat = file.stat()
    os.utime(file, ns=(file_stat.st_atime_ns, file_stat.st_mtime_ns - 1_000))  # an older mtime counts as a change, too
    picture(review, file)
    assert len(calls) == 3


def test_other_sizes_are_stored_in_the_data_directory(review, card):
    picture(review, card / "DCIM/100MEDIA/IMG_0001.JPG", size=300)

    assert shared_thumbnail(card, card / "DCIM/100MEDIA/IMG_0001.JPG", 512).exists()
    assert len(list((card / ".thumbnails").rglob("*.png"))) == 1
    assert [Image.open(path).size for path in cached()] == [(300, 300)]


def test_thumbnail_is_stored_in_the_deepest_review_path(review, card, manage):
    ReviewPath.objects.create(path=str(card / "DCIM/101MEDIA"))  # without groups: invisible to the reviewer
    file = card / "DCIM/101MEDIA/IMG_0001.JPG"

    picture(review, file)

    assert shared_thumbnail(card / "DCIM/101MEDIA", file).exists()
    assert not (card / ".thumbnails").exists()


@pytest.mark.parametrize("link", [".thumbnails", ".thumbnails/large"])
def test_linked_thumbnail_folder_is_not_followed(review, card, tmp_path, link):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "large").mkdir(parents=True)
    (card / link).parent.mkdir(exist_ok=True)
    (card / link).symlink_to(elsewhere)
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"

    picture(review, file)

    assert [path for path in elsewhere.rglob("*") if path.is_file()] == []
    assert len(cached()) == 1


def test_linked_thumbnail_is_replaced_and_not_read(review, card, tmp_path):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    secret = put(tmp_path, "secret", b"secret")
    os.utime(secret, ns=(0, file.stat().st_mtime_ns))
    thumbnail = shared_thumbnail(card, file)
    thumbnail.parent.mkdir(parents=True)
    thumbnail.symlink_to(secret)

    _, body = get(review, file)

    assert body.startswith(b"\x89PNG")
    assert secret.read_bytes() == b"secret" and not thumbnail.is_symlink()


def test_read_only_medium_uses_the_data_directory(review, card, monkeypatch):
    def fail(*args: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("reviewer.thumbnails.rendering.freedesktop.store", fail)
    for _ in range(2):
        picture(review, card / "DCIM/100MEDIA/IMG_0001.JPG")

    assert not (card / ".thumbnails").exists()
    assert len(cached()) == 1


def test_nearly_full_card_uses_the_data_directory(review, card, monkeypatch):
    monkeypatch.setattr(thumbnails, "SPARE_BYTES", 10**18)
    free = os.statvfs(card)
    fields = (*free[:3], free.f_blocks // 40, free.f_blocks // 40, *free[5:])
    monkeypatch.setattr("reviewer.thumbnails.rendering.os.statvfs", lambda path: os.statvfs_result(fields))

    picture(review, card / "DCIM/100MEDIA/IMG_0001.JPG")

    assert not (card / ".thumbnails").exists()
    assert len(cached()) == 1


def test_thumbnail_that_cannot_be_stored_is_served(review, card, monkeypatch):
    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reviewer.thumbnails.rendering.freedesktop.store", fail)
    monkeypatch.setattr("reviewer.thumbnails.rendering.write_to", fail)
    for size in (256, 200):
        response, body = get(review, card / "DCIM/100MEDIA/IMG_0001.JPG", size=size)
        assert Image.open(io.BytesIO(body)).size == (size, size)
        assert response["ETag"]


def test_conditional_request_does_not_access_the_thumbnail(review, card, monkeypatch):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    response, _ = get(review, file)
    assert response["Cache-Control"] == "private, no-cache"
    shared_thumbnail(card, file).unlink()
    monkeypatch.setattr(thumbnails, "get_thumbnail", lambda *args: pytest.fail("accessed the thumbnail"))

    again = review.get(URL, {"path": str(file)}, HTTP_IF_NONE_MATCH=response["ETag"])

    assert (again.status_code, again.content, again["ETag"]) == (304, b"", response["ETag"])
    monkeypatch.undo()
    os.utime(file)
    again = review.get(URL, {"path": str(file)}, HTTP_IF_NONE_MATCH=response["ETag"])
    assert again.status_code == 200


def test_each_size_has_its_own_etag(review, card):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"

    assert len({get(review, file, size=size)[0]["ETag"] for size in (100, 128, 256)}) == 3


def test_url_with_the_mtime_is_immutable(review, card):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    mtime_ns = file.stat().st_mtime_ns

    for version in (iso_timestamp(mtime_ns), str(mtime_ns), str(mtime_ns // 1000)):
        assert "immutable" in get(review, file, v=version)[0]["Cache-Control"]
    assert get(review, file, v=str(mtime_ns - 1))[0]["Cache-Control"] == "private, no-cache"


def test_stored_thumbnail_is_served_without_pillow():
    code = "import sys, nvr.media.images.freedesktop; assert 'PIL' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_head_has_the_headers_of_get(review, card):
    response = review.head(URL, {"path": str(card / "DCIM/100MEDIA/IMG_0001.JPG")})

    assert (response.status_code, response["Content-Type"]) == (200, "image/png")
    assert int(response["Content-Length"]) > 100 and not response.content


def colour_video(path: Path, *colours: str, seconds: float = 1) -> Path:
    """Return a video with `seconds` of each colour."""
    sources = [f"color={colour}:s=160x90:r=25:d={seconds}" for colour in colours]
    inputs = [part for source in sources for part in ("-f", "lavfi", "-i", source)]
    joined = f"concat=n={len(colours)}"
    path.write_bytes(encode_once(path.suffix, *inputs, "-filter_complex", joined, "-pix_fmt", "yuv420p"))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "ts", "mov", "3gp", "mpg"])
def test_video_thumbnail_is_the_frame_at_two_seconds(review, card, suffix):
    if suffix == "3gp":
        file = colour_video(card / "a.mp4", "red", "lime", "blue", "white").rename(card / "a.3gp")
    else:
        file = colour_video(card / f"a.{suffix}", "red", "lime", "blue", "white")

    image = picture(review, file)

    assert near(image.getpixel((128, 128)), (0, 0, 255), by=20)
    assert image.getpixel((128, 10)) == BACKGROUND
    assert not list(cache_folder("review-thumbnails").rglob("*.jpg"))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "ts"])
def test_short_video_thumbnail_is_the_middle_frame(review, card, suffix):
    file = colour_video(card / f"a.{suffix}", "red")
    thirds = colour_video(card / f"b.{suffix}", "red", "lime", "blue", seconds=0.6)
    make_video(card / "c.mp4", seconds=0.1)

    assert near(picture(review, file).getpixel((128, 128)), (255, 0, 0), by=20)
    assert near(picture(review, thirds).getpixel((128, 128)), (0, 255, 0), by=20)
    assert get(review, card / "c.mp4")[0]["ETag"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("torn.jpg", jpeg(640, 480)[:5000]),
        ("text.png", b"no picture"),
        ("empty.jpg", b""),
        ("torn.mp4", b"\0\0\0\x18ftypmp42" + bytes(500)),
        ("list.mp4", b"#EXTM3U\n/etc/passwd\n"),
        ("empty.avi", b""),
    ],
)
@pytest.mark.parametrize("size", [1, 20, 200, 256, 1024])
def test_broken_file_has_a_placeholder_that_is_not_stored(review, card, name, data, size):
    response, body = get(review, put(card, name, data), size=size)

    assert (response.status_code, response["Content-Type"], response["Cache-Control"]) == (200, "image/png", "no-store")
    assert "ETag" not in response and "Last-Modified" not in response
    image = Image.open(io.BytesIO(body))
    assert image.size == (size, size)
    if size >= 200:
        assert len(image.getcolors(100_000) or []) > 2, "it shows a text"
        assert image.getchannel("A").getextrema() == (0, 255), "its background is transparent"
    assert cached() == [] and not list(card.rglob(".thumbnails/*/*"))


def test_completed_file_replaces_its_placeholder(review, card):
    file = put(card, "a.jpg", jpeg()[:500])
    assert get(review, file)[0]["Cache-Control"] == "no-store"
    file_stat = file.stat()
    file.write_bytes(jpeg())
    os.utime(file, ns=(file_stat.st_atime_ns, file_stat.st_mtime_ns))

    assert get(review, file)[0]["ETag"]


def test_video_without_ffmpeg_has_a_placeholder(review, card, monkeypatch):
    file = make_video(card / "a.mp4")
    monkeypatch.setenv("PATH", "/nowhere")
    assert get(review, file)[0]["Cache-Control"] == "no-store"
    monkeypatch.undo()
    assert get(review, file)[0]["ETag"]


def test_concurrent_requests_create_a_thumbnail_once(known, card, monkeypatch):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    file_stat = file.stat()
    source = thumbnails.Source(file, card, file_stat.st_mtime_ns, file_stat.st_size)
    calls, found = [], []
    render = thumbnails.render
    monkeypatch.setattr(thumbnails, "render", lambda *args: calls.append(args) or render(*args))
    threads = [threading.Thread(target=lambda: found.append(thumbnails.get_thumbnail(source, 256))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(calls) == 1
    assert found == [thumbnails.Thumbnail(shared_thumbnail(card, file))] * 20


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"path": ""}, 400),
        ({"path": "{card}/a\0.jpg"}, 400),
        ({"path": "{card}/missing.jpg"}, 400),
        ({"path": "{card}/DCIM"}, 400),
        ({"path": "{card}/DCIM/100MEDIA/notes.txt"}, 400),
        ({"path": "{card}/../missing.jpg"}, 403),
        ({"path": "/etc/passwd"}, 403),
        ({"path": "{card}/out.jpg"}, 403),
        ({"path": "{picture}", "size": "0"}, 400),
        ({"path": "{picture}", "size": "1025"}, 400),
        ({"path": "{picture}", "size": "x"}, 400),
        ({"path": "{picture}", "size": "-1"}, 400),
        ({"path": "{picture}", "size": ""}, 400),
    ],
)
def test_thumbnail_rejects_invalid_queries(review, card, tmp_path, query, status):
    (card / "out.jpg").symlink_to(put(tmp_path, "outside.jpg", jpeg()))
    values = {"card": card, "picture": card / "DCIM/100MEDIA/IMG_0001.JPG"}

    response = review.get(URL, {name: value.format(**values) for name, value in query.items()})

    assert (response.status_code, set(response.json())) == (status, {"error"})


def test_non_utf8_name_has_a_thumbnail(review, card):
    file = Path(os.fsdecode(os.fsencode(card) + b"/br\xf6ken.jpg"))
    file.write_bytes(jpeg())

    response = review.get(f"{URL}?path={card}/br%F6ken.jpg")

    assert response.status_code == 200 and response["ETag"]


def test_users_without_access_get_no_thumbnail(card, known, group):
    for user, status in ((make_user("guest", groups=(group,)), 403), (make_user("outsider", "reviewer.review"), 403)):
        client = APIClient()
        client.force_authenticate(user)
        assert client.get(URL, {"path": str(card / "DCIM/100MEDIA/IMG_0001.JPG")}).status_code == status
