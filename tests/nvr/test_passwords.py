"""A changed password leaves one audit entry, whoever changed it, and never the password."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from nvr.audit.models import AuditEntry
from tests.factories import PASSWORD, make_user

NEW = "a wholly other pass phrase"


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def set_for(client: Client, user: User, **fields: str):
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"} | fields
    return client.post(f"/admin/auth/user/{user.pk}/password/", form)


def entries() -> list[tuple[str, str, str]]:
    kept = AuditEntry.objects.filter(target_type="user").order_by("pk")
    assert not any(entry.changes for entry in kept)
    return [(entry.action, entry.actor_name, entry.target_name) for entry in kept]


def test_an_administrator_sets_a_password(browser: Client) -> None:
    kim = make_user("kim")

    assert set_for(browser, kim).status_code == 302

    kim.refresh_from_db()
    assert kim.check_password(NEW)
    assert entries() == [("password_changed", "chief", "kim")]


def test_a_changed_password_is_confirmed_once(browser: Client) -> None:
    for address in ("/password/done", "/admin/password_change/done/"):
        assert browser.get(address)["Location"] == "/password"
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}

    page = browser.post("/password", form, follow=True)

    assert "Your password is changed" in page.content.decode()
    assert "Your password is changed" not in browser.get("/").content.decode()


def test_an_administrator_disables_a_password(browser: Client) -> None:
    kim = make_user("kim")

    set_for(browser, kim, usable_password="false", **{"unset-password": "1"})

    kim.refresh_from_db()
    assert not kim.has_usable_password()
    assert entries() == [("password_disabled", "chief", "kim")]


def test_a_rejected_password_changes_nothing(browser: Client) -> None:
    kim = make_user("kim")

    assert set_for(browser, kim, password2="something else").status_code == 200
    browser.get(f"/admin/auth/user/{kim.pk}/password/")
    browser.get("/admin/auth/user/999999/password/")

    assert entries() == []


def test_a_password_change_that_cannot_be_audited_is_rolled_back(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("no room")

    kim = make_user("kim")
    own = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    browser.raise_request_exception = False
    monkeypatch.setattr("nvr.accounts.admin.record", broken)
    monkeypatch.setattr("nvr.pages.login.record", broken)

    assert set_for(browser, kim).status_code == 500
    assert browser.post("/password", own).status_code == 500

    assert all(user.check_password(PASSWORD) for user in User.objects.all())


def test_users_change_their_own_password(browser: Client) -> None:
    browser.post("/password", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})

    assert entries() == [("password_changed", "chief", "chief")]
