import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviewer", "0003_trash_run_words")]

    operations = [
        migrations.RenameField("trashrun", "lease_until", "leased_until"),
        migrations.RenameField("trashrun", "in_hand", "in_progress"),
        migrations.AddField("trashrun", "failed_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField("trashrun", "sent_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
        migrations.AddField("trashrun", "worker", models.CharField(blank=True, editable=False, max_length=32)),
        migrations.AddField(
            "trashrun",
            "retry_at",
            models.DateTimeField(blank=True, help_text="Not processed before this time.", null=True),
        ),
        migrations.AlterField(
            "trashrun", "leased_until", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        migrations.AlterField("trashrun", "in_progress", models.JSONField(default=list, editable=False)),
        migrations.AlterField("trashrun", "attempts", models.PositiveSmallIntegerField(default=0)),
        migrations.AlterField("trashrun", "reason", models.CharField(blank=True, max_length=500)),
        migrations.AlterField(
            "trashrun",
            "path",
            models.CharField(blank=True, help_text="Empty: all paths that the user may see.", max_length=4096),
        ),
        migrations.AlterField(
            "trashrun",
            "asker",
            models.JSONField(default=dict, editable=False, help_text="The user who started it, for the audit."),
        ),
        migrations.AlterField(
            "trashrun", "is_cancelled", models.BooleanField(default=False, verbose_name="cancellation requested")
        ),
    ]
