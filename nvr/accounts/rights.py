"""The permissions of users and groups for audit entries, and who can manage which user."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import QuerySet

from nvr.audit.actor import Actor

PERSON = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser")
Facts = dict[str, Any]


def may_manage(actor: Actor, user: User) -> bool:
    """Return whether `actor` can change `user`, and so set the password and act as that user.

    Nobody can manage a user with a permission or a group that they do not have themselves.
    """
    if not isinstance(actor, User) or actor.is_superuser:
        return actor.is_superuser
    if user.is_superuser:
        return False
    groups, own_groups = (set(each.groups.values_list("pk", flat=True)) for each in (user, actor))
    # Groups as well as permissions: a group may give access to cameras.
    return groups <= own_groups and _permissions_when_active(user) <= actor.get_all_permissions()


def _permissions_when_active(user: User) -> set[str]:
    """Return the permissions, also for a deactivated user, who can be activated again."""
    given = Permission.objects.filter(user=user) | Permission.objects.filter(group__user=user)
    return set(_names(given))


def _names(permissions: QuerySet[Permission]) -> list[str]:
    pairs = permissions.values_list("content_type__app_label", "codename")
    return sorted({f"{app}.{codename}" for app, codename in pairs})


def facts_of_user(user: User | None) -> Facts:
    """Return the audited values of a user; empty for a user that does not exist (yet, or no longer)."""
    stored = User.objects.filter(pk=user.pk).first() if user else None
    if stored is None:
        return {}
    return {name: getattr(stored, name) for name in PERSON} | {
        "groups": sorted(stored.groups.values_list("name", flat=True)),
        "permissions": _names(stored.user_permissions.all()),
    }


def facts_of_group(group: Group | None) -> Facts:
    stored = Group.objects.filter(pk=group.pk).first() if group else None
    return {"name": stored.name, "permissions": _names(stored.permissions.all())} if stored else {}


def difference(before: Facts, after: Facts) -> dict[str, tuple[Any, Any]]:
    """Return the changes for an audit entry; for a new or deleted object, all values that are set."""
    names = dict.fromkeys([*before, *after])
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in pairs.items() if (old or None) != (new or None)}
