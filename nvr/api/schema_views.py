"""`/api/schema` (OpenAPI, one document per version) and `/api/docs` (Swagger UI)."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.views.generic import TemplateView
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from nvr.api.views import ApiView


class SchemaView(ApiView):
    """The OpenAPI document of the version in `Accept`."""

    renderer_classes = (*ApiView.renderer_classes, OpenApiJsonRenderer)

    @extend_schema(operation_id="schema", responses={200: dict}, tags=["schema"])
    def get(self, request: Request) -> Response:
        return Response(document(str(request.version)))


@cache
def document(version: str) -> Any:
    """Return the document, which is the same for all users; generated once per version and process (0.3 s)."""
    generator = spectacular_settings.DEFAULT_GENERATOR_CLASS(api_version=version)
    return generator.get_schema(request=None, public=True)


class DocsPage(TemplateView):
    """Swagger UI from our own static files. The login middleware requires signing in."""

    template_name = "api/docs.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(versions=["2", "1"], csrf_cookie=settings.CSRF_COOKIE_NAME, **kwargs)
