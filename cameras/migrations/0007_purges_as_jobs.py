import django.utils.timezone
from django.db import migrations, models
from django.db.models import Q

STATES = [("waiting", "Waiting"), ("working", "Working"), ("done", "Done"), ("failed", "Failed")]


class Migration(migrations.Migration):
    dependencies = [("cameras", "0006_camera_chosen_place")]

    operations = [
        migrations.AddField(
            "purge", "state", models.CharField(choices=STATES, default="waiting", max_length=9)
        ),
        migrations.AddField("purge", "reason", models.CharField(blank=True, max_length=500)),
        migrations.AddField("purge", "attempts", models.PositiveSmallIntegerField(default=0)),
        migrations.AddField("purge", "failed_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField("purge", "sent_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
        migrations.AddField("purge", "worker", models.CharField(blank=True, editable=False, max_length=32)),
        migrations.AddField(
            "purge",
            "retry_at",
            models.DateTimeField(blank=True, help_text="Not processed before this time.", null=True),
        ),
        migrations.AlterField(
            "purge", "leased_until", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        migrations.AddConstraint(
            "purge",
            models.CheckConstraint(
                condition=Q(state__in=[state for state, _ in STATES]), name="purge_state_is_known"
            ),
        ),
        migrations.AddConstraint(
            "purge",
            models.CheckConstraint(
                condition=~Q(state="working") | Q(leased_until__isnull=False), name="purge_has_lease"
            ),
        ),
        migrations.AddConstraint(
            "purge",
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(reason=""), name="purge_says_why"),
        ),
    ]
