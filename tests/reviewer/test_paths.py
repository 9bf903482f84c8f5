"""Which folders are reviewed, and picking others."""

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


def test_adding_stores_where_it_really_is_and_is_idempotent(manage, card, tmp_path):
    (tmp_path / "alias").symlink_to(card)

    for given in (card, tmp_path / "alias", f"{card}//DCIM/../"):
        answer = add(manage, given)
        assert answer.status_code == 201
        assert answer.json() == {"addedPath": str(card), "knownPaths": [str(card)]}
    assert AuditEntry.objects.filter(action="review_path_added").count() == 1
    assert manage.get(PATHS).json() == {
        "knownPaths": [str(card)],
        "hiddenPickerPaths": settings.NVR_REVIEW_HIDDEN_PATHS,
    }


def test_removing_needs_no_folder(manage, card):
    add(manage, card)
    card.rename(card.with_name("gone"))

    answer = manage.delete(PATHS, {"path": str(card)}, format="json")

    assert answer.json() == {"removedPath": str(card), "knownPaths": []}
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
def test_refusals(manage, body, status):
    answer = manage.post(PATHS, body, format="json")

    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    assert not ReviewPath.objects.exists()


def test_a_body_that_is_no_json_is_400(manage):
    for method in (manage.post, manage.delete):
        answer = method(PATHS, b'{"path": ', content_type="application/json")
        assert (answer.status_code, set(answer.json())) == (400, {"error"})


def test_a_link_to_a_hidden_folder_is_403(manage, tmp_path):
    (tmp_path / "innocent").symlink_to("/proc/self")

    assert add(manage, tmp_path / "innocent").status_code == 403


def test_a_link_to_a_name_that_no_database_can_keep_is_400(manage, tmp_path):
    broken = Path(os.fsdecode(os.fsencode(tmp_path) + b"/br\xf6ken"))
    broken.mkdir()
    (tmp_path / "alias").symlink_to(broken)

    answer = add(manage, tmp_path / "alias")
    assert answer.status_code == 400
    assert "rename" in answer.json()["error"]


def test_what_holds_a_hidden_folder_is_403_and_says_so(manage, tmp_path, settings):
    (tmp_path / "home/.ssh").mkdir(parents=True)
    settings.NVR_REVIEW_HIDDEN_PATHS = [str(tmp_path / "home/.ssh")]

    answer = add(manage, tmp_path / "home")
    assert answer.status_code == 403
    assert ".ssh" in answer.json()["error"]


def test_our_own_data_is_hidden(manage):
    for path in (settings.NVR_DATA_DIR, settings.NVR_DATA_DIR / "cache", Path(settings.NVR_DATA_DIR).parent):
        assert add(manage, path).status_code == 403


def test_our_own_data_is_hidden_also_where_it_lies_among_the_cameras(manage, tmp_path, settings):
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


def test_a_cameras_folder_is_for_superusers(manage, manager, chief, group):
    manager.groups.add(group)
    camera = make_camera("Barn", groups=(group,))

    refused = add(manage, folder_of(camera))
    assert refused.status_code == 403
    assert "camera" in refused.json()["error"]
    assert add(chief, folder_of(camera)).status_code == 201


def test_a_refusal_does_not_reveal_a_camera_that_one_may_not_see(manage, chief, tmp_path, settings):
    settings.NVR_CAMERA_ROOT = root = tmp_path.resolve() / "cameras"
    (root / "yard/barn/day").mkdir(parents=True)
    (tmp_path / "alias").symlink_to(root / "yard/barn")
    make_camera("Barn", folder_path=str(root / "yard/barn"))
    missing, out_of_reach = add(manage, root / "nothing"), add(manage, "/opt")
    assert (missing.status_code, out_of_reach.status_code) == (400, 403)

    for inside in (root / "yard/barn", root / "yard/barn/day", tmp_path / "alias"):
        assert (add(manage, inside).status_code, add(manage, inside).json()) == (400, missing.json())
    assert (add(manage, root / "yard").status_code, add(manage, root / "yard").json()) == (403, out_of_reach.json())
    assert add(chief, root / "yard").status_code == 201


