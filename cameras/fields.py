"""The table of camera fields: where each field of `cameras.models.Camera` appears, and which rule checks it.

A new field is added to the model and to `CAMERA_FIELDS`. The admin (`cameras/forms.py`, `cameras/admin.py`) and the API
(`cameras/api/serializers.py`, `cameras/api/representation.py`) read both: type, limits, choices, label and help text
are the model field's, everything else is in the table.

The admin and the API validate a value in the same two steps: first the limits of the model field (`max_length`,
`validators`, `choices`), then the `rule` in the table. A rule gets a value and returns the value to store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cameras import validation

Rule = Callable[[Any], Any]


class Section(StrEnum):
    """The sections of the admin form, in their order; `cameras/admin.py` describes them."""

    GENERAL = ""
    ACCESS = "Access"
    SOURCE = "Source"
    DETECTION = "Detection"
    MONITORING = "Monitoring"
    STATUS = "Status"


@dataclass(frozen=True)
class CameraField:
    name: str
    section: Section | None  # None: not in the admin form
    rule: Rule | None = None
    rule_for_new: Rule | None = None  # replaces `rule` when a camera is created
    writable: bool = True  # by API clients and in the admin form, when a camera is created and later
    shown: bool = True  # in API responses; secrets never are
    key: str = ""  # its name in API responses, if not `name`
    nullable: bool = False  # the API accepts null for an empty text; the database stores the empty text
    secret: bool = False  # write-only; the admin form has an input to replace it and one to remove it

    def rule_when(self, *, creating: bool) -> Rule | None:
        return self.rule_for_new if creating and self.rule_for_new else self.rule


CAMERA_FIELDS = (
    CameraField("name", Section.GENERAL, rule=validation.clean_name, rule_for_new=validation.clean_new_name),
    CameraField("folder_path", Section.GENERAL, rule=validation.clean_folder_path),
    CameraField("enabled", Section.GENERAL),
    CameraField("notes", Section.GENERAL),
    CameraField("groups", Section.ACCESS),
    CameraField("public", Section.ACCESS),
    CameraField("ingestion_mode", Section.SOURCE),
    CameraField("rtsp_url", Section.SOURCE, rule=validation.clean_rtsp_url, nullable=True),
    CameraField("rtsp_username", Section.SOURCE, shown=False, nullable=True),
    CameraField("rtsp_password", Section.SOURCE, secret=True),
    CameraField("stream_profile", Section.SOURCE),
    CameraField("onvif_url", Section.SOURCE, rule=validation.clean_onvif_url, nullable=True),
    CameraField("detector", Section.DETECTION),  # its choices: cameras/detector_choices.py
    CameraField("motion_sensitivity", Section.DETECTION),
    CameraField("detect_every_frame", Section.DETECTION),
    CameraField("detection_confidence", Section.DETECTION),
    CameraField("detection_classes", Section.DETECTION, rule=validation.clean_classes),
    CameraField("detection_width", Section.DETECTION),
    CameraField("time_zone", Section.MONITORING, rule=validation.clean_time_zone, nullable=True),
    CameraField("offline_after_seconds", Section.MONITORING),
    CameraField("status", Section.STATUS),
    CameraField("status_reason", Section.STATUS, writable=False),
    CameraField("last_picture_at", Section.STATUS, writable=False),
    CameraField("last_seen_at", Section.STATUS, writable=False),
    CameraField("slug", Section.STATUS, key="id", writable=False),
    CameraField("uuid", Section.STATUS, writable=False),
    CameraField("created_at", Section.STATUS, writable=False),
    CameraField("usual_interval_seconds", None, writable=False),
)
# Neither users nor clients see these, except `deleted_at` in the trash.
INTERNAL_FIELDS = frozenset({"id", "deleted_at", "rhythm", "mount", "chosen_place"})

WRITABLE_FIELDS = tuple(field for field in CAMERA_FIELDS if field.writable)
SHOWN_FIELDS = tuple(field for field in CAMERA_FIELDS if field.shown and not field.secret)
SECRET_FIELDS = tuple(field for field in CAMERA_FIELDS if field.secret)
