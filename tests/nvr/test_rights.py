"""Who may give rights: superusers only; and each change of a right is on the record."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from nvr.accounts.models import ApiKey
from nvr.audit.models import AuditEntry
from tests.factories import make_user

NEW = "a wholly other pass phrase"
EVERY_VERB = ("view", "add", "change", "delete")
MANAGER = [f"auth.{verb}_{model}" for verb in EVERY_VERB for model in ("user", "group")]
KEYS = [f"accounts.{verb}_apikey" for verb in EVERY_VERB]


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def manager(db: None) -> User:
    """Staff who manages users and groups, and is no superuser."""
    return make_user("manager", *MANAGER, *KEYS, is_staff=True)


@pytest.fixture
def browser(manager: User) -> Client:
    return browser_of(manager)


@pytest.fixture
def strong(db: None) -> Group:
    group = Group.objects.create(name="strong")
    group.permissions.add(permission("cameras.delete_camera"))
    return group


def permission(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


def change(client: Client, user: User, **fields: Any) -> int:
    form = {"username": user.username, "is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    return client.post(f"/admin/auth/user/{user.pk}/change/", form | fields).status_code


def rights_of(user: User) -> tuple[Any, ...]:
    user = User.objects.get(pk=user.pk)
    groups, permissions = (list(rows.values_list("pk", flat=True)) for rows in (user.groups, user.user_permissions))
    return user.is_superuser, user.is_staff, sorted(groups), sorted(permissions)


def entry(action: str) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


def test_a_manager_cannot_grant_permissions(browser: Client, manager: User, strong: Group) -> None:
    wanted = {"is_superuser": "on", "is_staff": "on", "groups": [strong.pk]}
    wanted |= {"user_permissions": [permission("cameras.delete_camera").pk]}

    for user in (manager, make_user("kim")):
        before = rights_of(user)

        assert change(browser, user, **wanted, first_name="Changed") == 302

        user.refresh_from_db()
        assert user.first_name == "Changed"
        assert rights_of(user) == before


@pytest.mark.parametrize("query", ["", "?_popup=1"])
def test_a_user_created_by_a_manager_has_no_permissions(browser: Client, strong: Group, query: str) -> None:
    form = {"username": "made", "usable_password": "true", "password1": NEW, "password2": NEW}
    wanted = {"is_superuser": "on", "is_staff": "on", "groups": [strong.pk], "_popup": "1" if query else ""}

    browser.post(f"/admin/auth/user/add/{query}", form | {name: value for name, value in wanted.items() if value})

    assert rights_of(User.objects.get(username="made")) == (False, False, [], [])


def test_nobody_manages_users_with_more_permissions(browser: Client, admin: User, strong: Group) -> None:
    may_more = make_user("may_more", "cameras.delete_camera", is_active=False)
    in_group = make_user("in_group", groups=(strong,))

    for user in (admin, may_more, in_group):
        secret = {"password1": NEW, "password2": NEW, "usable_password": "true"}
        address = f"/admin/auth/user/{user.pk}"

        assert change(browser, user, email="mine@example.org", is_active="") == 403
        assert browser.post(f"{address}/password/", secret).status_code == 403
        assert browser.get(f"{address}/password/").status_code == 403
        assert browser.post(f"{address}/delete/", {"post": "yes"}).status_code == 403
        assert browser.get(f"{address}/change/").status_code == 200  # to be read

        again = User.objects.get(pk=user.pk)
        assert (again.password, again.email, again.is_active) == (user.password, "", user.is_active)


def test_a_manager_manages_users_without_more_permissions(browser: Client, manager: User) -> None:
    kim = make_user("kim", "auth.view_user")

    assert change(browser, kim, email="kim@example.org") == 302
    secret = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert browser.post(f"/admin/auth/user/{kim.pk}/password/", secret).status_code == 302
    assert browser.post(f"/admin/auth/user/{kim.pk}/delete/", {"post": "yes"}).status_code == 302

    assert not User.objects.filter(pk=kim.pk).exists()


def test_bulk_deletion_excludes_users_with_more_permissions(browser: Client, admin: User) -> None:
    kim = make_user("kim")
    form = {"action": "delete_selected", "_selected_action": [admin.pk, kim.pk], "post": "yes"}

    assert browser.post("/admin/auth/user/", form).status_code == 403

    assert User.objects.filter(pk__in=[admin.pk, kim.pk]).count() == 2


def test_a_manager_cannot_change_a_groups_permissions(browser: Client, strong: Group) -> None:
    wanted = {"permissions": [permission("cameras.view_all").pk]}

    assert browser.post(f"/admin/auth/group/{strong.pk}/change/", {"name": "renamed", **wanted}).status_code == 302
    assert browser.post("/admin/auth/group/add/", {"name": "made", **wanted}).status_code == 302
    assert browser.post(f"/admin/auth/group/{strong.pk}/delete/", {"post": "yes"}).status_code == 403

    strong.refresh_from_db()
    assert strong.name == "renamed"
    assert [each.codename for each in strong.permissions.all()] == ["delete_camera"]
    assert not Group.objects.get(name="made").permissions.exists()


def test_a_manager_cannot_create_keys_for_others(browser: Client, manager: User, admin: User) -> None:
    other, _ = ApiKey.objects.issue(user=admin, name="the chief's")

    browser.post("/admin/accounts/apikey/add/", {"name": "mine", "user": admin.pk})
    browser.post(f"/admin/accounts/apikey/{other.pk}/change/", {"name": "stolen", "user": manager.pk})

    assert ApiKey.objects.get(name="mine").user == manager
    assert ApiKey.objects.get(pk=other.pk).user == admin
    assert ApiKey.objects.get(pk=other.pk).name == "the chief's"


def test_permissions_granted_by_a_superuser_are_audited(admin: User, strong: Group) -> None:
    kim = make_user("kim")
    given = permission("cameras.view_all")

    change(browser_of(admin), kim, is_staff="on", groups=[strong.pk], user_permissions=[given.pk], is_active="")

    assert entry("user_updated").actor_name == "chief"
    assert entry("user_updated").target_name == "kim"
    assert entry("user_updated").changes == {
        "is_active": [True, False],
        "is_staff": [False, True],
        "groups": [[], ["strong"]],
        "permissions": [[], ["cameras.view_all"]],
    }


def test_saving_without_a_change_leaves_no_audit_entry(admin: User) -> None:
    kim = make_user("kim")
    change(browser_of(admin), kim)

    assert not AuditEntry.objects.filter(action="user_updated").exists()


def test_creating_and_deleting_users_is_audited(admin: User) -> None:
    form = {"username": "made", "usable_password": "true", "password1": NEW, "password2": NEW}
    browser = browser_of(admin)

    browser.post("/admin/auth/user/add/", form)
    made = User.objects.get(username="made")
    bulk = {"action": "delete_selected", "_selected_action": [made.pk], "post": "yes"}
    assert browser.post("/admin/auth/user/", bulk).status_code == 302

    assert entry("user_created").changes == {"username": [None, "made"], "is_active": [None, True]}
    assert entry("user_deleted").changes["username"] == ["made", None]
    assert entry("user_deleted").target_pk == made.pk


def test_changes_of_a_groups_permissions_are_audited(admin: User, strong: Group) -> None:
    browser = browser_of(admin)

    browser.post("/admin/auth/group/add/", {"name": "made"})
    browser.post(f"/admin/auth/group/{strong.pk}/change/", {"name": "strong", "permissions": []})
    browser.post(f"/admin/auth/group/{strong.pk}/delete/", {"post": "yes"})

    assert entry("group_created").changes == {"name": [None, "made"]}
    assert entry("group_updated").changes == {"permissions": [["cameras.delete_camera"], []]}
    assert entry("group_deleted").changes == {"name": ["strong", None]}


def test_a_permission_that_cannot_be_audited_is_not_granted(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("no room")

    kim = make_user("kim")
    browser = browser_of(admin)
    browser.raise_request_exception = False
    monkeypatch.setattr("nvr.accounts.admin.record", broken)

    assert change(browser, kim, is_superuser="on") == 500

    assert not User.objects.get(pk=kim.pk).is_superuser