def test_where_a_camera_that_one_may_not_see_keeps_its_files_is_unknown(manage, chief):
    path = str(folder_of(make_camera("Barn")))
    add(chief, path)

    assert manage.get(PATHS).json()["knownPaths"] == []
    assert manage.delete(PATHS, {"path": path}, format="json").status_code == 404
    assert manage.get("/api/media-items/summary", {"path": path}).status_code == 403
    assert chief.delete(PATHS, {"path": path}, format="json").json() == {"removedPath": path, "knownPaths": []}


def test_the_audit_tells_of_no_path_that_one_may_not_see(manager, chief, card):
    barn = folder_of(make_camera("Barn"))
    add(chief, barn)
    add(chief, card)
    User.objects.filter(username="manager").update(is_staff=True)
    staff = APIClient()
    staff.force_authenticate(User.objects.get(username="manager"))

    told = staff.get("/api/audit", {"target_type": "reviewpath"}).content.decode()
    assert str(card) in told
    assert str(barn) not in told
    chief.delete(PATHS, {"path": str(card)}, format="json")
    assert "review_path_removed" in staff.get("/api/audit").content.decode()


def test_a_name_that_became_a_link_still_names_its_own_path(manage, card, tmp_path):
    other = tmp_path.resolve() / "other"
    other.mkdir()
    add(manage, card)
    add(manage, other)
    other.rmdir()
    other.symlink_to(card)

    assert manage.delete(PATHS, {"path": str(other)}, format="json").json()["knownPaths"] == [str(card)]


def test_more_paths_and_cameras_cost_no_more_queries(manage, chief):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert manage.get(PATHS).status_code == 200
        return len(queries)

    add(chief, folder_of(make_camera("Barn")))
    manage.get(PATHS)
    few = count()
    for name in ("Yard", "Shed", "Gate"):
        add(chief, folder_of(make_camera(name)))
    manage.get(PATHS)
    assert count() == few


def test_reviewing_is_not_managing(review, card):
    assert review.get(PATHS).json()["knownPaths"] == [str(card)]
    assert review.head(PATHS).status_code == 200
    for answer in (add(review, card), review.delete(PATHS, {"path": str(card)}, format="json")):
        assert (answer.status_code, set(answer.json())) == (403, {"error"})


def test_the_picker_opens_folder_by_folder(manage, card):
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
def test_the_pickers_refusals(manage, path, status):
    answer = manage.get(FOLDERS, {"path": path} if path else {})

    assert (answer.status_code, set(answer.json())) == (status, {"error"})


def picked(client: APIClient, path: Path | str) -> set[str]:
    return {folder["path"] for folder in client.get(FOLDERS, {"path": str(path)}).json()["folders"]}


def test_the_picker_hides_what_is_hidden(chief):
    shown = picked(chief, "/")

    assert not shown & {"/proc", "/usr", "/etc"} and "/home" in shown


def test_who_is_no_superuser_is_shown_only_what_they_may_add(manage, tmp_path, settings):
    for name in ("cards/one", "cards/two", "private/deep"):
        (tmp_path / name).mkdir(parents=True)
    settings.NVR_REVIEW_ROOTS = [str(tmp_path / "cards")]

    assert picked(manage, tmp_path) == {f"{tmp_path}/cards"}
    assert picked(manage, tmp_path / "cards") == {f"{tmp_path}/cards/one", f"{tmp_path}/cards/two"}
    for folder in ("private", "private/deep", "private/not-there"):
        assert manage.get(FOLDERS, {"path": str(tmp_path / folder)}).status_code == 403
        answer = add(manage, tmp_path / folder)
        assert (answer.status_code, "superuser" in answer.json()["error"]) == (403, True)
    assert add(manage, tmp_path / "cards/one").status_code == 201


