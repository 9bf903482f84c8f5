"""`/api/review-paths` and `/api/folders`: adding and removing review paths, and the folder picker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from nvr.audit.models import AuditEntry
from reviewer.models import ReviewPath
from tests.factories import folder_of, make_camera, make_user

PATHS, FOLDERS = "/api/review-paths", "/api/folders"


def add(client: APIClient, path: Path | str):
    return client.post(PATHS, {"path": str(path)}, format="json")


def test_adding_resolves_links_and_is_idempotent(manage, card, tmp_path):
    (tmp_path / "alias").symlink_to(card)

    for path in (card, tmp_path / "alias", f"{card}//DCIM/../"):
        response = add(manage, path)
        assert response.status_code == 201
        assert response.json() == {"addedPath": str(card), "knownPaths": [str(card)]}
    assert AuditEntry.objects.filter(action="review_path_added").count() == 1
    assert manage.get(PATHS).json() == {
        "knownPaths": [str(card)],
        "hiddenPickerPaths": settings.NVR_REVIEW_HIDDEN_PATHS,
    }


def test_missing_folder_can_be_removed(manage, card):
    add(manage, card)
    card.rename(card.with_name("gone"))

    response = manage.delete(PATHS, {"path": str(card)}, format="json")

    assert response.json() == {"removedPath": str(card), "knownPaths": []}
    again = manage.delete(PATHS, {"path": str(card)}, format="json")
    assert (again.status_code, set(again.json())) == (404, {"error"})
    assert AuditEntry.objects.filter(action="review_path_removed").count() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ([], 400),
        ("text", 400),
        ({"path": None}, 400),
        ({"path": ""}, 400),
        ({"path": ["/tmp"]}, 400),
        ({"path": "relative"}, 400),
        ({"path": "/tmp/not/there"}, 400),
        ({"path": "/not/there"}, 403),
        ({"path": "/home"}, 403),
        ({"path": "/usr/share"}, 403),
        ({"path": str(settings.BASE_DIR)}, 403),
        ({"path": str(settings.BASE_DIR / "docs")}, 403),
        ({"path": "/tmp\u0000"}, 400),
        ({"path": "/" + "x" * 5000}, 400),
        ({"path": "/tmp/" + "x" * 300}, 400),
        ({"path": "/proc"}, 403),
        ({"path": "/proc/self"}, 403),
        ({"path": "/etc/ssh"}, 403),
        ({"path": "/"}, 403),
        ({"path": "/tmp/../proc"}, 403),
    ],
)
def test_adding_rejects_invalid_paths(manage, body, status):
    response = manage.post(PATHS, body, format="json")

    assert (response.status_code, set(response.json())) == (status, {"error"})
    assert not ReviewPath.objects.exists()


def test_invalid_json_is_400(manage):
    for method in (manage.post, manage.delete):
        response = method(PATHS, b'{"path": ', content_type="application/json")
        assert (response.status_code, set(response.json())) == (400, {"error"})


def test_link_to_a_hidden_folder_is_403(manage, tmp_path):
    (tmp_path / "alias").symlink_to("/proc/self")

    assert add(manage, tmp_path / "alias").status_code == 403


def test_link_to_a_non_utf8_name_is_400(manage, tmp_path):
    broken = Path(os.fsdecode(os.fsencode(tmp_path) + b"/br\xf6ken"))
    broken.mkdir()
    (tmp_path / "alias").symlink_to(broken)

    response = add(manage, tmp_path / "alias")
    assert response.status_code == 400
    assert "rename" in response.json()["error"]


def test_folder_above_a_hidden_one_is_403(manage, tmp_path, settings):
    (tmp_path / "home/.ssh").mkdir(parents=True)
    settings.NVR_REVIEW_HIDDEN_PATHS = [str(tmp_path / "home/.ssh")]

    response = add(manage, tmp_path / "home")
    assert response.status_code == 403
    assert ".ssh" in response.json()["error"]


def test_data_directory_is_hidden(manage):
    for path in (settings.NVR_DATA_DIR, settings.NVR_DATA_DIR / "cache", Path(settings.NVR_DATA_DIR).parent):
        assert add(manage, path).status_code == 403


def test_data_directory_inside_the_camera_root_is_hidden(manage, tmp_path, settings):
    settings.NVR_CAMERA_ROOT, settings.NVR_DATA_DIR = tmp_path, tmp_path / "data"
    (tmp_path / "data/cache").mkdir(parents=True)

    assert add(manage, tmp_path / "data/cache").status_code == 403
    assert manage.get(FOLDERS, {"path": str(tmp_path / "data/cache")}).status_code == 403
    assert manage.get(FOLDERS, {"path": str(tmp_path / "data")}).json()["folders"] == []


@pytest.fixture
def chief(db) -> APIClient:
    client = APIClient()
    client.force_authenticate(make_user("chief", is_superuser=True))
    return client


def test_only_superusers_can_add_a_camera_folder(manage, manager, chief, group):
    manager.groups.add(group)
    camera = make_camera("Barn", groups=(group,))

    rejected = add(manage, folder_of(camera))
    assert rejected.status_code == 403
    assert "camera" in rejected.json()["error"]
    assert add(chief, folder_of(camera)).status_code == 201


def test_rejection_does_not_reveal_invisible_cameras(manage, chief, tmp_path, settings):
    settings.NVR_CAMERA_ROOT = root = tmp_path.resolve() / "cameras"
    (root / "yard/barn/day").mkdir(parents=True)
    (tmp_path / "alias").symlink_to(root / "yard/barn")
    make_camera("Barn", folder_path=str(root / "yard/barn"))
    missing, not_allowed = add(manage, root / "nothing"), add(manage, "/opt")
    assert (missing.status_code, not_allowed.status_code) == (400, 403)

    for inside in (root / "yard/barn", root / "yard/barn/day", tmp_path / "alias"):
        assert (add(manage, inside).status_code, add(manage, inside).json()) == (400, missing.json())
    assert (add(manage, root / "yard").status_code, add(manage, root / "yard").json()) == (403, not_allowed.json())
    assert add(chief, root / "yard").status_code == 201


def test_review_path_of_an_invisible_camera_is_not_listed(manage, chief):
    path = str(folder_of(make_camera("Barn")))
    add(chief, path)

    assert manage.get(PATHS).json()["knownPaths"] == []
    assert manage.delete(PATHS, {"path": path}, format="json").status_code == 404
    assert manage.get("/api/media-items/summary", {"path": path}).status_code == 403
    assert chief.delete(PATHS, {"path": path}, format="json").json() == {"removedPath": path, "knownPaths": []}


def test_audit_shows_no_entries_of_invisible_paths(manager, chief, card):
    barn = folder_of(make_camera("Barn"))
    add(chief, barn)
    add(chief, card)
    User.objects.filter(username="manager").update(is_staff=True)
    staff = APIClient()
    staff.force_authenticate(User.objects.get(username="manager"))

    entries = staff.get("/api/audit", {"target_type": "reviewpath"}).content.decode()
    assert str(card) in entries
    assert str(barn) not in entries
    chief.delete(PATHS, {"path": str(card)}, format="json")
    assert "review_path_removed" in staff.get("/api/audit").content.decode()


def test_path_that_became_a_link_can_still_be_removed(manage, card, tmp_path):
    other = tmp_path.resolve() / "other"
    other.mkdir()
    add(manage, card)
    add(manage, other)
    other.rmdir()
    other.symlink_to(card)

    assert manage.delete(PATHS, {"path": str(other)}, format="json").json()["knownPaths"] == [str(card)]


def test_number_of_queries_does_not_grow_with_paths(manage, chief):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert manage.get(PATHS).status_code == 200
        return len(queries)

    add(chief, folder_of(make_camera("Barn")))
    manage.get(PATHS)
    query_count = count()
    for name in ("Yard", "Shed", "Gate"):
        add(chief, folder_of(make_camera(name)))
    manage.get(PATHS)
    assert count() == query_count


def test_reviewers_cannot_change_paths(review, card):
    assert review.get(PATHS).json()["knownPaths"] == [str(card)]
    assert review.head(PATHS).status_code == 200
    for response in (add(review, card), review.delete(PATHS, {"path": str(card)}, format="json")):
        assert (response.status_code, set(response.json())) == (403, {"error"})


def test_picker_lists_subfolders(manage, card):
    (card / ".hidden").mkdir()
    (card / "link").symlink_to(card / "DCIM")

    assert manage.get(FOLDERS, {"path": str(card)}).json() == {
        "path": str(card),
        "folders": [{"path": f"{card}/DCIM", "name": "DCIM", "has_children": True}],
    }
    inner = manage.get(FOLDERS, {"path": f"{card}/DCIM"}).json()["folders"]
    assert [(folder["name"], folder["has_children"]) for folder in inner] == [("100MEDIA", False), ("101MEDIA", False)]


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 400), ("x", 400), ("/proc", 403), ("/proc/self", 403), ("/not/there", 403), ("/tmp/not/there", 400)],
)
def test_picker_rejects_invalid_paths(manage, path, status):
    response = manage.get(FOLDERS, {"path": path} if path else {})

    assert (response.status_code, set(response.json())) == (status, {"error"})


def subfolders_of(client: APIClient, path: Path | str) -> set[str]:
    return {folder["path"] for folder in client.get(FOLDERS, {"path": str(path)}).json()["folders"]}


def test_picker_omits_hidden_folders(chief):
    shown = subfolders_of(chief, "/")

    assert not shown & {"/proc", "/usr", "/etc"} and "/home" in shown


def test_picker_shows_only_allowed_folders(manage, tmp_path, settings):
    for name in ("cards/one", "cards/two", "private/deep"):
        (tmp_path / name).mkdir(parents=True)
    settings.NVR_REVIEW_ROOTS = [str(tmp_path / "cards")]

    assert subfolders_of(manage, tmp_path) == {f"{tmp_path}/cards"}
    assert subfolders_of(manage, tmp_path / "cards") == {f"{tmp_path}/cards/one", f"{tmp_path}/cards/two"}
    for folder in ("private", "private/deep", "private/not-there"):
        assert manage.get(FOLDERS, {"path": str(tmp_path / folder)}).status_code == 403
        response = add(manage, tmp_path / folder)
        assert (response.status_code, "superuser" in response.json()["error"]) == (403, True)
    assert add(manage, tmp_path / "cards/one").status_code == 201


def test_superuser_can_add_any_folder_that_is_not_hidden(chief, tmp_path, settings):
    settings.NVR_REVIEW_ROOTS = []

    assert add(chief, tmp_path).status_code == 201
    for path in ("/usr", "/usr/share", "/lib", "/sbin", settings.BASE_DIR, settings.BASE_DIR / "docs"):
        assert add(chief, path).status_code == 403
        assert chief.get(FOLDERS, {"path": str(path)}).status_code == 403
    assert add(chief, settings.BASE_DIR.parent).status_code == 403


def test_known_path_stays_after_settings_change(manage, chief, tmp_path, settings):
    assert add(chief, tmp_path).status_code == 201
    settings.NVR_REVIEW_ROOTS = []
    settings.NVR_REVIEW_HIDDEN_PATHS = [str(tmp_path)]

    assert manage.get(PATHS).json()["knownPaths"] == [str(tmp_path)]
    assert add(manage, tmp_path).status_code == 201
    assert manage.get("/api/media-items/summary", {"path": str(tmp_path)}).status_code == 200


@pytest.mark.parametrize("hidden", ["", "card"])
def test_picker_lists_known_path_after_settings_change(manage, chief, tmp_path, settings, hidden):
    card = tmp_path / "card"
    for name in ("DCIM/100MEDIA", "keys/old"):
        (card / name).mkdir(parents=True)
    assert add(chief, card).status_code == 201

    settings.NVR_REVIEW_HIDDEN_PATHS = [str(tmp_path / hidden), str(card / "keys")]

    assert subfolders_of(manage, card) == {str(card / "DCIM")}
    assert subfolders_of(manage, card / "DCIM") == {str(card / "DCIM/100MEDIA")}
    assert manage.get(FOLDERS, {"path": str(card / "keys")}).status_code == 403
    (tmp_path / "beside").mkdir()
    assert add(chief, tmp_path / "beside").status_code == (403 if not hidden else 201)


def test_camera_root_inside_a_hidden_folder_is_reviewable(chief, manage, tmp_path, settings):
    hidden, cameras = tmp_path / "system", tmp_path / "system/srv/cameras"
    (cameras / "demo/trail_camera").mkdir(parents=True)
    settings.NVR_REVIEW_HIDDEN_PATHS = [str(hidden)]
    settings.NVR_CAMERA_ROOT = cameras

    assert add(chief, hidden).status_code == add(chief, hidden / "srv").status_code == 403
    assert subfolders_of(manage, hidden) == {str(hidden / "srv")}
    assert add(manage, cameras / "demo/trail_camera").status_code == 201


def test_picker_omits_folders_of_invisible_cameras(manage, chief, manager, group):
    visible, invisible, trashed = (make_camera(name) for name in ("Visible", "Invisible", "Trashed"))
    visible.groups.set([group])
    manager.groups.add(group)
    trashed.deleted_at = timezone.now()
    trashed.save()
    (folder_of(invisible) / "2026").mkdir()
    base = Path(settings.NVR_CAMERA_ROOT)
    (base / "bare").mkdir(exist_ok=True)

    shown = subfolders_of(manage, base)

    assert {str(folder_of(visible)), str(base / "bare")} <= shown
    assert not shown & {str(folder_of(invisible)), str(folder_of(trashed))}
    absent = manage.get(FOLDERS, {"path": str(base / "absent")})
    for folder in (folder_of(invisible), folder_of(invisible) / "2026", folder_of(trashed)):
        response = manage.get(FOLDERS, {"path": str(folder)})
        assert (response.status_code, response.content) == (absent.status_code, absent.content)
    assert {str(folder_of(camera)) for camera in (visible, invisible, trashed)} <= subfolders_of(chief, base)


def test_only_managers_can_browse_outside_review_paths(review, card):
    assert review.get(FOLDERS, {"path": str(card)}).status_code == 200
    assert review.get(FOLDERS, {"path": str(card.parent)}).status_code == 403


def test_overlong_path_is_rejected(manage, card):
    deep = card
    while len(str(deep)) <= 2000:
        deep /= "x" * 200
    deep.mkdir(parents=True)

    response = manage.post(PATHS, {"path": str(deep)}, format="json")

    assert response.status_code == 400
    assert response.json() == {"error": "The folder's path is too long: at most 2000 bytes."}
