"""GET /api/cameras/validation/paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from cameras.models import Camera
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_camera, make_user, put

PATHS = "/api/cameras/validation/paths"


@pytest.fixture
def base(settings, tmp_path: Path) -> Path:
    settings.NVR_CAMERA_ROOT = tmp_path / "base"
    settings.NVR_CAMERA_ROOT.mkdir()
    return settings.NVR_CAMERA_ROOT


def report(client: APIClient) -> dict[str, object]:
    response = client.get(PATHS)
    assert response.status_code == 200, response.content
    return response.json()


def issues(client: APIClient) -> dict[str, list[str]]:
    return {row["id"]: row["issues"] for row in report(client)["invalid_cameras"]}


def test_the_report_has_the_documented_shape(api: APIClient, base: Path) -> None:
    good = make_camera("Front Door")
    put(folder_of(good), "a.jpg", jpeg())
    make_camera("Garage", folder_path=str(base / "garage"), status="offline")

    assert report(api) == {
        "base_path": str(base),
        "total_cameras": 2,
        "valid_count": 1,
        "invalid_count": 1,
        "valid_cameras": [
            {
                "id": "front_door",
                "name": "Front Door",
                "folder_path": good.folder_path,
                "status": "online",
                "resolved_path": None,
                "issues": None,
            }
        ],
        "invalid_cameras": [
            {
                "id": "garage",
                "name": "Garage",
                "folder_path": str(base / "garage"),
                "status": "offline",
                "resolved_path": str(base / "garage"),
                "issues": ["directory does not exist"],
            }
        ],
    }


def test_each_fault_has_its_literal_text(api: APIClient, base: Path, tmp_path: Path) -> None:
    (base / "file").write_text("x")
    (tmp_path / "outside").mkdir()
    put(tmp_path / "full", "a.jpg", jpeg())
    make_camera("Empty")
    make_camera("File", folder_path=str(base / "file"))
    make_camera("Missing", folder_path=str(base / "missing"))
    make_camera("Out", folder_path=str(tmp_path / "outside"))
    make_camera("Out And Full", folder_path=str(tmp_path / "full"))
    make_camera("Out And Gone", folder_path="/nowhere/at/all")

    outside = f"folder_path not under base_path ({base})"
    assert issues(api) == {
        "empty": ["no image or video files found"],
        "file": ["path is not a directory"],
        "missing": ["directory does not exist"],
        "out": [outside, "no image or video files found"],
        "out_and_full": [outside],
        "out_and_gone": [outside, "directory does not exist"],
    }


@pytest.mark.parametrize("name", ["a.JPG", "a.mkv", "sub/deep/a.png", "a.webm"])
def test_one_picture_or_video_anywhere_below_is_enough(api: APIClient, base: Path, name: str) -> None:
    put(folder_of(make_camera("Cam")), name, b"x")

    assert issues(api) == {}


@pytest.mark.parametrize("name", ["a.txt", ".hidden/a.jpg", ".a.jpg"])
def test_other_files_and_hidden_ones_do_not_count(api: APIClient, base: Path, name: str) -> None:
    put(folder_of(make_camera("Cam")), name, b"x")

    assert issues(api) == {"cam": ["no image or video files found"]}


def test_a_link_that_leads_out_of_the_base_is_outside(api: APIClient, base: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a.jpg", jpeg())
    (base / "link").symlink_to(tmp_path / "elsewhere")
    make_camera("Linked", folder_path=str(base / "link"))

    (row,) = report(api)["invalid_cameras"]

    assert row["issues"] == [f"folder_path not under base_path ({base})"]
    assert row["resolved_path"] == str(tmp_path / "elsewhere")


def test_a_sibling_with_the_same_beginning_is_outside(api: APIClient, base: Path) -> None:
    make_camera("Sly", folder_path=f"{base}2/x")

    assert issues(api)["sly"][0].startswith("folder_path not under base_path")


def test_a_folder_in_a_loop_of_links_is_reported_not_raised(api: APIClient, base: Path) -> None:
    (base / "loop").symlink_to(base / "loop")
    make_camera("Loop", folder_path=str(base / "loop"))
    make_camera("Long", folder_path="/" + "x" * 400)

    assert issues(api).keys() == {"loop", "long"}


def test_only_superusers_learn_how_a_folder_outside_the_base_is(base: Path, family: Group) -> None:
    make_camera("Etc", folder_path="/nowhere/secret", groups=(family,))
    editor = client_of(make_user("e", "cameras.change_camera", groups=(family,)))

    (row,) = report(editor)["invalid_cameras"]

    assert row["issues"] == [f"folder_path not under base_path ({base})"]


def test_outside_the_base_links_are_resolved_for_superusers_only(base: Path, family: Group, tmp_path: Path) -> None:
    (tmp_path / "secret-target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "secret-target")
    make_camera("Feeler", folder_path=str(tmp_path / "link"), groups=(family,))
    editor = client_of(make_user("e", "cameras.change_camera", groups=(family,)))

    assert "secret-target" not in editor.get(PATHS).content.decode()


def test_it_counts_what_one_may_see_and_needs_the_permission(base: Path, family: Group, family_camera: Camera) -> None:
    make_camera("Other")
    editor = client_of(make_user("e", "cameras.change_camera", groups=(family,)))

    assert report(editor)["total_cameras"] == 1
    assert client_of(make_user("m", groups=(family,))).get(PATHS).status_code == 403


def test_trashed_cameras_are_not_checked(api: APIClient, base: Path) -> None:
    make_camera("Gone")
    api.delete("/api/cameras/gone")

    assert report(api)["total_cameras"] == 0
