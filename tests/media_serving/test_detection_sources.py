"""`/api/media/detections/{id}` of what a camera delivered: the bytes that were looked at, or a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media_serving.models import Detection
from media_serving.thumbnails.rendering import make_thumbnails
from nvr.errors import StorageFull
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_camera, make_video, put
from tests.media_serving.ledger import enter, enter_file
from tests.media_serving.stored import MEDIA, body_of, make_detection, refused

pytestmark = pytest.mark.usefixtures("own_folders")
OVERWRITTEN = "File not found: the camera has overwritten it since."


@pytest.fixture(autouse=True)
def kept_folder(settings, tmp_path: Path) -> None:
    settings.KEPT_DIR = tmp_path / "kept"


def found_in(camera, file, **values) -> Detection:
    """A detection in the file as it is now."""
    video = {"media_type": "video", "offset_ms": 0} if file.suffix == ".mp4" else {}
    shown = os.fsencode(file).decode("utf-8", "replace")
    return make_detection(camera, shown, upload=enter_file(camera, file, **values), **video)


def keep(detection: Detection, data: bytes) -> Path:
    upload = detection.upload
    upload.is_kept = True
    upload.save()
    return put(upload.kept_path.parent, upload.kept_path.name, data)


def get(api, detection: Detection, **query: str):
    return api.get(f"{MEDIA}detections/{detection.pk}", query)


def is_refused(api, detection: Detection, text: str) -> None:
    refused(get(api, detection), 404, text, f"detections/{detection.pk}")


def test_an_unchanged_file_is_served(api, camera, picture):
    response = get(api, found_in(camera, picture))

    assert body_of(response) == picture.read_bytes()
    assert response["Content-Disposition"] == 'inline; filename="image_001.jpg"'


@pytest.mark.parametrize("age_s", [5.0, 10_000.0])
def test_an_overwritten_file_is_not_served_for_its_old_detection(api, camera, picture, age_s):
    detection = found_in(camera, picture)
    put(folder_of(camera), "2025/01/04/image_001.jpg", jpeg(seed=2), age_s=age_s)

    is_refused(api, detection, OVERWRITTEN)
    assert get(api, detection, width="160").status_code == 404


def test_a_file_of_the_same_size_with_another_time_is_a_different_file(api, camera, picture):
    detection = found_in(camera, picture)
    facts = picture.stat()
    os.utime(picture, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1_000_000))

    is_refused(api, detection, OVERWRITTEN)


def test_a_kept_copy_is_served_under_its_original_name(api, camera, picture):
    detection = found_in(camera, picture)
    before = picture.read_bytes()
    keep(detection, before)
    picture.write_bytes(jpeg(seed=3))

    response = get(api, detection)

    assert body_of(response) == before
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"] == 'inline; filename="image_001.jpg"'
    assert get(api, detection, width="160")["Content-Type"] == "image/jpeg"


def test_a_missing_kept_copy_is_reported_and_not_replaced_by_another_picture(api, camera, picture):
    detection = found_in(camera, picture)
    keep(detection, b"jpg").unlink()

    is_refused(api, detection, "File not found: the camera has overwritten it, and its kept copy no longer exists.")


def test_a_deleted_file_is_not_found(api, camera, picture):
    detection = found_in(camera, picture)
    picture.unlink()

    is_refused(api, detection, "File not found")


def test_a_frame_of_a_kept_video_is_served(api, camera):
    video = make_video(folder_of(camera) / "v.mp4", seconds=1)
    detection = found_in(camera, video)
    keep(detection, video.read_bytes())
    video.write_bytes(b"another")

    response = get(api, detection)

    assert body_of(response).startswith(b"\xff\xd8\xff")
    assert response["Content-Disposition"] == 'inline; filename="v.jpg"'


def test_a_file_whose_name_is_not_utf_8_is_served(api, camera):
    file = put(folder_of(camera), os.fsdecode(b"caf\xe9\n.jpg"), jpeg(300, 200))
    detection = found_in(camera, file)

    assert body_of(get(api, detection)) == jpeg(300, 200)
    assert get(api, detection, width="160").status_code == 200


def test_a_file_time_beyond_the_ledgers_range_still_matches(api, camera, picture):
    try:
        os.utime(picture, (10_000_000_000, 10_000_000_000))
    except OSError:
        pytest.skip("this file system knows no such time")
    if picture.stat().st_mtime < 10_000_000_000:
        pytest.skip("this file system knows no such time")
    stored = picture.stat().st_mtime_ns - 2**64
    detection = make_detection(camera, picture, upload=enter_file(camera, picture, mtime_ns=stored))

    assert get(api, detection).status_code == 200


def test_a_camera_whose_folder_was_moved_with_its_files_still_serves_them(api, camera, picture):
    detection = found_in(camera, picture)
    moved = folder_of(camera).with_name(f"{folder_of(camera).name}_moved")
    folder_of(camera).rename(moved)
    camera.folder_path = str(moved)
    camera.save()

    assert body_of(get(api, detection)) == jpeg()


def test_links_nested_cameras_and_other_types_are_rejected(api, camera, tmp_path):
    secret = put(tmp_path, "secret.jpg", jpeg())
    (folder_of(camera) / "link.jpg").symlink_to(secret)
    inner = make_camera("Inner", folder_path=str(folder_of(camera) / "inner"))
    put(folder_of(inner), "a.jpg", jpeg())
    put(folder_of(camera), "a.exe", b"MZ")
    beside = put(folder_of(camera).parent, f"{folder_of(camera).name}.jpg", jpeg())

    expected = {"link.jpg": 403, "inner/a.jpg": 404, "a.exe": 403, f"../{beside.name}": 403}
    for name, status in expected.items():
        upload = enter(camera, name, state="done")
        assert get(api, make_detection(camera, "/cams/x.jpg", upload=upload)).status_code == status, name


def test_users_without_access_get_neither_file_nor_copy(outsider, family_camera):
    detection = found_in(family_camera, put(folder_of(family_camera), "a.jpg", jpeg()))
    for _ in range(2):
        is_refused(client_of(outsider), detection, "Detection not found")
        keep(detection, jpeg())


def test_a_copy_is_served_from_its_own_folder_only(api, camera, picture, tmp_path):
    detection = found_in(camera, picture)
    copy = keep(detection, b"jpg")
    copy.unlink()
    copy.symlink_to(put(tmp_path, "secret.jpg", jpeg()))

    assert get(api, detection).status_code == 403


def test_a_frame_that_failed_on_a_full_disk_is_created_later(api, camera, small_disk, settings):
    settings.CACHE_DIR = small_disk
    detection = found_in(camera, make_video(folder_of(camera) / "v.mp4", seconds=2, size="640x480"))
    ballast = put(small_disk, "ballast", bytes(2 * 2**20 - 4096))

    with pytest.raises(StorageFull):
        make_thumbnails(detection.upload)
    assert get(api, detection).status_code == 507
    detection.refresh_from_db()
    assert detection.thumbnail_size_bytes is None

    ballast.unlink()
    assert make_thumbnails(detection.upload) == 1
    assert get(api, detection).status_code == 200
