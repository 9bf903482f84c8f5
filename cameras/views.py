"""The camera pages: the live view and the page of one camera."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.generic import TemplateView, View

from cameras.folders.files import ListedFile, listing_for
from cameras.folders.unknown import FolderSuggestions, recent_suggestions_for
from cameras.health import duration_text
from cameras.models import Camera, CameraStatus, IngestionMode
from cameras.tiles import STATUS_LABELS, Tile, tiles_for
from nvr.api.json import dumps
from nvr.pages import panels

DISMISSED_FOLDERS_COOKIE = f"{settings.NVR_COOKIE_PREFIX}_closed_folders"


def filtered_cameras(request: HttpRequest) -> QuerySet[Camera]:
    """The cameras that the user may see, filtered by the `status` parameter."""
    cameras: QuerySet[Camera] = Camera.objects.visible_to(request.user)
    status = request.GET.get("status", "")
    return cameras.filter(status=status) if status in CameraStatus.values else cameras


class LivePageView(TemplateView):
    """The live view: every camera's newest picture."""

    template_name = "cameras/live.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        query = self.request.GET.urlencode()
        return super().get_context_data(
            tiles=tiles_for(filtered_cameras(self.request)),
            filters=status_chips(self.request),
            can_add=self.request.user.is_staff and self.request.user.has_perm("cameras.add_camera"),
            add_url=reverse("admin:cameras_camera_add"),
            data_url=reverse("live_json") + (f"?{query}" if query else ""),
            unknown_folders=unknown_folders_for(self.request),
            dismissed_folders_cookie=DISMISSED_FOLDERS_COOKIE,
            **kwargs,
        )


def unknown_folders_for(request: HttpRequest) -> FolderSuggestions:
    """Folders without a camera, for users who can add cameras in the admin and have not dismissed the notice."""
    if not request.user.is_staff:
        return FolderSuggestions([])
    return recent_suggestions_for(request.user, frozenset(request.COOKIES.get(DISMISSED_FOLDERS_COOKIE, "").split(".")))


def status_chips(request: HttpRequest) -> list[dict[str, Any]]:
    """The filters of the live view: all, and each status that a camera has."""
    counts = Counter(Camera.objects.visible_to(request.user).values_list("status", flat=True))
    chosen = request.GET.get("status", "")
    # One status needs no filter.
    if len(counts) < 2 and chosen not in CameraStatus.values:
        return []
    chips = [{"label": "All", "url": reverse("live"), "pressed": not chosen, "dot": "", "count": counts.total()}]
    return chips + [
        {
            "label": STATUS_LABELS[status],
            "url": f"{reverse('live')}?status={status}",
            "pressed": chosen == status,
            "dot": status,
            "count": counts[status],
        }
        for status in CameraStatus
        if counts[status] or chosen == status
    ]


class LiveDataView(View):
    """The current tiles and unknown folders as JSON, polled by the live view's script."""

    def get(self, request: HttpRequest) -> HttpResponse:
        tiles = [tile.as_json() for tile in tiles_for(filtered_cameras(request))]
        payload = {"tiles": tiles, "unknown_folders": unknown_folders_for(request).keys}
        response = HttpResponse(dumps(payload), content_type="application/json")
        response["Cache-Control"] = "private, no-store"
        return response


class CameraView(TemplateView):
    """One camera: its picture, its day, its details, its files, and the file that the URL selects."""

    template_name = "cameras/camera.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        camera = Camera.objects.visible_to(self.request.user).identified_by(kwargs["camera_id"]).first()
        if camera is None:
            raise Http404
        tile = tiles_for([camera])[0]
        listing = listing_for(camera, self.request.GET)
        openable = listing.openable
        return super().get_context_data(
            camera=camera,
            tile=tile,
            details=details_of(camera, tile, self.request.user),  # type: ignore[arg-type]  # pages are for users
            listing=listing,
            openable=openable,
            selected=selected_file(openable, self.request.GET),
            edit_url=edit_url_for(camera, self.request),
            data_url=reverse("live_json"),
            live_url=live_picture_url(camera, self.request),
            day=panels.render("camera-day", self.request, camera),
            panels=panels.render("camera", self.request, camera),
            **kwargs,
        )


def live_picture_url(camera: Camera, request: HttpRequest) -> str:
    """URL of the camera's page with the live picture instead of a file, and the same list of files."""
    query = request.GET.copy()
    query.pop("file", None)
    query.pop("former", None)
    return f"{camera.get_absolute_url()}?{query.urlencode()}" if query else camera.get_absolute_url()


def selected_file(files: list[ListedFile], query: QueryDict) -> ListedFile | None:
    selected = query.get("file"), query.get("former", "")
    return next((file for file in files if (file.name, file.former) == selected), None)


def edit_url_for(camera: Camera, request: HttpRequest) -> str | None:
    if request.user.is_staff and request.user.has_perm("cameras.change_camera"):
        return reverse("admin:cameras_camera_change", args=[camera.pk])
    return None


def usual_interval_of(camera: Camera) -> list[tuple[str, str]]:
    pause = camera.usual_interval
    return [("Usual interval", f"A picture at least every {duration_text(pause)}")] if pause else []


def details_of(camera: Camera, tile: Tile, user: User) -> list[tuple[str, str]]:
    details = [
        ("Status", f"{tile.status_text}. {camera.status_reason}".strip(" .")),
        *usual_interval_of(camera),
        ("Source", IngestionMode(camera.ingestion_mode).label),
        ("Time zone", str(camera.zone)),
        ("Local time", f"{timezone.localtime(timezone=camera.zone):%H:%M}"),
    ]
    if tile.clock:
        details.append(("Clock", tile.clock))
    if user.is_staff:
        details.append(("Folder", camera.folder_path))
    if camera.rtsp_url:
        details.append(("Stream", camera.rtsp_url))
    if camera.notes:
        details.append(("Notes", camera.notes))
    return details
