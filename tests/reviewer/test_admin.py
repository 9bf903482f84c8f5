"""Review paths in the admin: the same checks and the same record as through the API."""

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
def desk(db):
    client = Client()
    client.force_login(make_user("desk", *ADMIN, is_staff=True))
    return client


def test_a_path_is_added_changed_and_removed_on_the_record(desk, card, group):
    assert desk.post(ADD, {"path": f"{card}//", "groups": [group.pk]}).status_code == 302
    row = ReviewPath.objects.get()
    assert (row.path, list(row.groups.all())) == (str(card), [group])
    assert row.remembered_mount is not None

    assert desk.post(f"{LIST}{row.pk}/change/", {"groups": []}).status_code == 302
    assert not row.groups.exists()
    assert desk.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not ReviewPath.objects.exists()
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["review_path_added", "review_path_updated", "review_path_updated", "review_path_removed"]


@pytest.mark.parametrize(
    ("path", "sentence"), [("/proc", "hidden"), ("/tmp/not/there", "existing folder"), ("x", "starting with /")]
)
def test_what_may_not_be_added_is_told_beside_the_field(desk, path, sentence):
    answer = desk.post(ADD, {"path": path})

    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not ReviewPath.objects.exists()


def test_where_a_camera_that_one_may_not_see_keeps_its_files_is_not_listed(desk):
    camera, chief = make_camera("Barn"), make_user("chief", is_staff=True, is_superuser=True)
    add_path(chief, str(folder_of(camera)))

    assert camera.folder_path not in desk.get(LIST).content.decode()
    desk.force_login(chief)
    assert camera.folder_path in desk.get(LIST).content.decode()


def test_the_record_of_emptied_trash_is_read_only(desk):
    run = TrashRun.objects.create(state=RunState.DONE, started_by_name="ranger-of-the-north", started_at=timezone.now())
    page = "/admin/reviewer/trashrun/"

    assert "ranger-of-the-north" in desk.get(page).content.decode()
    assert desk.get(f"{page}{run.pk}/change/").status_code == 200
    assert desk.get(f"{page}add/").status_code == 403
    assert desk.post(f"{page}{run.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_record_of_emptied_trash_has_the_words_of_the_review_page(desk):
    run = TrashRun.objects.create(state=RunState.CANCELLED)
    page = "/admin/reviewer/trashrun/"

    for address in (page, f"{page}{run.pk}/change/"):
        told = desk.get(address).content.decode()
        assert "Stopped" in told
        assert "Cancelled" not in told
    assert [state.label.lower() for state in RunState] == [RUN_STATE_LABELS[state] for state in RunState]
