"""Users, groups and API keys in the admin."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from nvr.accounts.models import ApiKey
from tests.factories import make_user

pytestmark = pytest.mark.django_db

INTERNAL = ("add_logentry", "view_contenttype", "delete_session", "change_purge", "view_permission", "add_tombstone")
ASKED_FOR = ("view_all", "control_camera", "review", "add_camera", "change_event", "add_detection", "change_reviewpath")


@pytest.fixture
def chief() -> User:
    return make_user("chief", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(chief: User) -> Client:
    client = Client()
    client.force_login(chief)
    return client


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


@pytest.mark.parametrize("kind", ["user", "group"])
def test_only_permissions_that_nvr_uses_are_offered(browser: Client, kind: str) -> None:
    one = make_user("ann") if kind == "user" else Group.objects.create(name="family")

    page = browser.get(f"/admin/auth/{kind}/{one.pk}/change/").content.decode()

    offered = {
        row.codename for row in Permission.objects.all() if f'value="{row.pk}"' in page.partition("ermissions")[2]
    }
    assert offered >= set(ASKED_FOR)
    assert not offered & set(INTERNAL)
    assert "contenttypes" not in page and "Content type" not in page
    assert "Review media: look, lock, trash" in page


def test_granted_permissions_stay_offered_and_are_not_lost(browser: Client) -> None:
    group = Group.objects.create(name="family")
    group.permissions.add(permission("view_session"), permission("review"))

    browser.post(
        f"/admin/auth/group/{group.pk}/change/",
        {"name": "household", "permissions": [permission("view_session").pk, permission("review").pk]},
    )

    group.refresh_from_db()
    assert group.name == "household"
    assert set(group.permissions.values_list("codename", flat=True)) == {"view_session", "review"}


def test_a_submitted_internal_permission_is_rejected(browser: Client) -> None:
    group = Group.objects.create(name="family")

    response = browser.post(
        f"/admin/auth/group/{group.pk}/change/", {"name": "family", "permissions": [permission("add_session").pk]}
    )

    assert response.status_code == 200
    assert not group.permissions.exists()


def key_form(name: str, days: float) -> dict[str, str]:
    return form_of(name, timezone.now() + timedelta(days=days))


def form_of(name: str, at: datetime) -> dict[str, str]:
    return {"name": name, "expires_at_0": f"{at:%Y-%m-%d}", "expires_at_1": f"{at:%H:%M:%S}"}


def test_an_expiry_in_the_past_is_rejected(browser: Client, chief: User) -> None:
    response = browser.post("/admin/accounts/apikey/add/", key_form("phone", -1) | {"user": str(chief.pk)})

    assert "This time is in the past" in response.content.decode()
    assert not ApiKey.objects.exists()


def test_an_expiry_in_the_future_is_accepted(browser: Client, chief: User) -> None:
    browser.post("/admin/accounts/apikey/add/", key_form("phone", 1) | {"user": str(chief.pk)})

    assert ApiKey.objects.get().is_usable


def test_an_expired_key_can_still_be_renamed(browser: Client, chief: User) -> None:
    key, _ = ApiKey.objects.issue(user=chief, name="phone")
    ended = timezone.now() - timedelta(days=3)
    ApiKey.objects.update(expires_at=ended)

    browser.post(f"/admin/accounts/apikey/{key.pk}/change/", form_of("old phone", ended))

    assert ApiKey.objects.get().name == "old phone"


def test_a_new_key_is_passed_to_the_next_page_in_a_cookie(browser: Client, chief: User) -> None:
    form = {"name": "phone", "user": chief.pk, "read_only": "", "expires_at_0": "", "expires_at_1": ""}

    response = browser.post("/admin/accounts/apikey/add/", form)

    key = ApiKey.objects.get()
    assert response.status_code == 302
    assert response.cookies["nvr_messages"].value
    assert key.prefix not in str([session.get_decoded() for session in Session.objects.all()])
    assert key.prefix in browser.get("/admin/").content.decode()
