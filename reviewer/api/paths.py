"""`/api/review-paths` and `/api/folders`: list, add and remove review paths, and choose folders."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from nvr.api.views import ApiView
from reviewer.api import schema
from reviewer.api.permissions import MANAGE, REVIEW
from reviewer.api.query_params import body_of, path_of
from reviewer.folders import list_subfolders
from reviewer.policy import hidden_paths
from reviewer.registry import add_path, known_paths, remove_path


class ReviewPathsView(ApiView):
    """The review paths."""

    body_keys = {"post": ("path",), "delete": ("path",)}

    def get_permissions(self) -> list[Any]:
        return [REVIEW() if self.request.method in SAFE_METHODS else MANAGE()]

    @extend_schema(**schema.PATHS)
    def get(self, request: Request) -> Response:
        return Response({"knownPaths": known_path_names(request), "hiddenPickerPaths": hidden_paths()})

    @extend_schema(**schema.ADD_PATH)
    def post(self, request: Request) -> Response:
        review_path, _ = add_path(request.user, body_of(request).get("path"))
        return Response({"addedPath": review_path.path, "knownPaths": known_path_names(request)}, status=201)

    @extend_schema(**schema.REMOVE_PATH)
    def delete(self, request: Request) -> Response:
        path = remove_path(request.user, body_of(request).get("path"))
        return Response({"removedPath": path, "knownPaths": known_path_names(request)})


def known_path_names(request: Request) -> list[str]:
    return [review_path.path for review_path in known_paths(request.user)]


class FoldersView(ApiView):
    """The subfolders of a folder, for a folder picker."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.FOLDERS)
    def get(self, request: Request) -> Response:
        return Response(list_subfolders(request.user, path_of(request)))