def test_a_superuser_adds_any_folder_that_is_not_hidden(chief, tmp_path, settings):
    settings.NVR_REVIEW_ROOTS = []

    assert add(chief, tmp_path).status_code == 201
    for path in ("/usr", "/usr/share", "/lib", "/sbin", settings.BASE_DIR, settings.BASE_DIR / "docs"):
        assert add(chief, path).status_code == 403
        assert chief.get(FOLDERS, {"path": str(path)}).status_code == 403
    assert add(chief, settings.BASE_DIR.parent).status_code == 403


def test_paths_that_were_added_stay(manage, chief, tmp_path, settings):
    assert add(chief, tmp_path).status_code == 201
    settings.NVR_REVIEW_ROOTS = []
    settings.NVR_REVIEW_HIDDEN_PATHS = [str(tmp_path)]

    assert manage.get(PATHS).json()["knownPaths"] == [str(tmp_path)]
    assert add(manage, tmp_path).status_code == 201
    assert manage.get("/api/media-items/summary", {"path": str(tmp_path)}).status_code == 200


@pytest.mark.parametrize("hidden", ["", "card"])
def test_the_folders_of_a_path_that_was_added_stay_to_be_chosen(manage, chief, tmp_path, settings, hidden):
    card = tmp_path / "card"
    for name in ("DCIM/100MEDIA", "keys/old"):
        (card / name).mkdir(parents=True)
    assert add(chief, card).status_code == 201

    settings.NVR_REVIEW_HIDDEN_PATHS = [str(tmp_path / hidden), str(card / "keys")]

    assert picked(manage, card) == {str(card / "DCIM")}
    assert picked(manage, card / "DCIM") == {str(card / "DCIM/100MEDIA")}
    assert manage.get(FOLDERS, {"path": str(card / "keys")}).status_code == 403
    (tmp_path / "beside").mkdir()
    assert add(chief, tmp_path / "beside").status_code == (403 if not hidden else 201)


def test_the_cameras_root_is_open_wherever_it_lies(chief, manage, tmp_path, settings):
    hidden, cameras = tmp_path / "system", tmp_path / "system/srv/cameras"
    (cameras / "demo/trail_camera").mkdir(parents=True)
    settings.NVR_REVIEW_HIDDEN_PATHS = [str(hidden)]
    settings.NVR_CAMERA_ROOT = cameras

    assert add(chief, hidden).status_code == add(chief, hidden / "srv").status_code == 403
    assert picked(manage, hidden) == {str(hidden / "srv")}
    assert add(manage, cameras / "demo/trail_camera").status_code == 201


def test_folders_of_cameras_that_one_may_not_see_are_not_listed(manage, chief, manager, group):
    seen, unseen, trashed = (make_camera(name) for name in ("Seen", "Unseen", "Trashed"))
    seen.groups.set([group])
    manager.groups.add(group)
    trashed.deleted_at = timezone.now()
    trashed.save()
    (folder_of(unseen) / "2026").mkdir()
    base = Path(settings.NVR_CAMERA_ROOT)
    (base / "bare").mkdir(exist_ok=True)

    shown = picked(manage, base)

    assert {str(folder_of(seen)), str(base / "bare")} <= shown
    assert not shown & {str(folder_of(unseen)), str(folder_of(trashed))}
    absent = manage.get(FOLDERS, {"path": str(base / "absent")})
    for folder in (folder_of(unseen), folder_of(unseen) / "2026", folder_of(trashed)):
        answer = manage.get(FOLDERS, {"path": str(folder)})
        assert (answer.status_code, answer.content) == (absent.status_code, absent.content)
    assert {str(folder_of(camera)) for camera in (seen, unseen, trashed)} <= picked(chief, base)


def test_only_managers_look_outside_of_what_is_reviewed(review, card):
    assert review.get(FOLDERS, {"path": str(card)}).status_code == 200
    assert review.get(FOLDERS, {"path": str(card.parent)}).status_code == 403


def test_a_path_that_no_index_can_hold_is_refused(manage, card):
    deep = card
    while len(str(deep)) <= 2000:
        deep /= "x" * 200
    deep.mkdir(parents=True)

    response = manage.post(PATHS, {"path": str(deep)}, format="json")

    assert response.status_code == 400
    assert response.json() == {"error": "The folder's path is too long: at most 2000 bytes."}
