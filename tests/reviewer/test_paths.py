"""Which folders are reviewed, and picking others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
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
        ({"path": "/not/there"}, 400),
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


def test_a_cameras_folder_is_for_superusers(manage, chief):
    camera = make_camera("Barn")

    assert add(manage, folder_of(camera)).status_code == 403
    assert add(chief, folder_of(camera)).status_code == 201


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
    ("path", "status"), [("", 400), ("x", 400), ("/proc", 403), ("/proc/self", 403), ("/not/there", 400)]
)
def test_the_pickers_refusals(manage, path, status):
    answer = manage.get(FOLDERS, {"path": path} if path else {})

    assert (answer.status_code, set(answer.json())) == (status, {"error"})


def test_the_picker_hides_what_is_hidden(manage):
    shown = {folder["path"] for folder in manage.get(FOLDERS, {"path": "/"}).json()["folders"]}

    assert "/proc" not in shown and "/usr" in shown


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
