"""The Django admin with NVR's login and layout."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator

from nvr.errors import Forbidden


class NvrAdminSite(AdminSite):
    site_header = "NVR"
    site_title = "NVR"
    index_title = "Manage"

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect to the common, rate-limited login; signed-in users who are not staff get 403."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise Forbidden("The administration is for staff.")
        target = request.GET.get("next") or reverse("admin:index")
        return redirect(f"{reverse('login')}?{urlencode({'next': target}, safe='/')}")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Redirect to the common page, which records an audit entry."""
        return redirect("password_change")

    password_change_done = password_change

    def get_urls(self) -> list[URLResolver | URLPattern]:
        own = path("r/<content_type_id>/<object_id>/", self.admin_view(self.view_on_site), name="view_on_site")
        return [own, *super().get_urls()]

    def view_on_site(self, request: HttpRequest, content_type_id: str, object_id: str) -> HttpResponse:
        """Redirect to the page of a visible object; Django's view redirects to any object and so reveals its name."""
        from django.contrib.contenttypes.models import ContentType

        kind = ContentType.objects.filter(pk=content_type_id).first() if content_type_id.isdecimal() else None
        model = kind.model_class() if kind else None
        if model is None or not self.is_registered(model):
            raise Http404
        model_admin = self.get_model_admin(model)
        target = model_admin.get_object(request, object_id)
        if target is None or not model_admin.has_view_or_change_permission(request, target):
            raise Http404
        if not hasattr(target, "get_absolute_url"):
            raise Http404
        return redirect(target.get_absolute_url())


class NvrAdminConfig(AdminConfig):
    default_site = "nvr.pages.admin_site.NvrAdminSite"
