"""The Django admin in our frame."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator

from nvr.errors import Forbidden


class NvrAdminSite(AdminSite):
    site_header = "NVR"
    site_title = "NVR"
    index_title = "Manage"

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one login, with its limit; whoever is signed in and no staff is told so, not asked again."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise Forbidden("The administration is for staff.")
        wanted = request.GET.get("next") or reverse("admin:index")
        return redirect(f"{reverse('login')}?{urlencode({'next': wanted}, safe='/')}")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """There is one page for it, which leaves an audit entry."""
        return redirect("password_change")


class NvrAdminConfig(AdminConfig):
    default_site = "nvr.pages.admin_site.NvrAdminSite"
