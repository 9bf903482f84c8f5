"""Cameras in the admin: an overview list, a form with the API's validation rules, and the trash."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from cameras import registry
from cameras.fields import CAMERA_FIELDS, CameraField, Section
from cameras.folders.unknown import suggestions_for
from cameras.forms import CameraForm
from cameras.last_picture import is_old
from cameras.models import Camera, CameraStatus, Purge, TrashedCamera
from cameras.path_validation import path_issues, probe_results_of
from cameras.purge.report import rows_to_purge
from cameras.tiles import STATUS_LABELS, snapshot_url_of
from nvr.audit.models import AuditEntry
from nvr.model_admin import ModelAdmin
from nvr.pages.templatetags.nvr_pages import age
from nvr.private_files import make_shared

SECTION_OPTIONS: dict[Section, dict[str, Any]] = {
    Section.GENERAL: {},
    Section.ACCESS: {
        "description": "A camera without a group is visible only to users who may see all cameras. If you may not, "
        "your own groups are preselected when you add one."
    },
    Section.SOURCE: {
        "classes": ("collapse",),
        "description": "NVR does not pull streams yet: it stores RTSP and ONVIF settings for later. It shows the "
        "files that a camera uploads into its folder.",
    },
    Section.DETECTION: {"classes": ("collapse",)},
    Section.MONITORING: {"classes": ("collapse",)},
    Section.STATUS: {},
}
READONLY_FIELDS = tuple(field.name for field in CAMERA_FIELDS if field.section is not None and not field.writable)


def fieldsets_for(camera: Camera | None) -> list[tuple[str | None, dict[str, Any]]]:
    """The sections of `cameras.fields`; the form for a new camera leaves out what only an existing one has."""
    fieldsets: list[tuple[str | None, dict[str, Any]]] = []
    for section, options in SECTION_OPTIONS.items():
        fields = [field for field in CAMERA_FIELDS if field.section == section]
        inputs = [name for field in fields for name in inputs_of(field, camera)]
        fieldsets.append((section or None, options | {"fields": inputs}))
    return fieldsets


def inputs_of(field: CameraField, camera: Camera | None) -> list[str]:
    """What the form shows for a field: its input or value, and what belongs to it without being stored."""
    if field.secret:
        return [f"new_{field.name}", *([f"forget_{field.name}"] if camera else [])]
    if field.name == "folder_path":
        return [field.name, "create_folder", "save_anyway", *(["folder_check"] if camera else [])]
    return [field.name] if field.writable or camera else []


class VisibleCameraAdmin(ModelAdmin[Camera]):
    """Base of the camera list and the trash: shows only visible cameras, and the audit log as their history."""

    show_full_result_count = False

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The camera's audit entries instead of the admin's own log."""
        camera = self.get_object(request, object_id)
        if camera is None or not self.has_view_or_change_permission(request, camera):
            raise PermissionDenied
        entries = AuditEntry.objects.filter(target_type="camera", target_pk=camera.pk)[:200]
        context = self.admin_site.each_context(request) | {
            "title": f"History: {camera.name}",
            "object": camera,
            "entries": entries,
            "opts": self.opts,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/cameras/camera/history.html", context)

    def log_change(self, request: HttpRequest, obj: Camera, message: Any) -> Any:
        """Not logged: the audit log already has an entry for it."""

    def log_addition(self, request: HttpRequest, obj: Camera, message: Any) -> Any:
        """See `log_change`."""


@admin.register(Camera)
class CameraAdmin(VisibleCameraAdmin):
    form = CameraForm
    list_display = ("picture", "name", "state", "seen", "source", "folder_path", "enabled")
    list_display_links = ("picture", "name")
    list_filter = ("status", "ingestion_mode", "enabled", "groups")
    search_fields = ("name", "slug", "folder_path", "notes")
    readonly_fields = ("folder_check", *READONLY_FIELDS)
    actions = ("check_paths", "move_to_trash")
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Camera]:
        rows: QuerySet[Camera] = Camera.objects.visible_to(request.user)
        return rows

    def get_fieldsets(self, request: HttpRequest, obj: Camera | None = None) -> Any:
        return fieldsets_for(obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Adds the unknown folders to the page; they are searched for when the template is rendered."""
        return super().changelist_view(
            request, {"unknown_folders": partial(suggestions_for, request.user)} | (extra_context or {})
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        own = [group.pk for group in registry.restricting_groups(request.user)]
        initial = {"status": CameraStatus.UNKNOWN, "create_folder": True} | super().get_changeform_initial_data(request)
        return initial | ({"groups": own} if own else {})

    @admin.display(description="")
    def picture(self, camera: Camera) -> SafeString:
        if camera.last_picture_at is None:
            return format_html('<span class="nvr-thumb nvr-thumb-empty">{}</span>', "No picture")
        url = snapshot_url_of(camera, f"{camera.last_picture_at:%s}")
        text = '<img class="nvr-thumb" src="{}&width=160" width="80" height="60" loading="lazy" alt="Picture of {}">'
        return format_html(text, url, camera.name)

    @admin.display(description="status", ordering="status")
    def state(self, camera: Camera) -> SafeString:
        words = STATUS_LABELS[CameraStatus(camera.status)]
        text = '<span class="nvr-state" data-status="{}">{}</span><br><span class="quiet">{}</span>'
        return format_html(text, camera.status, words, camera.status_reason)

    @admin.display(description="last picture", ordering="last_picture_at")
    def seen(self, camera: Camera) -> SafeString:
        old = is_old(camera.last_picture_at, camera.usual_interval, timezone.now())
        return format_html('<span class="{}">{}</span>', "nvr-old" if old else "", age(camera.last_picture_at))

    @admin.display(description="source", ordering="ingestion_mode")
    def source(self, camera: Camera) -> str:
        return camera.get_ingestion_mode_display()

    @admin.display(description="Folder check")
    def folder_check(self, camera: Camera) -> str:
        issues = path_issues(camera)
        return "; ".join(issues).capitalize() + "." if issues else "The folder exists and contains pictures."

    def save_model(self, request: HttpRequest, obj: Camera, form: Any, change: bool) -> None:
        values, groups = form.values(), form.cleaned_data.get("groups")
        if change:
            registry.update_camera(request.user, obj, values, groups=groups)
        else:
            camera = registry.create_camera(request.user, values, groups=groups or ())
            obj.pk, obj.slug = camera.pk, camera.slug
            if not self.get_queryset(request).filter(pk=camera.pk).exists():
                messages.warning(request, f"{camera.name} has none of your groups, so you cannot see it.")

        if form.should_create_folder():
            self.make_folder(request, Path(values["folder_path"]))

    def make_folder(self, request: HttpRequest, folder: Path) -> None:
        try:
            make_shared(folder)
            messages.info(request, f"The folder {folder} was created: configure the camera to upload into it.")
        except OSError as error:
            messages.warning(
                request, f"The folder {folder} could not be created ({error.strerror}): create it yourself."
            )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing to do: `save_model` saved the groups together with the camera, with one audit entry."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """If another administrator has just taken a value, show the form again with the conflict and the input."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except registry.CameraExists as error:
            request.conflict = error  # type: ignore[attr-defined]  # read by `get_form`
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Camera | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.conflict = getattr(request, "conflict", None)
        return form

    def delete_model(self, request: HttpRequest, obj: Camera) -> None:
        registry.trash_camera(request.user, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Camera]) -> None:
        for camera in queryset:
            registry.trash_camera(request.user, camera)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        if IS_POPUP_VAR in request.POST:
            return super().response_delete(request, obj_display, obj_id)
        messages.success(request, trash_message([obj_display]))
        if not self.has_view_or_change_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        preserved: Any = {"preserved_filters": self.get_preserved_filters(request), "opts": self.opts}
        return HttpResponseRedirect(add_preserved_filters(preserved, reverse("admin:cameras_camera_changelist")))

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Deleting moves cameras to the trash: no other rows are deleted, and cameras can be restored."""
        cameras = list(objs)
        descriptions = [
            f"{camera.name}: moves to the trash with its detections and events; its folder stays." for camera in cameras
        ]
        missing = set() if self.has_delete_permission(request) else {"camera"}
        return descriptions, {"cameras": len(cameras)}, missing, []

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description="Check the folders of the selected cameras", permissions=["change"])
    def check_paths(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        results = probe_results_of(cameras)
        issues_by_camera = {camera: results[camera.pk].issues for camera in cameras}
        for camera, issues in issues_by_camera.items():
            if issues:
                messages.warning(request, f"{camera.name}: {'; '.join(issues)}.")
        valid = sum(not issues for issues in issues_by_camera.values())
        messages.success(request, f"{valid} of {len(issues_by_camera)} folders have no issues.")

    @admin.action(description="Move the selected cameras to the trash", permissions=["delete"])
    def move_to_trash(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        names = [camera.name for camera in cameras]
        for camera in cameras:
            registry.trash_camera(request.user, camera)
        messages.success(request, trash_message(names))


def trash_message(names: list[str]) -> SafeString:
    quoted = ", ".join(f"“{name}”" for name in names)
    text = (
        "The camera {} is in the trash. Restore it"
        if len(names) == 1
        else "The cameras {} are in the trash. Restore them"
    )
    return format_html(
        text + ' from <a href="{}">Trash</a>.', quoted, reverse("admin:cameras_trashedcamera_changelist")
    )


@admin.register(TrashedCamera)
class TrashAdmin(VisibleCameraAdmin):
    """Deleted cameras, to restore or to purge permanently."""

    list_display = ("name", "deleted_at", "state", "folder_path")
    list_select_related = ("purge",)
    search_fields = ("name", "slug", "folder_path")
    fields = ("name", "slug", "folder_path", "deleted_at", "state", "created_at", "last_seen_at", "notes")
    readonly_fields = fields
    actions = ("restore", "purge")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = TrashedCamera.trash.visible_to(request.user)
        return rows

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Camera | None = None) -> bool:
        return False  # the admin's own delete does not purge; use the action below

    def has_view_permission(self, request: HttpRequest, obj: Camera | None = None) -> bool:
        return any(request.user.has_perm(f"cameras.{act}_camera") for act in ("view", "change", "delete"))

    def has_change_permission(self, request: HttpRequest, obj: Camera | None = None) -> bool:
        return False  # all fields are read-only; the actions have their own permissions

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("cameras.change_camera")

    def has_purge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("cameras.delete_camera")

    @admin.display(description="state")
    def state(self, camera: Camera) -> str:
        purge: Purge | None = getattr(camera, "purge", None)
        return f"being purged since {localtime(purge.started_at):%Y-%m-%d %H:%M}" if purge else "can be restored"

    @admin.action(description="Restore the selected cameras", permissions=["restore"])
    def restore(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        names = []
        for camera in cameras:
            try:
                names.append(registry.restore_camera(request.user, camera).name)
            except registry.BeingPurged as error:
                messages.error(request, error.detail)
        if names:
            messages.success(request, f"Restored: {', '.join(names)}.")

    @admin.action(description="Permanently purge the selected cameras…", permissions=["purge"])
    def purge(self, request: HttpRequest, cameras: QuerySet[Camera]) -> HttpResponse | None:
        if request.POST.get("confirmed"):
            gone: dict[bool, list[str]] = {True: [], False: []}
            for camera in cameras:
                gone[registry.purge_camera(request.user, camera)].append(camera.name)
            if gone[True]:
                messages.success(request, f"Purged permanently: {', '.join(gone[True])}. Files in their folders stay.")
            if gone[False]:
                messages.info(request, f"Being purged in the background: {', '.join(gone[False])}.")
            return None
        context = self.admin_site.each_context(request) | {
            "title": "Purge permanently?",
            "opts": self.opts,
            "cameras": [(camera, rows_to_purge(camera)) for camera in cameras],
            "selected": [str(camera.pk) for camera in cameras],
        }
        return TemplateResponse(request, "admin/cameras/trashedcamera/purge.html", context)
