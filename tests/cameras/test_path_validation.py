"""GET /api/cameras/validation/paths."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from cameras import path_validation
from cameras.models import Camera
from tests.conftest import client_of
from tests.factories import folder_of, jpeg, make_camera, make_user, put

PATHS = "/api/cameras/validation/paths"
SCANDIR = os.scandir


def slow_scandir(path: str) -> Any:
    time.sleep(0.3)
    return SCANDIR(path)


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


def test_each_issue_has_its_documented_text(api: APIClient, base: Path, tmp_path: Path) -> None:
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
def test_one_picture_or_video_anywhere_in_the_folder_is_enough(api: APIClient, base: Path, name: str) -> None:
    camera = make_camera("Cam")
    put(folder_of(camera), "text.txt", b"x")
    assert issues(api) != {}

    put(folder_of(camera), name, b"x")

    assert issues(api) == {}


@pytest.mark.parametrize("name", ["a.txt", ".hidden/a.jpg", ".a.jpg"])
def test_other_files_and_hidden_ones_do_not_count(api: APIClient, base: Path, name: str) -> None:
    put(folder_of(make_camera("Cam")), name, b"x")

    assert issues(api) == {"cam": ["no image or video files found"]}


def test_a_link_out_of_the_base_path_is_outside(api: APIClient, base: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a.jpg", jpeg())
    (base / "link").symlink_to(tmp_path / "elsewhere")
    make_camera("Linked", folder_path=str(base / "link"))

    (row,) = report(api)["invalid_cameras"]

    assert row["issues"] == [f"folder_path not under base_path ({base})"]
    assert row["resolved_path"] == str(tmp_path / "elsewhere")


def test_a_sibling_with_the_same_prefix_is_outside(api: APIClient, base: Path) -> None:
    make_camera("Sly", folder_path=f"{base}2/x")

    assert issues(api)["sly"][0].startswith("folder_path not under base_path")


def test_a_folder_in_a_loop_of_links_is_reported_not_raised(api: APIClient, base: Path) -> None:
    (base / "loop").symlink_to(base / "loop")
    make_camera("Loop", folder_path=str(base / "loop"))
    make_camera("Long", folder_path="/" + "x" * 400)

    assert issues(api).keys() == {"loop", "long"}


def test_only_superusers_get_details_of_a_folder_outside_the_base(base: Path, family: Group) -> None:
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
    assert "secret-target" in client_of(make_user("root", is_superuser=True)).get(PATHS).content.decode()


def test_it_counts_visible_cameras_and_requires_the_permission(
    base: Path, family: Group, family_camera: Camera
) -> None:
    make_camera("Other")
    editor = client_of(make_user("e", "cameras.change_camera", groups=(family,)))

    assert report(editor)["total_cameras"] == 1
    assert client_of(make_user("m", groups=(family,))).get(PATHS).status_code == 403


def test_trashed_cameras_are_not_checked(api: APIClient, base: Path) -> None:
    make_camera("Gone")
    assert report(api)["total_cameras"] == 1

    api.delete("/api/cameras/gone")

    assert report(api)["total_cameras"] == 0


def test_a_huge_tree_without_pictures_is_searched_up_to_a_limit_and_reported(
    api: APIClient, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_validation, "MAX_ENTRIES", 100)
    for name, files in (("Huge", 101), ("Large", 90)):
        folder = folder_of(make_camera(name))
        for number in range(files):
            put(folder, f"{number}.txt", b"")

    assert issues(api) == {
        "huge": ["no image or video files found among the first 100 entries"],
        "large": ["no image or video files found"],
    }


def test_a_slow_disk_is_searched_for_a_limited_time_and_reported(
    api: APIClient, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_validation, "SEARCH_TIMEOUT_S", 0.2)
    folder = folder_of(make_camera("Slow"))
    for number in range(100):
        (folder / str(number)).mkdir()
    monkeypatch.setattr(path_validation, "scandir", slow_scandir)
    started = time.monotonic()

    assert issues(api) == {"slow": ["no image or video files found within 0.2 s"]}
    assert time.monotonic() - started < 15  # all folders would take 30 s


def test_folders_that_hang_during_the_search_do_not_delay_others(
    api: APIClient, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_validation, "_probes", probes_with_timeout(0.5))
    put(folder_of(make_camera("Well")), "a.jpg", jpeg())
    dead = {make_camera(f"Dead {number}").folder_path for number in range(20)}
    release = threading.Event()

    def scandir(path: str) -> Any:
        if path in dead:
            release.wait(30)
        return SCANDIR(path)

    monkeypatch.setattr(path_validation, "scandir", scandir)
    started = time.monotonic()
    try:
        answer = report(api)
    finally:
        release.set()

    assert time.monotonic() - started < 15
    assert [row["id"] for row in answer["valid_cameras"]] == ["well"]
    assert {tuple(row["issues"]) for row in answer["invalid_cameras"]} == {("directory does not answer",)}


def probes_with_timeout(seconds: float) -> dict[bool, Any]:
    late = path_validation.timeout_result
    return {
        including_outside: path_validation.ConcurrentProbe(late=late, timeout_s=seconds, name="test")
        for including_outside in (False, True)
    }


def test_an_unreadable_folder_is_not_reported_as_empty(
    api: APIClient, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = make_camera("Closed")

    def refuse(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(path_validation, "scandir", refuse)

    assert issues(api) == {camera.slug: ["directory cannot be read"]}


def test_details_for_a_superuser_are_not_shown_to_another_user_in_a_concurrent_request(
    admin: Any, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = make_camera("Out", folder_path=str(tmp_path))
    release = threading.Event()
    monkeypatch.setattr(path_validation, "_probes", probes_with_timeout(0.2))
    monkeypatch.setattr(path_validation, "scandir", lambda path: (release.wait(30), SCANDIR(path))[1])
    path_validation.probe_results_of([camera], admin)

    result = path_validation.probe_results_of([camera])[camera.pk]

    release.set()
    assert result.issues == [f"folder_path not under base_path ({base})"]
