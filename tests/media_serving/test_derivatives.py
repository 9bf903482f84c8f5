"""`?width=`: smaller copies of pictures, made once and kept."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.conf import settings
from PIL import Image

from nvr.errors import StorageFull, Unavailable
from nvr.media.files import cached_files
from nvr.media.files.cached_files import cache_folder, cache_path, evict, get_or_create
from nvr.media.images import derivatives
from tests.factories import folder_of, jpeg, make_video, put

MEDIA = "/api/media/"


def fetch(api, path: str, **headers: str):
    return api.get(MEDIA + path, **headers)


def opened(response) -> Image.Image:
    return Image.open(io.BytesIO(b"".join(response.streaming_content)))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("width", "expected"),
    [("160", (160, 120)), ("320", (320, 240)), ("640", (400, 300)), ("1280", (400, 300))],
)
def test_a_copy_has_the_requested_width_and_is_never_enlarged(api, camera, width, expected):
    put(folder_of(camera), "a.jpg", jpeg(400, 300))

    response = fetch(api, f"cameras/{camera.slug}/a.jpg?width={width}")

    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"] == 'inline; filename="a.jpg"'
    assert opened(response).size == expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    "width", ["", "0", "161", "-160", "160.0", "0160", "16\N{FULLWIDTH DIGIT ZERO}", "1" * 5000, "160,320", "a"]
)
def test_another_width_is_rejected(api, camera, width):
    put(folder_of(camera), "a.jpg", jpeg())

    response = fetch(api, f"cameras/{camera.slug}/a.jpg?width={width}")

    assert response.status_code == 400
    assert set(response.json()) == {"error", "path"}


@pytest.mark.django_db
def test_a_derivative_of_a_video_is_a_frame(api, camera):
    make_video(folder_of(camera) / "a.mp4", size="320x240")

    answer = fetch(api, f"cameras/{camera.slug}/a.mp4?width=160")

    assert answer["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(b"".join(answer.streaming_content))).size == (160, 120)


@pytest.mark.django_db
def test_a_broken_video_has_no_frame(api, camera):
    put(folder_of(camera), "a.mp4", b"x")

    assert fetch(api, f"cameras/{camera.slug}/a.mp4?width=160").status_code == 404


@pytest.mark.django_db
def test_the_cameras_rotation_is_honoured(api, camera):
    exif = Image.Exif()
    exif[0x0112] = 6
    put(folder_of(camera), "a.jpg", saved(Image.new("RGB", (400, 200)), "JPEG", exif=exif))

    assert opened(fetch(api, f"cameras/{camera.slug}/a.jpg?width=160")).size == (160, 320)


@pytest.mark.django_db
def test_transparency_is_kept(api, camera):
    put(folder_of(camera), "a.png", saved(Image.new("RGBA", (400, 200), (1, 2, 3, 0)), "PNG"))

    response = fetch(api, f"cameras/{camera.slug}/a.png?width=160")

    assert response["Content-Type"] == "image/png"
    assert opened(response).mode == "RGBA"


@pytest.mark.django_db
@pytest.mark.parametrize("data", [b"", b"not an image", jpeg(400, 300)[:2000], b"\xff\xd8\xff\xe0" + b"\0" * 100])
def test_a_broken_image_is_rejected_with_a_reason(api, camera, data):
    put(folder_of(camera), "a.jpg", data)

    response = fetch(api, f"cameras/{camera.slug}/a.jpg?width=160")

    assert response.status_code == 422
    assert "image" in response.json()["error"]


@pytest.mark.django_db
def test_a_copy_is_created_once_and_returns_304_without_pillow(api, camera, monkeypatch):
    put(folder_of(camera), "a.jpg", jpeg(400, 300))
    path = f"cameras/{camera.slug}/a.jpg?width=160"
    first = fetch(api, path)
    monkeypatch.setattr("nvr.media.images.decoder.pictures.write_resized", lambda *args: pytest.fail("made again"))

    assert fetch(api, path, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304
    assert fetch(api, path)["ETag"] == first["ETag"]


@pytest.mark.django_db
def test_use_is_recorded_without_changing_the_etag(api, camera):
    put(folder_of(camera), "a.jpg", jpeg(400, 300))
    path = f"cameras/{camera.slug}/a.jpg?width=160"
    first = fetch(api, path)
    made = derivatives.derivative_of(folder_of(camera) / "a.jpg", 160)
    long_ago = time.time() - 86_400
    os.utime(made, ns=(int(long_ago * 1e9), made.stat().st_mtime_ns))

    assert fetch(api, path)["ETag"] == first["ETag"]
    assert time.time() - made.stat().st_atime < 60


@pytest.mark.django_db
def test_an_overwritten_picture_gets_a_new_copy(api, camera):
    put(folder_of(camera), "a.jpg", jpeg(400, 300))
    path = f"cameras/{camera.slug}/a.jpg?width=160"
    assert opened(fetch(api, path)).size == (160, 120)

    put(folder_of(camera), "a.jpg", jpeg(300, 400))

    assert opened(fetch(api, path)).size == (160, 213)


def test_pillow_is_not_loaded_for_an_existing_copy(tmp_path):
    picture = put(tmp_path, "a.jpg", jpeg(400, 300))
    derivatives.derivative_of(picture, 160)
    program = (
        "import sys, django; from django.conf import settings\n"
        f"settings.configure(CACHE_DIR=__import__('pathlib').Path({str(settings.CACHE_DIR)!r}))\n"
        "from pathlib import Path; from nvr.media.images.derivatives import derivative_of\n"
        f"print(derivative_of(Path({str(picture)!r}), 160)); print('PIL' in sys.modules)"
    )

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert answer.stdout.splitlines()[-1:] == ["False"], answer.stderr


def test_many_concurrent_requests_create_it_once(tmp_path):
    target = cache_path("trials", str(tmp_path)).with_suffix(".x")
    made, answers = [], []

    def make() -> Path:
        made.append(threading.get_ident())
        time.sleep(0.2)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"whole")
        return target

    askers = [threading.Thread(target=lambda: answers.append(get_or_create([target], make))) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()

    assert len(made) == 1
    assert answers == [target] * 8


def test_many_concurrent_processes_create_it_once(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from django.conf import settings\n"
        f"settings.configure(CACHE_DIR=Path({str(tmp_path)!r}))\n"
        "from nvr.media.files.cached_files import get_or_create\n"
        f"target = Path({str(tmp_path)!r}, 'made.x')\n"
        "def make():\n"
        f"    Path({str(tmp_path)!r}, 'calls').open('a').write('x'); time.sleep(0.3); target.write_bytes(b'1')\n"
        "    return target\n"
        "get_or_create([target], make)\n"
    )

    askers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(4)]

    assert [asker.wait(timeout=60) for asker in askers] == [0] * 4
    assert (tmp_path / "calls").read_text() == "x"


def test_a_request_that_waits_too_long_raises_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(cached_files, "TIMEOUT_S", 0.1)
    target = cache_path("trials", str(tmp_path)).with_suffix(".x")

    with cached_files.exclusive_lock(target.stem), pytest.raises(Unavailable):
        get_or_create([target], lambda: target)


def test_the_next_request_retries_after_a_failure(tmp_path):
    target = tmp_path / "made.x"

    def full() -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFull):
        get_or_create([target], full)
    assert get_or_create([target], lambda: put(tmp_path, "made.x", b"1")) == target


def test_the_least_recently_used_are_evicted_first(tmp_path, settings):
    settings.CACHE_DIR = tmp_path
    folder = cache_folder("derivatives")
    for number in range(4):
        made = put(folder / "aa", f"{number}.jpg", b"x" * 100)
        os.utime(made, (time.time() - 1000 * number, 0))

    removed = evict("derivatives", limit_bytes=250)

    assert removed == 200
    assert {path.name for path in (folder / "aa").iterdir()} == {"0.jpg", "1.jpg"}
    assert evict("derivatives", limit_bytes=250) == 0


def test_files_of_killed_processes_are_evicted_but_not_work_in_progress(tmp_path, settings):
    settings.CACHE_DIR = tmp_path
    old = put(cache_folder("derivatives") / "aa", "1.part", b"x", age_s=7200)
    fresh = put(cache_folder("derivatives") / "aa", "2.part", b"x", age_s=1)

    evict("derivatives", limit_bytes=10**6)

    assert not old.exists()
    assert fresh.exists()


def test_a_missing_folder_has_nothing_to_evict(tmp_path, settings):
    settings.CACHE_DIR = tmp_path

    assert evict("derivatives", limit_bytes=0) == 0


def test_existing_copies_are_served_from_a_read_only_disk(tmp_path, monkeypatch):
    made = put(tmp_path, "made.x", b"1", age_s=7200)

    def read_only(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", read_only)

    assert get_or_create([made], read_only) == made
