"""Permission classes: staff, and Django's model permissions by method."""

from __future__ import annotations

from rest_framework.permissions import BasePermission, DjangoModelPermissions, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

__all__ = ["HasPermission", "IsAuthenticated", "IsStaff", "ModelPermissions"]


class IsStaff(BasePermission):
    message = "This is for staff."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user and request.user.is_active and request.user.is_staff)


class ModelPermissions(DjangoModelPermissions):
    """Reading is limited by `visible_to`; writing needs Django's permission for the method.

    Custom actions list their permission in the view's `action_permissions`.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not (request.user and request.user.is_authenticated):
            return False
        named = getattr(view, "action_permissions", {}).get(getattr(view, "action", None))
        if named is not None:
            return bool(request.user.has_perm(named))
        return bool(super().has_permission(request, view))


def HasPermission(name: str) -> type[BasePermission]:  # reads as a class where it is used
    """A permission class for one named Django permission."""

    class Named(BasePermission):
        def has_permission(self, request: Request, view: APIView) -> bool:
            return bool(request.user and request.user.is_authenticated and request.user.has_perm(name))

    return Named
