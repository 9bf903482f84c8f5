"""All URLs: pages, API and admin."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from nvr import error_handlers
from nvr.api.audit import AuditListView
from nvr.api.schema_views import DocsPage, SchemaView
from nvr.api.tokens import TokenRefreshView, TokenView
from nvr.health.views import HealthView, SystemHealthView
from nvr.pages.login import LoginView, PasswordChangeView

handler400 = error_handlers.bad_request
handler403 = error_handlers.permission_denied
handler404 = error_handlers.not_found
handler500 = error_handlers.server_error

api: list[URLPattern | URLResolver] = [
    path("", include("media_serving.api.urls")),  # first, since most requests are for media
    path("health", HealthView.as_view(), name="health"),
    path("system/health", SystemHealthView.as_view(), name="system_health"),
    path("token", TokenView.as_view(), name="token"),
    path("token/refresh", TokenRefreshView.as_view(), name="token_refresh"),
    path("audit", AuditListView.as_view(), name="audit"),
    path("schema", SchemaView.as_view(), name="schema"),
    path("docs", DocsPage.as_view(), name="docs"),
    path("", include("cameras.api.urls")),
    path("", include("reviewer.api.urls")),
]
urlpatterns = [
    path("api/", include(api)),
    path("login", LoginView.as_view(), name="login"),
    path("logout", auth.LogoutView.as_view(), name="logout"),
    path("password", PasswordChangeView.as_view(), name="password_change"),
    path(
        "password/done",
        RedirectView.as_view(pattern_name="password_change", http_method_names=["get", "head"]),
        name="password_change_done",
    ),
    path("admin/", admin.site.urls),
    path("", include("cameras.urls")),
    path("", include("media_serving.urls")),
    path("", include("reviewer.urls")),
]
