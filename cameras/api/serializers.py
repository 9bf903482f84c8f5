"""Serializers of the cameras API. Their fields follow from the model and the table in `cameras.fields`.

Declared here are only fields whose type in JSON does not follow from the model field.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from rest_framework import serializers

from cameras import validation
from cameras.detector_choices import detector_choices
from cameras.fields import SECRET_FIELDS, SHOWN_FIELDS, WRITABLE_FIELDS
from cameras.models import Camera
from nvr.api.fields import Flag, Number, Text, Whole


class MultilineText(Text):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(multiline=True, **kwargs)


class Choice(serializers.ChoiceField):
    """One of an enum's values, as text."""

    default_error_messages = {"invalid_choice": "must be one of {choices}."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(self.choices))
        return data


class DetectorName(Choice):
    """One of the registered detectors. DRF creates a field anew for each serializer, so that the list is current."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=detector_choices(), **kwargs)


class GroupNames(serializers.ListField):
    """Names of existing groups; each once."""

    child = Text(max_length=150)

    def to_internal_value(self, data: Any) -> list[Group]:  # names in, groups out
        names = set(super().to_internal_value(data))
        groups = list(Group.objects.filter(name__in=names))
        if len(groups) < len(names):
            raise serializers.ValidationError("names a group that does not exist: create it in the admin first.")
        return groups


class ClassNames(serializers.ListField):
    """Classes of objects."""

    child = Text(max_length=validation.MAX_CLASS_LENGTH)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) > validation.MAX_CLASSES:
            self.fail("max_length", max_length=validation.MAX_CLASSES)  # before each is checked
        return super().to_internal_value(data)


class CameraInput(serializers.ModelSerializer[Camera]):
    """A camera as clients send it: all required values to create one, any values to update one (`partial`)."""

    # DRF's own fields would accept "1" for a number and 1 for a text.
    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.CharField: Text,
        models.TextField: MultilineText,
        models.BooleanField: Flag,
        models.FloatField: Number,
        models.IntegerField: Whole,
        models.PositiveIntegerField: Whole,
    }
    serializer_choice_field = Choice
    detector = DetectorName(required=False)
    groups = GroupNames(required=False, max_length=100)
    detection_classes = ClassNames(
        required=False, max_length=validation.MAX_CLASSES, help_text="Classes to keep; empty keeps all."
    )

    class Meta:
        model = Camera
        fields = [field.name for field in WRITABLE_FIELDS]
        extra_kwargs = {
            # Uniqueness is checked by `cameras.registry`, without race conditions, and returns 409.
            "name": {"validators": []},
            "folder_path": {"validators": [], "trim_whitespace": False},
            **{field.name: {"allow_null": True} for field in WRITABLE_FIELDS if field.nullable},
            **{field.name: {"write_only": True, "trim_whitespace": False} for field in SECRET_FIELDS},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in WRITABLE_FIELDS:
            if rule := field.rule_when(creating=self.instance is None):
                setattr(self, f"validate_{field.name}", rule)  # DRF calls it with the value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for field in WRITABLE_FIELDS:
            if field.nullable and attrs.get(field.name, "") is None:
                attrs[field.name] = ""
            if field.secret and attrs.get(field.name) == "":
                attrs[field.name] = None
        try:
            validation.check_stream(
                self._resulting(attrs, "ingestion_mode", "ftp"), self._resulting(attrs, "rtsp_url", "")
            )
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
        self._check_public(attrs)
        return attrs

    def _resulting(self, attrs: dict[str, Any], field: str, default: str) -> str:
        return str(attrs.get(field, getattr(self.instance, field) if self.instance else default))

    def _check_public(self, attrs: dict[str, Any]) -> None:
        listed = attrs["groups"] if "groups" in attrs else (self.instance.groups.all() if self.instance else [])
        if attrs.get("public") and listed:
            raise serializers.ValidationError({"public": "a camera with groups cannot be public."})


class CameraOut(serializers.ModelSerializer[Camera]):
    """The camera in responses; only for the schema, because `representation` builds the JSON."""

    id = serializers.CharField(help_text="Derived from the name; never changes.")
    rtsp_url = serializers.CharField(allow_null=True)
    onvif_url = serializers.CharField(allow_null=True)
    detector = DetectorName()
    groups = serializers.ListField(child=serializers.CharField())
    detection_classes = serializers.ListField(child=serializers.CharField(), help_text="Empty keeps all classes.")
    public = serializers.BooleanField(help_text="Whether its snapshot is available without signing in.")

    class Meta:
        model = Camera
        fields = [field.key or field.name for field in SHOWN_FIELDS]
        read_only_fields = fields
        extra_kwargs = {"status_reason": {"help_text": "Message that explains the status; may be empty."}}


class DeletedCameraOut(CameraOut):
    deleted_at = serializers.DateTimeField()
    purging_since = serializers.DateTimeField(
        allow_null=True,
        help_text="When its purge started; it can no longer be restored. Null if it is not being purged.",
    )

    class Meta(CameraOut.Meta):
        fields = [*CameraOut.Meta.fields, "deleted_at", "purging_since"]


class CameraV1(serializers.Serializer[Camera]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    folder_path = serializers.CharField()
    status = serializers.ChoiceField(["online", "offline", "error"])
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
