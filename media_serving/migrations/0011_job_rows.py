"""Fills the new columns of jobs. It is a migration of its own: PostgreSQL does not alter tables with pending events."""

from django.db import migrations
from django.db.models import F


def fill(apps, schema_editor):
    transcodes = apps.get_model("media_serving", "Transcode").objects
    transcodes.filter(state="failed").exclude(retry_at=None).update(state="waiting")  # postponed, not failed
    transcodes.filter(state="failed", reason="").update(reason="It could not be transcoded.")
    transcodes.filter(state="failed").update(failed_at=F("sent_at"))
    apps.get_model("media_serving", "ClipWork").objects.filter(state="failed").update(failed_at=F("sent_at"))
    apps.get_model("media_serving", "Upload").objects.filter(state="failed").update(failed_at=F("received_at"))


def rename_permissions(apps, schema_editor):
    """Keep the grants of the renamed models: Django would create new permissions that nobody has."""
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="media_serving")
    for old, new, name in (("playableform", "transcode", "transcode"), ("cameraturn", "cameralease", "camera lease")):
        for action in ("add", "change", "delete", "view"):
            renamed = permissions.filter(codename=f"{action}_{old}")
            renamed.update(codename=f"{action}_{new}", name=f"Can {action} {name}")


class Migration(migrations.Migration):
    dependencies = [("media_serving", "0010_leased_jobs"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(rename_permissions, migrations.RunPython.noop),
    ]
