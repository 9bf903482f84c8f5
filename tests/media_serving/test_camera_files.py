"""`/api/media/cameras/…`: which file a path names, and whose it is when cameras lie inside one another."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from cameras import registry
from cameras.models import Camera
from nvr.media.files.mounts import Mount
from tests.factories import folder_of, jpeg, make_camera, put
from tests.media_serving.stored import MEDIA, body_of, refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


def test_a_camera_file_is_served_inline_with_its_type_name_and_length(api, camera, picture):
    response = api.get(f"{MEDIA}cameras/{camera.slug}/2025/01/04/image_001.jpg")

    assert response.status_code == 200
    assert body_of(response) == picture.read_bytes()
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"] == 'inline; filename="image_001.jpg"'
    assert response["Content-Length"] == str(picture.stat().st_size)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Accept-Ranges"] == "bytes"
    assert "X-RateLimit-Remaining" in response


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.jpeg", "image/jpeg"),
        ("a.PNG", "image/png"),
        ("a.gif", "image/gif"),
        ("a.mp4", "video/mp4"),
        ("a.avi", "video/x-msvideo"),
        ("a.webm", "video/webm"),
        ("a.mov", "video/quicktime"),
        ("a.Mkv", "video/x-matroska"),
    ],
)
def test_the_type_follows_from_the_extension_alone(api, camera, name, content_type):
    put(folder_of(camera), name, b"<html>not what it says</html>")

    response = api.get(f"{MEDIA}cameras/{camera.slug}/{name}")

    assert response.status_code == 200
    assert response["Content-Type"] == content_type


def test_download_sends_the_file_as_an_attachment(api, camera, picture):
    response = api.get(f"{MEDIA}cameras/{camera.slug}/2025/01/04/image_001.jpg?download=1")

    assert response["Content-Disposition"] == 'attachment; filename="image_001.jpg"'
    assert api.get(f"{MEDIA}cameras/{camera.slug}/2025/01/04/image_001.jpg?download=2").status_code == 400


def test_a_camera_is_found_by_slug_uuid_or_folder(api):
    camera = make_camera("Front Door")
    put(folder_of(camera), "a.jpg", jpeg())

    for camera_id in (camera.slug, str(camera.uuid), str(camera.uuid).upper(), folder_of(camera).name):
        assert api.get(f"{MEDIA}cameras/{camera_id}/a.jpg").status_code == 200


def test_a_slug_takes_precedence_over_another_cameras_folder_name(api, tmp_path, settings):
    base = Path(settings.NVR_CAMERA_ROOT) / tmp_path.name
    by_slug = make_camera("porch", folder_path=str(base / "one"))
    make_camera("other", folder_path=str(base / "x" / "porch"))
    put(base / "one", "a.jpg", b"by slug")
    put(base / "x" / "porch", "a.jpg", b"by folder")

    assert body_of(api.get(f"{MEDIA}cameras/{by_slug.slug}/a.jpg")) == b"by slug"


def test_a_folder_name_of_two_cameras_finds_neither(api, tmp_path, settings):
    base = Path(settings.NVR_CAMERA_ROOT) / tmp_path.name
    for number in (1, 2):
        make_camera(f"Camera no {number}", folder_path=str(base / str(number) / "lens"))
        put(base / str(number) / "lens", "a.jpg", jpeg())

    refused(api.get(f"{MEDIA}cameras/lens/a.jpg"), 404, "Camera not found", "cameras/lens/a.jpg")


def test_folder_names_are_case_sensitive(api, tmp_path, settings):
    base = Path(settings.NVR_CAMERA_ROOT) / tmp_path.name
    make_camera("Garage", folder_path=str(base / "Lens"))
    put(base / "Lens", "a.jpg", jpeg())

    assert api.get(f"{MEDIA}cameras/Lens/a.jpg").status_code == 200
    assert api.get(f"{MEDIA}cameras/lens/a.jpg").status_code == 404
    assert api.get(f"{MEDIA}cameras/L%25/a.jpg").status_code == 404
    assert api.get(f"{MEDIA}cameras/Len_/a.jpg").status_code == 404


UNUSUAL = [
    "with blank.jpg",
    "ünïcödé 前門.jpg",
    "100%.jpg",
    "%41.jpg",
    "a+b&c.jpg",
    "new\nline.jpg",
    "q?.jpg",
    "back\\slash.jpg",
    "a;b.jpg",
    "#1.jpg",
    "trailing..jpg",
    "-rf.jpg",
    'quo"te.jpg',
]


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_names_are_served(api, camera, name):
    put(folder_of(camera), name, b"bytes of " + name.encode())

    response = api.get(f"{MEDIA}cameras/{camera.slug}/{quote(name)}")

    assert response.status_code == 200
    assert body_of(response) == b"bytes of " + name.encode()
    assert "\n" not in response["Content-Disposition"]


def test_hidden_files_and_folders_are_not_found(api, camera):
    for name in (".hidden.jpg", ".thumbs/a.jpg", "a/.b/c.jpg"):
        put(folder_of(camera), name, jpeg())
        path = f"cameras/{camera.slug}/{name}"
        refused(api.get(MEDIA + path), 404, "File not found", path)
    (folder_of(camera) / "shown.jpg").symlink_to(folder_of(camera) / ".hidden.jpg")
    assert api.get(f"{MEDIA}cameras/{camera.slug}/shown.jpg").status_code == 404


def test_a_missing_file_is_not_found(api, camera):
    path = f"cameras/{camera.slug}/nonexistent.jpg"

    refused(api.get(MEDIA + path), 404, "File not found", path)
    refused(api.get(f"{MEDIA}cameras/{camera.slug}"), 404, "File not found", f"cameras/{camera.slug}")
    refused(api.get(f"{MEDIA}cameras/nobody/a.jpg"), 404, "Camera not found", "cameras/nobody/a.jpg")


def test_an_unlisted_type_is_rejected_only_if_the_file_exists(api, camera):
    put(folder_of(camera), "malware.exe", b"MZ")
    put(folder_of(camera), "README", b"no extension")

    refused(
        api.get(f"{MEDIA}cameras/{camera.slug}/malware.exe"),
        403,
        "File type not allowed: .exe",
        f"cameras/{camera.slug}/malware.exe",
    )
    assert api.get(f"{MEDIA}cameras/{camera.slug}/README").status_code == 403
    assert api.get(f"{MEDIA}cameras/{camera.slug}/absent.exe").status_code == 404


def test_a_camera_folder_outside_the_base_path_is_rejected(api, tmp_path):
    camera = make_camera("Elsewhere", folder_path=str(tmp_path / "elsewhere"))
    put(tmp_path / "elsewhere", "a.jpg", jpeg())

    assert api.get(f"{MEDIA}cameras/{camera.slug}/a.jpg").status_code == 403


def test_a_camera_folder_that_links_out_of_the_base_path_is_rejected(api, tmp_path, settings):
    put(tmp_path / "outside", "a.jpg", jpeg())
    link = Path(settings.NVR_CAMERA_ROOT) / f"link-{tmp_path.name}"
    link.symlink_to(tmp_path / "outside")
    camera = make_camera("Linked", folder_path=str(link))

    assert api.get(f"{MEDIA}cameras/{camera.slug}/a.jpg").status_code == 403


def test_a_folder_that_links_to_itself_is_not_a_server_error(api, tmp_path, settings):
    loop = Path(settings.NVR_CAMERA_ROOT) / f"loop-{tmp_path.name}"
    loop.symlink_to(loop)
    camera = make_camera("Loop", folder_path=str(loop))

    assert api.get(f"{MEDIA}cameras/{camera.slug}/a.jpg").status_code in {403, 404}


# Cameras inside one another


def test_a_file_belongs_to_the_camera_with_the_deepest_folder(api, camera):
    inner = make_camera("Inner", folder_path=str(folder_of(camera) / "inner"))
    put(folder_of(inner), "a.jpg", b"inner")
    put(folder_of(camera), "a.jpg", b"outer")

    assert body_of(api.get(f"{MEDIA}cameras/{inner.slug}/a.jpg")) == b"inner"
    assert body_of(api.get(f"{MEDIA}cameras/{camera.slug}/a.jpg")) == b"outer"
    refused(
        api.get(f"{MEDIA}cameras/{camera.slug}/inner/a.jpg"),
        404,
        "File not found",
        f"cameras/{camera.slug}/inner/a.jpg",
    )


def test_files_of_a_trashed_camera_are_not_served(api, admin, camera):
    inner = make_camera("Inner", folder_path=str(folder_of(camera) / "inner"))
    put(folder_of(inner), "a.jpg", jpeg())
    registry.trash_camera(admin, inner)

    assert api.get(f"{MEDIA}cameras/{inner.slug}/a.jpg").status_code == 404
    assert api.get(f"{MEDIA}cameras/{camera.slug}/inner/a.jpg").status_code == 404


def test_a_new_nested_camera_owns_its_files_at_once(api, admin, camera):
    put(folder_of(camera), "inner/a.jpg", jpeg())
    assert api.get(f"{MEDIA}cameras/{camera.slug}/inner/a.jpg").status_code == 200

    registry.create_camera(admin, {"name": "Inner", "folder_path": str(folder_of(camera) / "inner")})

    assert api.get(f"{MEDIA}cameras/{camera.slug}/inner/a.jpg").status_code == 404


def test_a_nested_folder_that_is_a_link_protects_its_target(api, camera, tmp_path, settings):
    put(folder_of(camera), "real/a.jpg", jpeg())
    link = Path(settings.NVR_CAMERA_ROOT) / f"inner-{tmp_path.name}"
    link.symlink_to(folder_of(camera) / "real")
    make_camera("Inner", folder_path=str(link))

    assert api.get(f"{MEDIA}cameras/{camera.slug}/real/a.jpg").status_code == 404


def test_a_folder_whose_name_begins_with_anothers_is_not_nested(api, camera):
    make_camera("Neighbour", folder_path=f"{camera.folder_path}_two")
    put(folder_of(camera), "a.jpg", jpeg())

    assert api.get(f"{MEDIA}cameras/{camera.slug}/a.jpg").status_code == 200


def test_a_missing_file_on_an_unmounted_volume_is_503_not_404(api, camera):
    """Something was mounted at the folder when it was last seen well; now nothing is."""
    volume = Mount(7, "ext4", "/dev/sdz1", folder_of(camera)).as_dict()
    for address in (f"/api/media/cameras/{camera.slug}/gone.jpg", f"/api/cameras/{camera.slug}/snapshot"):
        assert api.get(address).status_code == 404
        Camera.objects.filter(pk=camera.pk).update(mount=volume)

        answer = api.get(address)
        assert (answer.status_code, "no longer mounted" in answer.content.decode()) == (503, True)
        assert answer["Retry-After"]
        Camera.objects.filter(pk=camera.pk).update(mount=None)
