"""The admin's form for a camera: the writable fields of `cameras.fields`, with the same validation as in the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import format_html

from cameras import validation
from cameras.detector_choices import detector_choices
from cameras.fields import SECRET_FIELDS, WRITABLE_FIELDS
from cameras.folders.access import resolved
from cameras.models import Camera
from cameras.naming import slug_from
from cameras.registry import CameraExists
from nvr.media.files.paths import is_inside

STORED_FIELDS = tuple(field.name for field in WRITABLE_FIELDS if not field.secret)
CLOSED_HELP = (
    "Has no effect now: if other machines can reach NVR, snapshots require signing in unless "
    "NVR_PUBLIC_SNAPSHOTS is set."
)


class ClassesField(forms.CharField):
    """Comma-separated class names such as `person, dog`; also a JSON list, for names that contain a comma."""

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value  # as entered
        plain = not any("," in name or name.startswith("[") for name in value)
        return ", ".join(value) if plain else json.dumps(value, ensure_ascii=False)

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]  # text in, names out
        text = super().to_python(value) or ""
        return parse_json_list(text) if text.startswith("[") else split(text)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


def suggested_folder(name: str) -> str:
    return str(Path(settings.NVR_CAMERA_ROOT, slug_from(name)))


def is_below_root(path: Path) -> bool:
    root = resolved(Path(settings.NVR_CAMERA_ROOT))
    return is_inside(resolved(path), root)


def folder_warnings(path: str, *, will_be_created: bool) -> list[str]:
    """Warnings about a folder that is unusual but may be saved, one sentence each.

    They do not report whether a folder outside the root exists, so that editors cannot explore the server's folders.
    """
    folder, below = Path(path), is_below_root(Path(path))
    found = []
    if resolved(folder) == resolved(Path(settings.NVR_CAMERA_ROOT)):
        found.append(
            "This is the folder of all cameras: files in it that belong to no other camera would be this camera's."
        )
    if not below:
        found.append(f"The folder is outside {settings.NVR_CAMERA_ROOT}: its pictures are not shown.")
    if any(part != " ".join(part.split()) for part in folder.parts[1:]):
        found.append("A name in the path begins or ends with a space, or contains several in a row.")
    if below and not folder.is_dir() and (folder.exists() or not will_be_created):
        cure = "is not a folder but a file." if folder.exists() else "does not exist: tick “Create the folder”."
        found.append(f"The folder {cure}")
    return found


def split(text: str) -> list[str]:
    return [name for name in text.split(",") if name.strip()]


def parse_json_list(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValidationError('must be names with commas between them, or a JSON list such as ["person", "dog"].')
    return names


class ShareInput(forms.NumberInput):
    """A number from 0 to 1, rounded for display: 0.3, not 0.30000000000000004."""

    def __init__(self) -> None:
        super().__init__({"min": "0", "max": "1", "step": "any", "class": "nvr-short"})

    def format_value(self, value: Any) -> str | None:
        return f"{value:.4g}" if isinstance(value, float) else super().format_value(value)


class CameraForm(forms.ModelForm[Camera]):
    """Declared are only the inputs that do not follow from the model field.

    The form never sends the password to the browser; an empty field keeps the stored one.
    `cameras.registry` detects values that are already taken; the admin then shows the form again with `conflict`.
    """

    conflict: CameraExists | None = None

    new_rtsp_password = forms.CharField(
        label="RTSP password",
        required=False,
        max_length=255,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    detector = forms.ChoiceField(choices=detector_choices)
    detection_classes = ClassesField(
        label="Object classes",
        required=False,
        max_length=10_000,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="For example person, dog. Empty keeps all classes.",
    )
    create_folder = forms.BooleanField(
        label="Create the folder if it does not exist",
        required=False,
        help_text="Only below the camera root. Users who may write to the parent folder may write to it.",
    )
    # The path of the warning: if ticked, that path is saved anyway. A different path is checked again.
    save_anyway = forms.CharField(label="Save anyway", required=False, widget=forms.HiddenInput, strip=False)
    forget_rtsp_password = forms.BooleanField(label="Remove the stored RTSP password", required=False)

    class Meta:
        model = Camera
        fields = STORED_FIELDS
        widgets = {
            "groups": forms.CheckboxSelectMultiple,
            "motion_sensitivity": ShareInput,
            "detection_confidence": ShareInput,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "folder_path"):
            if name in self.fields:
                self.fields[name].strip = False  # type: ignore[attr-defined]  # the rules check the text as entered
        if "folder_path" in self.fields:
            self._describe_folder(self.fields["folder_path"])
        if "detector" in self.fields:
            self._describe_detector(self.fields["detector"])
        if "new_rtsp_password" in self.fields:
            stored = bool(self.instance.pk and self.instance.rtsp_password)
            self.fields["new_rtsp_password"].help_text = (
                "A password is stored. Leave empty to keep it." if stored else "No password is stored."
            )
        if "public" in self.fields and not settings.NVR_PUBLIC_SNAPSHOTS:
            self.fields["public"].help_text = CLOSED_HELP

    def _describe_folder(self, field: forms.Field) -> None:
        base = settings.NVR_CAMERA_ROOT
        field.help_text = f"The folder that the camera uploads to: an absolute path below {base}."
        if not self.instance.pk:
            field.required = False
            field.help_text += " Empty uses a folder there with the camera's name."
            field.widget.attrs["data-suggested-below"] = str(base)

    def _describe_detector(self, field: forms.Field) -> None:
        """For a detector that is no longer installed, the form requires another choice instead of the first one."""
        stored, installed = self.instance.detector, detector_choices()
        if stored not in dict(installed):
            field.choices = [("", f"{stored} (not installed)"), *installed]  # type: ignore[attr-defined]

    def clean_folder_path(self) -> str:
        return str(self.cleaned_data["folder_path"]).strip(" ")

    def clean_motion_sensitivity(self) -> float:
        return self._as_stored("motion_sensitivity")

    def clean_detection_confidence(self) -> float:
        return self._as_stored("detection_confidence")

    def _as_stored(self, name: str) -> float:
        """The stored number if the form shows it as the submitted one; rounding for display does not change it."""
        given, stored = float(self.cleaned_data[name]), getattr(self.instance, name)
        return stored if f"{given:.4g}" == f"{stored:.4g}" else given

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._apply_rules(cleaned)
        if cleaned.get("folder_path") == "" and cleaned.get("name") and not self.instance.pk:
            cleaned["folder_path"] = suggested_folder(cleaned["name"])
        mode, address = cleaned.get("ingestion_mode"), cleaned.get("rtsp_url", self.instance.rtsp_url)
        if mode and "rtsp_url" not in self.errors:
            validation.check_stream(mode, address)
        self._warn_of_folder(cleaned)
        if self.conflict is not None:
            field = "folder_path" if self.conflict.field == "folder_path" else "name"
            self.add_error(field, conflict_message(self.conflict))
        return cleaned

    def _apply_rules(self, cleaned: dict[str, Any]) -> None:
        """Apply the rules of `cameras.fields`. Whether a field may be empty was already checked."""
        for field in WRITABLE_FIELDS:
            rule = field.rule_when(creating=not self.instance.pk)
            if rule and cleaned.get(field.name):
                try:
                    cleaned[field.name] = rule(cleaned[field.name])
                except ValidationError as error:
                    self.add_error(field.name, error)

    def _warn_of_folder(self, cleaned: dict[str, Any]) -> None:
        """Ask the user to confirm an unusual folder. A path that does not change needs no confirmation."""
        path = cleaned.get("folder_path")
        if not path or "folder_path" not in self.fields or path == self.instance.folder_path:
            return
        warnings = folder_warnings(path, will_be_created=bool(cleaned.get("create_folder")))
        if not warnings or cleaned.get("save_anyway") == path:
            return
        for warning in warnings:
            self.add_error("folder_path", f"{warning} Correct it, or tick “Save anyway”.")
        sent: Any = self.data
        self.data = sent = sent.copy()
        sent[self.add_prefix("folder_path")] = path  # as it would be saved
        sent.pop(self.add_prefix("save_anyway"), None)
        if "save_anyway" in self.fields:
            self.fields["save_anyway"].widget = forms.CheckboxInput({"value": path})

    def should_create_folder(self) -> bool:
        path = Path(self.cleaned_data.get("folder_path", ""))
        requested = bool(self.cleaned_data.get("create_folder"))
        return requested and is_below_root(path) and not path.exists()

    def validate_unique(self) -> None:
        """Skipped: the registry checks this without race conditions, and hides cameras that the user may not see."""

    def values(self) -> dict[str, Any]:
        """The values for `cameras.registry`: the cleaned fields, and secrets that are to be replaced or removed."""
        values = {
            name: value for name, value in self.cleaned_data.items() if name in STORED_FIELDS and name != "groups"
        }
        for secret in SECRET_FIELDS:
            if new := self.cleaned_data.get(f"new_{secret.name}"):
                values[secret.name] = new
            elif self.cleaned_data.get(f"forget_{secret.name}"):
                values[secret.name] = None
        return values


def conflict_message(conflict: CameraExists) -> str:
    if not conflict.is_in_trash:
        return conflict.detail
    trash = reverse("admin:cameras_trashedcamera_changelist")
    return format_html('{} See <a href="{}">Trash</a>.', conflict.detail, trash)
