"""Views of the cameras API; `cameras.registry` makes the changes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.utils import (
    extend_schema,
)
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from cameras import registry
from cameras.api import schema
from cameras.api.filters import filtered, select_fields, sparse_fields
from cameras.api.list_cache import cached_list
from cameras.api.representation import as_deleted_json, as_json, as_json_v1, represent, rows_of
from cameras.api.serializers import CameraInput, CameraOut, CameraV1
from cameras.models import Camera
from cameras.path_validation import validate_paths
from cameras.snapshots import snapshot_response
from nvr.api.json import dumps
from nvr.api.known_input import keys_of_both
from nvr.api.pagination import whole_number
from nvr.api.permissions import HasPermission, ModelPermissions
from nvr.api.signed_urls import SignedUrlAuthentication, embeddable, has_valid_signature
from nvr.api.views import ApiMixin, ApiView, BytesView
from nvr.errors import NotFound

MAX_LIMIT = 1000


def find(cameras: QuerySet[Camera], camera_id: str) -> Camera:
    """The camera with this slug or uuid. Raises `NotFound` (404) if it is not among `cameras`."""
    camera = cameras.identified_by(camera_id).first()  # type: ignore[attr-defined]
    if camera is None:
        raise NotFound("Camera not found")
    found: Camera = camera
    return found


class CameraViewSet(ApiMixin, GenericViewSet[Camera]):
    """Cameras that the user may see; the trash is a separate list."""

    permission_classes = (ModelPermissions,)
    action_permissions = {"restore": "cameras.change_camera", "purge": "cameras.delete_camera"}
    body_keys = {action: keys_of_both(CameraInput, CameraOut) for action in ("create", "partial_update")}
    queryset = Camera.everything.none()  # lets ModelPermissions find the model

    def get_queryset(self) -> QuerySet[Camera]:
        rows: QuerySet[Camera] = Camera.objects.visible_to(self.request.user)
        return rows

    @extend_schema(**schema.LIST_V1)
    @extend_schema(**schema.LIST, versions=["2"])
    def list(self, request: Request) -> HttpResponse:
        build = self._list_v1 if request.version == "1" else self._list
        return HttpResponse(cached_list(request, lambda: dumps(build(request))), content_type="application/json")

    def _list(self, request: Request) -> dict[str, Any]:
        fields = sparse_fields(request.query_params)
        page = page_of(filtered(self.get_queryset(), request), request)
        items = [select_fields(as_json(row), fields) for row in page.rows]
        return {"items": items, "pagination": page.summary(next_cursor=None)}

    def _list_v1(self, request: Request) -> dict[str, Any]:
        rows = rows_of(filtered(self.get_queryset(), request))
        return {"cameras": [as_json_v1(row) for row in rows], "count": len(rows)}

    @extend_schema(**schema.DELETED)
    def deleted(self, request: Request) -> Response:
        page = page_of(Camera.trash.visible_to(request.user), request)
        return Response({"items": as_deleted_json(page.rows), "pagination": page.summary()})

    @extend_schema(**schema.in_version_1(schema.CREATE, CameraV1))
    @extend_schema(**schema.CREATE, versions=["2"])
    def create(self, request: Request) -> Response:
        values, groups = cleaned(CameraInput(data=request.data))
        camera = registry.create_camera(request.user, values, groups=groups or ())
        return Response(represent(camera, request.version), status=201)

    @extend_schema(**schema.in_version_1(schema.RETRIEVE, CameraV1))
    @extend_schema(**schema.RETRIEVE, versions=["2"])
    def retrieve(self, request: Request, camera_id: str) -> Response:
        return Response(represent(find(self.get_queryset(), camera_id), request.version))

    @extend_schema(**schema.in_version_1(schema.UPDATE, CameraV1))
    @extend_schema(**schema.UPDATE, versions=["2"])
    def partial_update(self, request: Request, camera_id: str) -> Response:
        camera = find(self.get_queryset(), camera_id)
        values, groups = cleaned(CameraInput(camera, data=request.data, partial=True))
        camera = registry.update_camera(request.user, camera, values, groups=groups)
        return Response(represent(camera, request.version))

    @extend_schema(**schema.DESTROY)
    def destroy(self, request: Request, camera_id: str) -> Response:
        registry.trash_camera(request.user, find(self.get_queryset(), camera_id))
        return Response(status=204)

    @extend_schema(**schema.in_version_1(schema.RESTORE, CameraV1))
    @extend_schema(**schema.RESTORE, versions=["2"])
    def restore(self, request: Request, camera_id: str) -> Response:
        camera = find(Camera.everything.visible_to(request.user), camera_id)
        return Response(represent(registry.restore_camera(request.user, camera), request.version))

    @extend_schema(**schema.PURGE)
    def purge(self, request: Request, camera_id: str) -> Response:
        registry.purge_camera(request.user, find(Camera.everything.visible_to(request.user), camera_id))
        return Response(status=204)


def cleaned(given: CameraInput) -> tuple[dict[str, Any], Any]:
    """The validated values and, separately, the groups; 422 if invalid."""
    given.is_valid(raise_exception=True)
    values = dict(given.validated_data)
    return values, values.pop("groups", None)


class OffsetPage:
    """One page by offset, with the `total` that the contract requires."""

    def __init__(self, cameras: QuerySet[Camera], *, limit: int, offset: int) -> None:
        self.limit, self.offset = limit, offset
        self.total = cameras.count()
        self.rows = rows_of(cameras[offset : offset + limit]) if offset < self.total else []

    def summary(self, **extra: Any) -> dict[str, Any]:
        has_more = self.offset + len(self.rows) < self.total and bool(self.rows)
        counts = {"total": self.total, "limit": self.limit, "offset": self.offset}
        return counts | extra | {"has_more": has_more}


def page_of(cameras: QuerySet[Camera], request: Request) -> OffsetPage:
    limit = whole_number(request.query_params, "limit", MAX_LIMIT, minimum=1, maximum=MAX_LIMIT)
    offset = whole_number(request.query_params, "offset", 0, minimum=0)
    return OffsetPage(cameras, limit=limit, offset=offset)


class PathValidationView(ApiView):
    """Reports which cameras' folders exist and contain media."""

    permission_classes = (HasPermission("cameras.change_camera"),)

    @extend_schema(**schema.VALIDATE_PATHS)
    def get(self, request: Request) -> Response:
        return Response(validate_paths(request.user))


