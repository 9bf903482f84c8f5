"""The Django admin in our frame."""

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
        """There is one login, with its limit; whoever is signed in and no staff is told so, not asked again."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise Forbidden("The administration is for staff.")
        wanted = request.GET.get("next") or reverse("admin:index")
        return redirect(f"{reverse('login')}?{urlencode({'next': wanted}, safe='/')}")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """There is one page for it, which leaves an audit entry."""
        return redirect("password_change")

    password_change_done = password_change

    def get_urls(self) -> list[URLResolver | URLPattern]:
        own = path("r/<content_type_id>/<object_id>/", self.admin_view(self.view_on_site), name="view_on_site")
        return [own, *super().get_urls()]

    def view_on_site(self, request: HttpRequest, content_type_id: str, object_id: str) -> HttpResponse:
        """Leads to the page of what one may see; Django's leads to any object's, and so tells its name."""
        from django.contrib.contenttypes.models import ContentType

        kind = ContentType.objects.filter(pk=content_type_id).first() if content_type_id.isdecimal() else None
        model = kind.model_class() if kind else None
        model_admin = self._registry.get(model) if model else None
        target = model_admin.get_object(request, object_id) if model_admin else None
        if model_admin is None or target is None or not model_admin.has_view_or_change_permission(request, target):
            raise Http404
        if not hasattr(target, "get_absolute_url"):
            raise Http404
        return redirect(target.get_absolute_url())


class NvrAdminConfig(AdminConfig):
    default_site = "nvr.pages.admin_site.NvrAdminSite"
