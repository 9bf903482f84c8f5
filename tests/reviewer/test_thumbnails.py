"""Thumbnails: exactly as asked for, made once, where other programs find them, and gone when their file is."""

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
FLAVOURS = {128: "normal", 256: "large", 512: "x-large", 1024: "xx-large"}


@pytest.fixture(autouse=True)
def own_cache(settings, tmp_path: Path) -> None:
    settings.CACHE_DIR = tmp_path / "cache"


def ask(client: APIClient, file: Path, **query: Any):
    """The answer and its bytes."""
    answer = client.get(URL, {"path": str(file), **query})
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
    return answer, body


def picture(client: APIClient, file: Path, **query: Any) -> Image.Image:
    answer, body = ask(client, file, **query)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png"), body
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def plain(path: Path, size: tuple[int, int], colour: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(path, **options)
    return path


def kept_at(root: Path, file: Path, size: int = 256) -> Path:
    name = hashlib.md5(file.as_uri().encode()).hexdigest()
    return root / ".thumbnails" / FLAVOURS[size] / f"{name}.png"


def own() -> list[Path]:
    return sorted(cache_folder("review-thumbnails").rglob("*.png"))


def near(one: Any, other: Any, by: int = 6) -> bool:
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


RED = (200, 30, 30)


@pytest.mark.parametrize("size", [1, 2, 100, 128, 200, 256, 300, 512, 1000, 1024])
def test_it_has_exactly_the_size_and_stands_in_a_light_square(review, card, size):
    file = plain(card / "wide.png", (2000, 1000), RED)

    image = picture(review, file, size=size)

    assert (image.size, image.mode, image.format) == ((size, size), "RGB", "PNG")
    if size > 2:
        assert near(image.getpixel((size // 2, size // 2)), RED)
        assert image.getpixel((size // 2, 0)) == image.getpixel((size // 2, size - 1)) == BACKGROUND
        assert near(image.getpixel((1, size // 2)), RED)


@pytest.mark.parametrize("size", [100, 128, 200, 256, 700, 1024])
def test_a_small_picture_is_never_enlarged(review, card, size):
    image = picture(review, plain(card / "small.png", (90, 60), RED), size=size)

    red = sum(count for count, colour in image.getcolors(size * size) if near(colour, RED))
    assert red == 90 * 60
    assert image.getpixel((size // 2 - 46, size // 2)) == BACKGROUND


def test_default_size_orientation_and_transparency(review, card):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = picture(review, plain(card / "turned.jpg", (400, 200), RED, exif=exif))
    clear = picture(review, plain(card / "clear.png", (256, 256), (200, 30, 30, 0)))

    assert upright.size == (256, 256)
    assert upright.getpixel((5, 128)) == BACKGROUND and near(upright.getpixel((128, 5)), RED)
    assert clear.getpixel((128, 128)) == BACKGROUND


@pytest.mark.parametrize("size", FLAVOURS)
def test_it_lies_where_freedesktop_says(review, card, size):
    file = put(card / "DCIM", "windy day.jpg", jpeg())
    _, body = ask(review, file, size=size)

    kept = kept_at(card, file, size)
    assert kept.read_bytes() == body
    assert kept.stat().st_mtime_ns == file.stat().st_mtime_ns
    text = Image.open(kept).text  # type: ignore[attr-defined]
    assert (text["Thumb::URI"], text["Thumb::MTime"]) == (file.as_uri(), str(int(file.stat().st_mtime)))
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not list(card.rglob("*.part"))


def test_uris_are_escaped_as_glib_does():
    uri = freedesktop.file_uri(Path(os.fsdecode(b"/m/a b+(1)'~[2];#\xf6%.jpg")))

    assert uri == "file:///m/a%20b+(1)'~%5B2%5D%3B%23%F6%25.jpg"
    assert os.fsencode(freedesktop.path_from_uri(uri) or "") == b"/m/a b+(1)'~[2];#\xf6%.jpg"


def test_it_is_made_once_until_the_files_time_is_another(review, card, monkeypatch):
    calls = []
    drawn = thumbnails.render
    monkeypatch.setattr(thumbnails, "render", lambda *given: calls.append(given) or drawn(*given))
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"

    for size in (256, 256, 200, 200):
        picture(review, file, size=size)
    assert len(calls) == 2
    facts = file.stat()
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns - 1_000))  # older: equal is what counts
    picture(review, file)
    assert len(calls) == 3


def test_other_sizes_lie_in_the_data_directory(review, card):
    picture(review, card / "DCIM/100MEDIA/IMG_0001.JPG", size=300)

    assert kept_at(card, card / "DCIM/100MEDIA/IMG_0001.JPG", 512).exists()
    assert len(list((card / ".thumbnails").rglob("*.png"))) == 1
    assert [Image.open(path).size for path in own()] == [(300, 300)]


def test_the_deepest_path_holds_it_whoever_asks(review, card, manage):
    ReviewPath.objects.create(path=str(card / "DCIM/101MEDIA"))  # lists no group: the reviewer does not see it
    file = card / "DCIM/101MEDIA/IMG_0001.JPG"

    picture(review, file)

    assert kept_at(card / "DCIM/101MEDIA", file).exists()
    assert not (card / ".thumbnails").exists()


@pytest.mark.parametrize("link", [".thumbnails", ".thumbnails/large"])
def test_a_link_is_not_followed(review, card, tmp_path, link):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "large").mkdir(parents=True)
    (card / link).parent.mkdir(exist_ok=True)
    (card / link).symlink_to(elsewhere)
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"

    picture(review, file)

    assert [path for path in elsewhere.rglob("*") if path.is_file()] == []
    assert len(own()) == 1


def test_a_planted_link_is_replaced_and_not_read(review, card, tmp_path):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    secret = put(tmp_path, "secret", b"secret")
    os.utime(secret, ns=(0, file.stat().st_mtime_ns))
    kept = kept_at(card, file)
    kept.parent.mkdir(parents=True)
    kept.symlink_to(secret)

    _, body = ask(review, file)

    assert body.startswith(b"\x89PNG")
    assert secret.read_bytes() == b"secret" and not kept.is_symlink()


def test_read_only_media_keep_theirs_in_the_data_directory(review, card, monkeypatch):
    def refuse(*given: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("reviewer.thumbnails.rendering.freedesktop.store", refuse)
    for _ in range(2):
        picture(review, card / "DCIM/100MEDIA/IMG_0001.JPG")

    assert not (card / ".thumbnails").exists()
    assert len(own()) == 1


def test_the_last_of_a_card_is_left_to_the_camera(review, card, monkeypatch):
    monkeypatch.setattr(thumbnails, "SPARE_BYTES", 10**18)
    free = os.statvfs(card)
    fields = (*free[:3], free.f_blocks // 40, free.f_blocks // 40, *free[5:])
    monkeypatch.setattr("reviewer.thumbnails.rendering.os.statvfs", lambda path: os.statvfs_result(fields))

    picture(review, card / "DCIM/100MEDIA/IMG_0001.JPG")

    assert not (card / ".thumbnails").exists()
    assert len(own()) == 1


def test_with_nowhere_to_keep_it_it_is_still_shown(review, card, monkeypatch):
    def refuse(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reviewer.thumbnails.rendering.freedesktop.store", refuse)
    monkeypatch.setattr("reviewer.thumbnails.rendering.write_to", refuse)
    for size in (256, 200):
        answer, body = ask(review, card / "DCIM/100MEDIA/IMG_0001.JPG", size=size)
        assert Image.open(io.BytesIO(body)).size == (size, size)
        assert answer["ETag"]


def test_who_has_it_is_told_so_before_anything_is_looked_for(review, card, monkeypatch):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    answer, _ = ask(review, file)
    assert answer["Cache-Control"] == "private, no-cache"
    kept_at(card, file).unlink()
    monkeypatch.setattr(thumbnails, "get_thumbnail", lambda *given: pytest.fail("looked for it"))

    again = review.get(URL, {"path": str(file)}, HTTP_IF_NONE_MATCH=answer["ETag"])

    assert (again.status_code, again.content, again["ETag"]) == (304, b"", answer["ETag"])
    monkeypatch.undo()
    os.utime(file)
    again = review.get(URL, {"path": str(file)}, HTTP_IF_NONE_MATCH=answer["ETag"])
    assert again.status_code == 200


def test_sizes_have_tags_of_their_own(review, card):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"

    assert len({ask(review, file, size=size)[0]["ETag"] for size in (100, 128, 256)}) == 3


def test_an_address_with_the_files_time_may_be_kept_for_ever(review, card):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    mtime_ns = file.stat().st_mtime_ns

    for version in (iso_timestamp(mtime_ns), str(mtime_ns), str(mtime_ns // 1000)):
        assert "immutable" in ask(review, file, v=version)[0]["Cache-Control"]
    assert ask(review, file, v=str(mtime_ns - 1))[0]["Cache-Control"] == "private, no-cache"


def test_pillow_is_not_needed_for_what_is_there():
    code = "import sys, nvr.media.images.freedesktop; assert 'PIL' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_head_answers_as_a_get_without_the_body(review, card):
    answer = review.head(URL, {"path": str(card / "DCIM/100MEDIA/IMG_0001.JPG")})

    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert int(answer["Content-Length"]) > 100 and not answer.content


def striped(path: Path, *colours: str, seconds: float = 1) -> Path:
    """`seconds` of each colour."""
    sources = [f"color={colour}:s=160x90:r=25:d={seconds}" for colour in colours]
    inputs = [part for source in sources for part in ("-f", "lavfi", "-i", source)]
    joined = f"concat=n={len(colours)}"
    path.write_bytes(encode_once(path.suffix, *inputs, "-filter_complex", joined, "-pix_fmt", "yuv420p"))
    return path


@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv", "ts", "mov", "3gp", "mpg"])
def test_a_video_shows_its_frame_at_two_seconds(review, card, ending):
    if ending == "3gp":
        file = striped(card / "a.mp4", "red", "lime", "blue", "white").rename(card / "a.3gp")
    else:
        file = striped(card / f"a.{ending}", "red", "lime", "blue", "white")

    image = picture(review, file)

    assert near(image.getpixel((128, 128)), (0, 0, 255), by=20)
    assert image.getpixel((128, 10)) == BACKGROUND
    assert not list(cache_folder("review-thumbnails").rglob("*.jpg"))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv", "ts"])
def test_a_shorter_one_shows_its_middle(review, card, ending):
    file = striped(card / f"a.{ending}", "red")
    thirds = striped(card / f"b.{ending}", "red", "lime", "blue", seconds=0.6)
    make_video(card / "c.mp4", seconds=0.1)

    assert near(picture(review, file).getpixel((128, 128)), (255, 0, 0), by=20)
    assert near(picture(review, thirds).getpixel((128, 128)), (0, 255, 0), by=20)
    assert ask(review, card / "c.mp4")[0]["ETag"]


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
def test_what_cannot_be_shown_has_a_placeholder_that_is_not_kept(review, card, name, data, size):
    answer, body = ask(review, put(card, name, data), size=size)

    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (200, "image/png", "no-store")
    assert "ETag" not in answer and "Last-Modified" not in answer
    image = Image.open(io.BytesIO(body))
    assert image.size == (size, size)
    if size >= 200:
        assert len(image.getcolors(100_000) or []) > 2, "it says something"
        assert image.getchannel("A").getextrema() == (0, 255), "whatever frames it is its ground"
    assert own() == [] and not list(card.rglob(".thumbnails/*/*"))


def test_a_placeholder_is_forgotten_when_the_file_is_whole(review, card):
    file = put(card, "a.jpg", jpeg()[:500])
    assert ask(review, file)[0]["Cache-Control"] == "no-store"
    facts = file.stat()
    file.write_bytes(jpeg())
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    assert ask(review, file)[0]["ETag"]


def test_without_ffmpeg_a_placeholder_is_shown(review, card, monkeypatch):
    file = make_video(card / "a.mp4")
    monkeypatch.setenv("PATH", "/nowhere")
    assert ask(review, file)[0]["Cache-Control"] == "no-store"
    monkeypatch.undo()
    assert ask(review, file)[0]["ETag"]


def test_twenty_who_ask_at_once_have_it_made_once(known, card, monkeypatch):
    file = card / "DCIM/100MEDIA/IMG_0001.JPG"
    facts = file.stat()
    source = thumbnails.Source(file, card, facts.st_mtime_ns, facts.st_size)
    calls, found = [], []
    drawn = thumbnails.render
    monkeypatch.setattr(thumbnails, "render", lambda *given: calls.append(given) or drawn(*given))
    threads = [threading.Thread(target=lambda: found.append(thumbnails.get_thumbnail(source, 256))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(calls) == 1
    assert found == [thumbnails.Thumbnail(kept_at(card, file))] * 20


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
def test_refusals(review, card, tmp_path, query, status):
    (card / "out.jpg").symlink_to(put(tmp_path, "outside.jpg", jpeg()))
    values = {"card": card, "picture": card / "DCIM/100MEDIA/IMG_0001.JPG"}

    answer = review.get(URL, {name: value.format(**values) for name, value in query.items()})

    assert (answer.status_code, set(answer.json())) == (status, {"error"})


def test_a_name_that_is_no_utf8_has_one(review, card):
    file = Path(os.fsdecode(os.fsencode(card) + b"/br\xf6ken.jpg"))
    file.write_bytes(jpeg())

    answer = review.get(f"{URL}?path={card}/br%F6ken.jpg")

    assert answer.status_code == 200 and answer["ETag"]


def test_who_may_not_review_sees_none(card, known, group):
    for user, status in ((make_user("guest", groups=(group,)), 403), (make_user("else", "reviewer.review"), 403)):
        client = APIClient()
        client.force_authenticate(user)
        assert client.get(URL, {"path": str(card / "DCIM/100MEDIA/IMG_0001.JPG")}).status_code == status
