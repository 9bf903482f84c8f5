"""The OpenAPI document: one per version, generated from the views, with the errors that all views share.

Errors and headers come from the base view, not from each view, so they are added to each operation here.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}
ERRORS = {
    "400": "The request is malformed.",
    "401": "Credentials are missing or wrong.",
    "403": "You may not do this.",
    "404": "It does not exist, or you may not see it.",
    "405": "This URL does not support the method.",
    "406": "The API has no such version.",
    "409": "The request conflicts with the current state.",
    "413": "The body is too large.",
    "415": "This URL does not accept the body's content type.",
    "422": "A value is invalid; `errors` names the field.",
    "429": "Too many requests; retry after `Retry-After` seconds.",
    "503": "A dependency does not respond; retry after `Retry-After` seconds.",
}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_components: list[tuple[str, str, dict[str, Any]]] = []


def register_error_schema(prefix: str, name: str, schema: dict[str, Any]) -> None:
    """Document errors below `prefix` as the component `name`."""
    _components.append((prefix, name, schema))


class Schema(AutoSchema):
    """Groups operations by the first path segment after /api/ by default."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Return False: lists have envelopes, which views document themselves."""
        return False

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/").split("/")[0]]


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "nvr.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "header", "name": "X-API-Key"}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "nvr.api.authentication.TokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "nvr.api.authentication.BrowserSession"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


def only_documented(endpoints: list[tuple[str, str, str, Any]], **kwargs: Any) -> list[tuple[str, str, str, Any]]:
    """Return the API endpoints, without admin and pages."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/")]


def finish(result: dict[str, Any], generator: Any, **kwargs: Any) -> dict[str, Any]:
    """Add the errors that every operation can return, in the format of its path."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    schemas.update({name: schema for _, name, schema in _components})
    # As `known_input` does: a misspelt key must not be ignored.
    _close_requests(schemas)
    for path, operations in result["paths"].items():
        for method in METHODS & operations.keys():
            _without_version(operations[method])
            _add_errors(path, operations[method])
    return result


def _close_requests(schemas: dict[str, Any]) -> None:
    """Forbid unknown keys in request components, which drf-spectacular names `…Request`."""
    for name, schema in schemas.items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema["additionalProperties"] = False


def _without_version(operation: dict[str, Any]) -> None:
    """Remove the version from media types: clients request it in `Accept`, bodies do not contain it."""
    for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
        if "content" in holder:
            holder["content"] = {kind.partition(";")[0]: content for kind, content in holder["content"].items()}


def _add_errors(path: str, operation: dict[str, Any]) -> None:
    name = next((name for prefix, name, _ in _components if path.startswith(prefix)), None)
    media_type = "application/json" if name else "application/problem+json"
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{name or 'Problem'}"}}}
    for status, text in ERRORS.items():
        operation["responses"].setdefault(status, {"description": text, "content": content})
