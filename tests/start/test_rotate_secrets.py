"""`manage.py rotate_secrets`: afterwards the previous key can be removed."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import Settings

from cameras.models import Camera
from nvr.installation.stored_secrets import secret_fields

pytestmark = pytest.mark.django_db
PREVIOUS, CURRENT = "f" * 60, "c" * 60


def use_keys(settings: Settings, key: str, *fallbacks: str) -> None:
    """Switch the keys, and drop those that each field has cached."""
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = key, list(fallbacks)
    for model, name in secret_fields():
        for cached in ("keys", "f"):
            model._meta.get_field(name).__dict__.pop(cached, None)


@pytest.fixture(autouse=True)
def keys(settings: Settings):
    original = settings.SECRET_KEY
    use_keys(settings, PREVIOUS)
    yield
    use_keys(settings, original)


@pytest.fixture
def camera() -> Camera:
    return Camera.objects.create(name="Gate", folder_path="/srv/gate", rtsp_password="pässword 1")


def rotate(*arguments: str) -> tuple[str, str]:
    output, errors = StringIO(), StringIO()
    call_command("rotate_secrets", *arguments, stdout=output, stderr=errors, no_color=True)
    return output.getvalue(), errors.getvalue()


def test_secrets_are_readable_without_the_previous_key_afterwards(camera: Camera, settings: Settings) -> None:
    use_keys(settings, CURRENT, PREVIOUS)

    output, errors = rotate()

    use_keys(settings, CURRENT)
    assert Camera.objects.get().rtsp_password == "pässword 1"
    assert "1 secrets are encrypted" in output and not errors


def test_a_dry_run_changes_nothing(camera: Camera, settings: Settings) -> None:
    use_keys(settings, CURRENT, PREVIOUS)

    rotate("--dry-run")

    use_keys(settings, PREVIOUS)
    assert Camera.objects.get().rtsp_password == "pässword 1"


def test_secrets_of_trashed_cameras_are_rotated_too(camera: Camera, settings: Settings) -> None:
    Camera.everything.update(deleted_at="2026-01-01T00:00:00Z")
    use_keys(settings, CURRENT, PREVIOUS)

    assert "1 secrets" in rotate()[0]


def test_a_secret_that_no_key_decrypts_is_named_and_not_changed(camera: Camera, settings: Settings) -> None:
    use_keys(settings, CURRENT)

    output, errors = rotate()

    assert "0 secrets" in output and "Gate" in errors
    use_keys(settings, PREVIOUS)
    assert Camera.objects.get().rtsp_password == "pässword 1"
