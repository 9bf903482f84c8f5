"""The admin's form for a camera: the API's rules, beside the fields."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from cameras import validation
from cameras.models import Camera
from cameras.registry import CameraExists

STORED = (
    "name",
    "folder_path",
    "status",
    "enabled",
    "ingestion_mode",
    "rtsp_url",
    "rtsp_username",
    "onvif_url",
    "stream_profile",
    "motion_sensitivity",
    "detector",
    "detect_every_frame",
    "detection_confidence",
    "detection_classes",
    "detection_width",
    "time_zone",
    "offline_after_seconds",
    "groups",
    "public",
    "notes",
)

CLOSED = (
    "Counts for nothing now: snapshots are only for who signs in, unless NVR_PUBLIC_SNAPSHOTS is set "
    "where other machines reach NVR."
)


class ClassesField(forms.CharField):
    """Classes as people write them, `person, dog`; a JSON list too, for a name that holds a comma."""

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value  # as it was typed
        plain = not any("," in name or name.startswith("[") for name in value)
        return ", ".join(value) if plain else json.dumps(value, ensure_ascii=False)

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]  # text in, names out
        text = super().to_python(value) or ""
        return validation.clean_classes(listed(text) if text.startswith("[") else split(text))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


def split(text: str) -> list[str]:
    return [name for name in text.split(",") if name.strip()]


def listed(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValidationError('must be names with commas between them, or a JSON list such as ["person", "dog"].')
    return names


class CameraForm(forms.ModelForm[Camera]):
    """The password is never sent to the browser: an empty field keeps the stored one.

    What is taken, `cameras.registry` decides while it writes; the admin then shows the form again with `conflict`.
    """

    conflict: CameraExists | None = None

    new_rtsp_password = forms.CharField(
        label="RTSP password",
        required=False,
        max_length=255,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    detection_classes = ClassesField(
        label="Classes kept",
        required=False,
        max_length=10_000,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Such as person, dog. Empty: whatever is found.",
    )
    forget_rtsp_password = forms.BooleanField(label="Forget the stored RTSP password", required=False)

    class Meta:
        model = Camera
        fields = STORED
        widgets = {"groups": forms.CheckboxSelectMultiple}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "folder_path"):
            if name in self.fields:
                self.fields[name].strip = False  # type: ignore[attr-defined]  # the rules look at what was typed
        if "folder_path" in self.fields:
            base = settings.NVR_CAMERA_ROOT
            self.fields["folder_path"].help_text = f"Where the camera uploads to: an absolute path below {base}."
        if "new_rtsp_password" in self.fields:
            stored = bool(self.instance.pk and self.instance.rtsp_password)
            told = "One is stored. Leave empty to keep it." if stored else "None is stored."
            self.fields["new_rtsp_password"].help_text = told
        if "public" in self.fields and not settings.NVR_PUBLIC_SNAPSHOTS:
            self.fields["public"].help_text = CLOSED

    def clean_name(self) -> str:
        rule = validation.clean_name if self.instance.pk else validation.clean_new_name
        return rule(self.cleaned_data["name"])

    def clean_folder_path(self) -> str:
        return validation.clean_folder_path(self.cleaned_data["folder_path"])

    def clean_rtsp_url(self) -> str:
        return validation.clean_stream_url(self.cleaned_data["rtsp_url"])

    def clean_onvif_url(self) -> str:
        return validation.clean_stream_url(self.cleaned_data["onvif_url"], schemes=("http", "https"))

    def clean_time_zone(self) -> str:
        return validation.clean_time_zone(self.cleaned_data["time_zone"])

    def clean_offline_after_seconds(self) -> int | None:
        seconds: int | None = self.cleaned_data["offline_after_seconds"]
        if seconds is not None and not 1 <= seconds <= 366 * 86400:
            raise ValidationError("must be from 1 second to a year.")
        return seconds

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        mode, address = cleaned.get("ingestion_mode"), cleaned.get("rtsp_url", self.instance.rtsp_url)
        if mode and "rtsp_url" not in self.errors:
            validation.check_stream(mode, address)
        if self.conflict is not None:
            beside = "folder_path" if self.conflict.field == "folder_path" else "name"
            self.add_error(beside, self.conflict.detail)
        return cleaned

    def validate_unique(self) -> None:
        """Left to the registry, which names the holder to who may see it, and cannot be overtaken."""

    def values(self) -> dict[str, Any]:
        """What `cameras.registry` takes: the cleaned fields; the password if one was typed or is to be forgotten."""
        values = {name: value for name, value in self.cleaned_data.items() if name in STORED and name != "groups"}
        if self.cleaned_data.get("new_rtsp_password"):
            values["rtsp_password"] = self.cleaned_data["new_rtsp_password"]
        elif self.cleaned_data.get("forget_rtsp_password"):
            values["rtsp_password"] = None
        return values
