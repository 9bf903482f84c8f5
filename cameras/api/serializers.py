"""Serializers of the cameras API, with the rules of `cameras.validation`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers

from cameras import validation
from cameras.models import Camera, CameraStatus, Detector, IngestionMode, StreamProfile
from nvr.api.fields import Flag, Number, Text, Whole

Rule = Callable[[Any], str]


class ValidatedText(Text):
    """Text that is cleaned by a rule of `cameras.validation`; null is rejected unless the field may be empty."""

    def __init__(self, rule: Rule, **kwargs: Any) -> None:
        self.rule = rule
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        try:
            return self.rule(super().to_internal_value(data))
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.messages) from error


class Choice(serializers.ChoiceField):
    """One of an enum's values, as text."""

    default_error_messages = {"invalid_choice": "must be one of {choices}."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(self.choices))
        return data


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
    """Classes of objects by the rule of `cameras.validation`."""

    child = Text(max_length=validation.MAX_CLASS_LENGTH)

    def to_internal_value(self, data: Any) -> list[str]:
        if isinstance(data, list) and len(data) > validation.MAX_CLASSES:
            self.fail("max_length", max_length=validation.MAX_CLASSES)  # before each is checked
        return validation.clean_classes(super().to_internal_value(data))


class CameraFields(serializers.Serializer[Camera]):
    """All fields except name and folder, whose rules differ between creating and updating a camera."""

    status = Choice(choices=CameraStatus.choices, required=False)
    ingestion_mode = Choice(choices=IngestionMode.choices, required=False)
    rtsp_url = ValidatedText(
        validation.clean_stream_url, required=False, allow_null=True, allow_blank=True, max_length=500
    )
    rtsp_username = Text(required=False, allow_null=True, allow_blank=True, max_length=255)
    rtsp_password = Text(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=255,
        write_only=True,
        trim_whitespace=False,
    )
    stream_profile = Choice(choices=StreamProfile.choices, required=False)
    motion_sensitivity = Number(required=False, min_value=0, max_value=1)
    enabled = Flag(required=False)
    time_zone = ValidatedText(
        validation.clean_time_zone, required=False, allow_null=True, allow_blank=True, max_length=64
    )
    groups = GroupNames(required=False, max_length=100)
    notes = Text(required=False, allow_blank=True, max_length=5000, multiline=True)
    detector = Choice(choices=Detector.choices, required=False)
    detect_every_frame = Flag(
        required=False, help_text="Detect people in every picture; otherwise only in pictures with motion."
    )
    detection_confidence = Number(
        required=False, min_value=0, max_value=1, help_text="Detections with a lower confidence are ignored."
    )
    detection_classes = ClassNames(
        required=False, max_length=validation.MAX_CLASSES, help_text="Classes to keep; empty keeps all."
    )
    detection_width = Whole(
        required=False,
        min_value=validation.MIN_WIDTH_PX,
        max_value=validation.MAX_WIDTH_PX,
        help_text="Pictures are resized to this width for detection, in pixels.",
    )
    onvif_url = ValidatedText(
        lambda value: validation.clean_stream_url(value, schemes=("http", "https")),
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=500,
    )
    public = Flag(required=False)
    offline_after_seconds = Whole(required=False, allow_null=True, min_value=1, max_value=366 * 86400)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for field in ("rtsp_url", "rtsp_username", "onvif_url", "time_zone"):
            if field in attrs and attrs[field] is None:
                attrs[field] = ""
        if "rtsp_password" in attrs:
            attrs["rtsp_password"] = attrs["rtsp_password"] or None
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


class CameraCreate(CameraFields):
    name = ValidatedText(validation.clean_new_name, max_length=255)
    folder_path = ValidatedText(validation.clean_folder_path, max_length=500)


class CameraUpdate(CameraFields):
    name = ValidatedText(validation.clean_name, required=False, max_length=255)
    folder_path = ValidatedText(validation.clean_folder_path, required=False, max_length=500)


class CameraOut(serializers.Serializer[Camera]):
    """The camera in responses; only for the schema, because `representation` builds the JSON."""

    id = serializers.CharField(help_text="Derived from the name; never changes.")
    name = serializers.CharField()
    folder_path = serializers.CharField()
    status = serializers.ChoiceField(CameraStatus.choices)
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
    ingestion_mode = serializers.ChoiceField(IngestionMode.choices)
    rtsp_url = serializers.CharField(allow_null=True)
    stream_profile = serializers.ChoiceField(StreamProfile.choices)
    motion_sensitivity = serializers.FloatField()
    uuid = serializers.UUIDField()
    status_reason = serializers.CharField(help_text="Message that explains the status; may be empty.")
    enabled = serializers.BooleanField()
    time_zone = serializers.CharField()
    groups = serializers.ListField(child=serializers.CharField())
    notes = serializers.CharField()
    detector = serializers.ChoiceField(Detector.choices)
    detect_every_frame = serializers.BooleanField()
    detection_confidence = serializers.FloatField()
    detection_classes = serializers.ListField(child=serializers.CharField(), help_text="Empty keeps all classes.")
    detection_width = serializers.IntegerField(help_text="Pixels.")
    onvif_url = serializers.CharField(allow_null=True)
    public = serializers.BooleanField(help_text="Whether its snapshot is available without signing in.")
    offline_after_seconds = serializers.IntegerField(allow_null=True)
    last_picture_at = serializers.DateTimeField(
        allow_null=True, help_text="When the picture of the snapshot was taken, as of the last health check."
    )
    usual_interval_seconds = serializers.IntegerField(
        allow_null=True,
        help_text="Its usual pause between two pictures, if longer than NVR_STALE_AFTER; otherwise null.",
    )


class DeletedCameraOut(CameraOut):
    deleted_at = serializers.DateTimeField()
    purging_since = serializers.DateTimeField(
        allow_null=True,
        help_text="When its purge started; it can no longer be restored. Null if it is not being purged.",
    )


class CameraV1(serializers.Serializer[Camera]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    folder_path = serializers.CharField()
    status = serializers.ChoiceField(["online", "offline", "error"])
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