class SnapshotView(BytesView):
    """The newest picture of a camera, or a frame of its newest video."""

    permission_classes = (AllowAny,)
    authentication_classes = (SignedUrlAuthentication, *BytesView.authentication_classes)

    @extend_schema(**schema.SNAPSHOT)
    def get(self, request: Request, camera_id: str) -> HttpResponseBase:
        camera = find(self.visible_cameras(request), camera_id)
        response = snapshot_response(request._request, camera, attachment=request.version == "1")
        return embeddable(response) if self.is_public_response(request, camera) else response

    head = get

    def is_public_response(self, request: Request, camera: Camera) -> bool:
        """Whether the response does not depend on the user's session, so that other sites may embed it."""
        if not request.user.is_authenticated or has_valid_signature(request):
            return True
        return bool(Camera.objects.public().filter(pk=camera.pk).exists())

    def visible_cameras(self, request: Request) -> QuerySet[Camera]:
        """Public cameras (those without groups), and those that the user may see.

        Raises `NotAuthenticated` for anonymous users if `NVR_PUBLIC_SNAPSHOTS` is off.
        """
        public: QuerySet[Camera] = Camera.objects.public()
        if request.user.is_authenticated:
            mine = Camera.objects.visible_to(request.user)
            return Camera.objects.filter(Q(pk__in=mine.values("pk")) | Q(pk__in=public.values("pk")))  # type: ignore[no-any-return]
        if not settings.NVR_PUBLIC_SNAPSHOTS:
            raise NotAuthenticated
        return public
