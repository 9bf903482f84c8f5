"""Review paths in the admin: the same checks and audit entries as in the API."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from nvr.audit.models import AuditEntry
from reviewer.models import ReviewPath, RunState, TrashRun
from reviewer.no_js_views import RUN_STATE_LABELS
from reviewer.registry import add_path
from tests.factories import folder_of, make_camera, make_user

LIST, ADD = "/admin/reviewer/reviewpath/", "/admin/reviewer/reviewpath/add/"
ADMIN = ("reviewer.review", "reviewer.change_reviewpath", "reviewer.view_reviewpath", "reviewer.view_trashrun")


@pytest.fixture
def staff(db):
    client = Client()
    client.force_login(make_user("staff", *ADMIN, is_staff=True))
    return client


def test_adding_changing_and_removing_a_path_is_audited(staff, card, group):
    assert staff.post(ADD, {"path": f"{card}//", "groups": [group.pk]}).status_code == 302
    row = ReviewPath.objects.get()
    assert (row.path, list(row.groups.all())) == (str(card), [group])
    assert row.remembered_mount is not None

    assert staff.post(f"{LIST}{row.pk}/change/", {"groups": []}).status_code == 302
    assert not row.groups.exists()
    assert staff.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not ReviewPath.objects.exists()
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["review_path_added", "review_path_updated", "review_path_updated", "review_path_removed"]


@pytest.mark.parametrize(
    ("path", "message"), [("/proc", "hidden"), ("/tmp/not/there", "existing folder"), ("x", "starting with /")]
)
def test_rejected_path_is_a_field_error(staff, path, message):
    response = staff.post(ADD, {"path": path})

    assert response.status_code == 200
    assert message in response.content.decode()
    assert not ReviewPath.objects.exists()


def test_path_of_an_invisible_camera_is_not_listed(staff):
    camera, chief = make_camera("Barn"), make_user("chief", is_staff=True, is_superuser=True)
    add_path(chief, str(folder_of(camera)))

    assert camera.folder_path not in staff.get(LIST).content.decode()
    staff.force_login(chief)
    assert camera.folder_path in staff.get(LIST).content.decode()


def test_trash_runs_are_read_only(staff):
    run = TrashRun.objects.create(state=RunState.DONE, started_by_name="ranger-of-the-north", started_at=timezone.now())
    page = "/admin/reviewer/trashrun/"

    assert "ranger-of-the-north" in staff.get(page).content.decode()
    assert staff.get(f"{page}{run.pk}/change/").status_code == 200
    assert staff.get(f"{page}add/").status_code == 403
    assert staff.post(f"{page}{run.pk}/delete/", {"post": "yes"}).status_code == 403


def test_trash_runs_have_the_labels_of_the_review_page(staff):
    run = TrashRun.objects.create(state=RunState.CANCELLED)
    page = "/admin/reviewer/trashrun/"

    for url in (page, f"{page}{run.pk}/change/"):
        html = staff.get(url).content.decode()
        assert "Stopped" in html
        assert "Cancelled" not in html
    assert [state.label.lower() for state in RunState] == [RUN_STATE_LABELS[state] for state in RunState]
