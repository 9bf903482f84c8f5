"""Fills the new columns of trash runs. PostgreSQL does not alter tables with pending events in the same transaction."""

from django.db import migrations
from django.db.models import F
from django.utils import timezone


def fill(apps, schema_editor):
    runs = apps.get_model("reviewer", "TrashRun").objects
    runs.filter(state="failed", reason="").update(reason="It did not finish.")
    runs.filter(state="failed").update(failed_at=F("finished_at"))
    runs.filter(state="working", leased_until=None).update(leased_until=timezone.now())
    runs.update(sent_at=F("started_at"))


class Migration(migrations.Migration):
    dependencies = [("reviewer", "0004_trash_runs_as_jobs")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
