"""`/api/review-paths` and `/api/folders`: which folders are reviewed, and picking others."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from nvr.api.permissions import HasPermission
from nvr.api.views import ApiView
from reviewer.api import schema
from reviewer.api.query_params import body_of, path_of
from reviewer.folders import children_of
from reviewer.policy import hidden_paths
from reviewer.registry import add_path, known_paths, remove_path

REVIEW = HasPermission("reviewer.review")
MANAGE = HasPermission("reviewer.change_reviewpath")


class ReviewPathsView(ApiView):
    """The folders that are reviewed."""

    body_keys = {"post": ("path",), "delete": ("path",)}

    def get_permissions(self) -> list[Any]:
        return [REVIEW() if self.request.method in SAFE_METHODS else MANAGE()]

    @extend_schema(**schema.PATHS)
    def get(self, request: Request) -> Response:
        return Response({"knownPaths": names(request), "hiddenPickerPaths": hidden_paths()})

    @extend_schema(**schema.ADD_PATH)
    def post(self, request: Request) -> Response:
        row, _ = add_path(request.user, body_of(request).get("path"))
        return Response({"addedPath": row.path, "knownPaths": names(request)}, status=201)

    @extend_schema(**schema.REMOVE_PATH)
    def delete(self, request: Request) -> Response:
        path = remove_path(request.user, body_of(request).get("path"))
        return Response({"removedPath": path, "knownPaths": names(request)})


def names(request: Request) -> list[str]:
    return [row.path for row in known_paths(request.user)]


class FoldersView(ApiView):
    """The folders in a folder, for a picker."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.FOLDERS)
    def get(self, request: Request) -> Response:
        return Response(children_of(request.user, path_of(request)))
