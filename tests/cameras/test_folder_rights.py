"""Folders that require a superuser, and folders that are later replaced by a symlink."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from rest_framework.test import APIClient

from cameras.folders.access import newest_files
from cameras.folders.ownership import FolderRedirected, current_folders
from cameras.models import Camera
from cameras.registry import create_camera, update_camera
from reviewer.registry import add_path, known_paths
from tests.factories import folder_of, jpeg, make_camera, make_user, put

pytestmark = pytest.mark.django_db
CAMERAS, MEDIA = "/api/cameras", "/api/media/cameras"


@pytest.fixture
def cams(settings: Any, tmp_path: Path) -> Path:
    settings.NVR_CAMERA_ROOT = tmp_path.resolve() / "cams"
    settings.NVR_CAMERA_ROOT.mkdir()
    return settings.NVR_CAMERA_ROOT


@pytest.fixture
def editor(db: None) -> User:
    rights = ("cameras.view_all", "cameras.add_camera", "cameras.change_camera", "cameras.view_camera")
    return make_user("editor", *rights, is_staff=True)


@pytest.fixture
def chief(db: None) -> User:
    return make_user("chief", is_superuser=True, is_staff=True)


@pytest.fixture
def card(tmp_path: Path, chief: User) -> Path:
    folder = tmp_path.resolve() / "outside/card"
    put(folder, "a.jpg", jpeg())
    add_path(chief, str(folder))
    return folder


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def created(user: User, folder: Path) -> Any:
    body = {"name": f"Camera at {folder.name or 'root'}", "folder_path": str(folder)}
    return client_of(user).post(CAMERAS, body, format="json")


@pytest.mark.parametrize("below", ["", "..", "../..", "inner"])
def test_a_folder_outside_the_root_that_overlaps_a_review_path_requires_a_superuser(cams, card, editor, chief, below):
    folder = (card / below).resolve()
    camera = make_camera()

    for answer in (
        created(editor, folder),
        client_of(editor).patch(f"{CAMERAS}/{camera.slug}", {"folder_path": str(folder)}, format="json"),
    ):
        assert answer.status_code == 403
        assert "superuser" in answer.json()["detail"]
        assert str(card.name) not in answer.json()["detail"].replace(str(folder), "")
    assert Camera.objects.count() == 1
    assert created(chief, folder).status_code == 201


def test_the_file_system_root_requires_a_superuser(cams, card, editor, chief):
    reviewer = make_user("ranger", "reviewer.review", "reviewer.change_reviewpath")
    assert created(editor, Path("/")).status_code == 403

    assert [root.path for root in known_paths(reviewer)] == [str(card)]


def test_a_folder_that_contains_the_camera_root_requires_a_superuser(cams, editor, chief):
    (cams / "link").symlink_to(cams)

    for folder in (cams, cams.parent, cams / "link"):
        assert created(editor, folder).status_code == 403
    assert created(editor, cams / "gate").status_code == 201
    assert created(chief, cams).status_code == 201


def test_inside_the_camera_root_review_paths_do_not_matter(cams, editor, chief):
    (cams / "demo/card").mkdir(parents=True)
    add_path(chief, str(cams / "demo/card"))

    assert created(editor, cams / "demo").status_code == 201


def test_the_admin_form_shows_the_error_at_the_field(cams, card, editor):
    camera = make_camera(name="Gate")
    desk = Client()
    desk.force_login(editor)
    page = f"/admin/cameras/camera/{camera.pk}/change/"
    form = desk.get(page).context["adminform"].form
    values = {name: "" if value is None else value for name, value in form.initial.items() if value not in (False, [])}

    folder = {"folder_path": str(card.parent), "save_anyway": str(card.parent)}
    answer = desk.post(page, values | folder | {"detection_classes": ""})

    assert answer.status_code == 200
    assert "requires a superuser" in answer.content.decode()
    camera.refresh_from_db()
    assert camera.folder_path != str(card.parent)


def test_other_users_can_edit_a_camera_if_its_folder_does_not_change(cams, card, editor, chief):
    slug = created(chief, card.parent).json()["id"]

    answer = client_of(editor).patch(
        f"{CAMERAS}/{slug}", {"name": "Renamed", "folder_path": str(card.parent)}, format="json"
    )
    assert answer.status_code == 200


# Folders that became links


@pytest.fixture
def pair(cams: Path, chief: User) -> tuple[Camera, Camera]:
    """The camera `mine` of a limited user, and `theirs`, which they may not see."""
    for name in ("mine", "theirs/2026"):
        put(cams / name, "a.jpg", jpeg(seed=len(name)))
    mine = create_camera(chief, {"name": "Mine", "folder_path": str(cams / "mine")})
    theirs = create_camera(chief, {"name": "Theirs", "folder_path": str(cams / "theirs")})
    guests = Group.objects.create(name="guests")
    update_camera(chief, mine, {}, groups=[guests])
    return mine, theirs


@pytest.fixture
def limited(pair: tuple[Camera, Camera]) -> APIClient:
    return client_of(make_user("guest", groups=(Group.objects.get(name="guests"),)))


def link_to(camera: Camera, target: Path) -> None:
    shutil.rmtree(folder_of(camera))
    folder_of(camera).symlink_to(target)
    current_folders(refresh=True)


@pytest.mark.parametrize("target", ["theirs", "theirs/2026", ""])
def test_a_folder_that_became_a_link_to_another_cameras_is_not_read(cams, pair, limited, target):
    mine, theirs = pair
    assert limited.get(f"{MEDIA}/mine/a.jpg").status_code == 200

    link_to(mine, cams / target)

    for name in ("a.jpg", "2026/a.jpg", "theirs/2026/a.jpg"):
        assert limited.get(f"{MEDIA}/mine/{name}").status_code in {403, 404}
    assert limited.get(f"{CAMERAS}/mine/snapshot").status_code in {403, 404}
    with pytest.raises(FolderRedirected):
        newest_files(mine)
    assert [Path(file.path).name for file in newest_files(theirs)] == ["a.jpg"]
    assert current_folders().owners_of(cams / "theirs/2026/a.jpg") == {theirs.pk}
    assert current_folders().resolved_folder(mine) is None


def test_the_same_applies_to_a_camera_without_a_stored_location(cams, pair, limited):
    mine, _ = pair
    Camera.objects.filter(pk=mine.pk).update(chosen_place="")

    link_to(mine, cams / "theirs")

    assert limited.get(f"{MEDIA}/mine/2026/a.jpg").status_code == 403


def test_a_folder_that_was_a_link_when_chosen_is_read(cams, chief):
    put(cams / "store/front", "a.jpg", jpeg())
    create_camera(chief, {"name": "Store", "folder_path": str(cams / "store")})
    (cams / "front").symlink_to(cams / "store/front")
    front = create_camera(chief, {"name": "Front", "folder_path": str(cams / "front")})

    assert [Path(file.path).name for file in newest_files(front)] == ["a.jpg"]


def test_a_link_to_a_folder_of_no_camera_is_read(cams, pair, limited):
    mine, _ = pair
    put(cams / "disk2/mine", "b.jpg", jpeg())

    link_to(mine, cams / "disk2/mine")

    assert limited.get(f"{MEDIA}/mine/b.jpg").status_code == 200


def test_moving_the_camera_root_redirects_no_camera(cams, pair, tmp_path, settings):
    cams.rename(tmp_path / "new-disk")
    cams.symlink_to(tmp_path / "new-disk")

    assert current_folders(refresh=True).redirected == frozenset()
    assert [Path(file.path).name for file in newest_files(pair[0])] == ["a.jpg"]
